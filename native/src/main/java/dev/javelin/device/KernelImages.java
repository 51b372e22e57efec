package dev.javelin.device;

import org.jspecify.annotations.Nullable;

/**
 * Where a {@link Cuda} device finds the code of its kernels. Asked by any thread, one at a time for
 * each device.
 *
 * <p>Kernels of one's own come before those of the engine: {@code Cuda.open(0, own.or(new
 * BundledKernels()))}.
 */
@FunctionalInterface
public interface KernelImages {

  /**
   * The image of one family of kernels: a fatbin for a real device, a shared object for the
   * emulated one. {@code null} where there is none of that name.
   *
   * @param family file name of the source without its extension: {@code rms_norm}
   * @param capability compute capability of the device as a number: 90 for 9.0
   * @param emulated whether the image runs on the emulated device
   */
  byte @Nullable [] find(String family, int capability, boolean emulated);

  /** These images, and where they have none of a family those of {@code next}. */
  default KernelImages or(KernelImages next) {
    return (family, capability, emulated) -> {
      byte[] image = find(family, capability, emulated);
      return image == null ? next.find(family, capability, emulated) : image;
    };
  }
}
