package dev.javelin.kernels;

import dev.javelin.device.KernelImages;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import org.jspecify.annotations.Nullable;

/**
 * The kernels in this jar: {@code src/main/cuda/FAMILY.cu}, compiled by the build to one fatbin
 * (its code for 8.0, 8.6, 8.9 and 9.0, and PTX) and to one image for the emulated device. A build
 * without nvcc, or without g++, has none of the one kind.
 */
public final class BundledKernels implements KernelImages {
  /** The driver picks the code for its device out of the fatbin, so the capability is not asked. */
  @Override
  public byte @Nullable [] find(String family, int capability, boolean emulated) {
    String name = "/dev/javelin/kernels/cuda/" + family + (emulated ? ".emu.so" : ".fatbin");
    try (InputStream image = BundledKernels.class.getResourceAsStream(name)) {
      return image == null ? null : image.readAllBytes();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
