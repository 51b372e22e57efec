package dev.javelin.kernels;

import dev.javelin.device.KernelImages;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import org.jspecify.annotations.Nullable;

/**
 * The kernels that the build made of {@code src/main/cuda/FAMILY.cu}: in this jar one fatbin each
 * (its code for 8.0, which 8.6 and 8.9 run too, and 9.0, and PTX); in that of {@code
 * javelin-emulator} images for the emulated device. A build without nvcc, or without g++, has none
 * of the one kind.
 */
public final class BundledKernels implements KernelImages {
  private final boolean checked;

  /** With {@code -Djavelin.emulator.check}, those of {@link #checked}. */
  public BundledKernels() {
    this(!System.getProperty("javelin.emulator.check", "false").equals("false"));
  }

  private BundledKernels(boolean checked) {
    this.checked = checked;
  }

  /**
   * The same for real devices; for the emulated one, images in which each access to memory is
   * checked: races on shared memory, copies nobody waited for, indices beyond an allocation.
   */
  public static BundledKernels checked() {
    return new BundledKernels(true);
  }

  /** The driver picks the code for its device out of the fatbin, so the capability is not asked. */
  @Override
  public byte @Nullable [] find(String family, int capability, boolean emulated) {
    String kind = emulated ? checked ? ".check.so" : ".emu.so" : ".fatbin";
    String name = "dev/javelin/kernels/cuda/" + family + kind;
    try (InputStream image = BundledKernels.class.getClassLoader().getResourceAsStream(name)) {
      return image == null ? null : image.readAllBytes();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
