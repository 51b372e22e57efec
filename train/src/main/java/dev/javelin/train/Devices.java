package dev.javelin.train;

import dev.javelin.device.Cpu;
import dev.javelin.device.Cuda;
import dev.javelin.device.CudaException;
import dev.javelin.device.DType;
import dev.javelin.device.Device;
import dev.javelin.device.DeviceMemory;
import dev.javelin.kernels.BundledKernels;
import dev.javelin.kernels.cuda.FillCuda;
import dev.javelin.nn.TransformerConfig;
import dev.javelin.tensor.op.Attention;
import dev.javelin.train.data.InputException;
import dev.javelin.train.settings.DeviceSpec;
import org.jspecify.annotations.Nullable;

/**
 * Opens what {@code --device} names: {@code auto}, {@code cpu}, {@code cuda}, {@code cuda:1} or
 * {@code emulator}.
 *
 * <p>A GPU is taken where it opens, runs the smallest kernel of this build, and has kernels for the
 * model's sizes: operators whose kernels have limits declare them ({@link Attention#obstacle}).
 */
public final class Devices {
  /** The values of {@code --device}. */
  public static final String NAMES = DeviceSpec.NAMES;

  private Devices() {}

  /**
   * A device, and a line on why it is not the GPU of this machine; {@code null} where there is
   * nothing to say.
   */
  public record Choice(Device device, @Nullable String note) {}

  /** Whether {@code name} is one of {@link #NAMES}. */
  public static boolean isName(String name) {
    return DeviceSpec.isName(name);
  }

  /**
   * Opens a device for a model.
   *
   * @param threads of the CPU, where that is taken
   * @throws InputException where the named device is not there, or cannot run the model; {@code
   *     auto} takes the CPU then
   */
  public static Choice open(String name, int threads, TransformerConfig model) {
    return open(name, threads, model.headDim());
  }

  /** The same for a model of which that is the width of a head. */
  public static Choice open(String name, int threads, int headDim) {
    if (name.equals("cpu") || name.equals("auto") && !Cuda.hasDriver()) {
      return new Choice(Cpu.open(threads), null);
    }
    String obstacle;
    try {
      Cuda cuda = cuda(name);
      boolean taken = false;
      try {
        obstacle = obstacle(cuda, headDim);
        taken = obstacle == null;
      } finally {
        if (!taken) {
          cuda.close();
        }
      }
      if (taken) {
        return new Choice(cuda, null);
      }
    } catch (CudaException e) {
      obstacle = e.getMessage();
    }
    if (name.equals("auto")) {
      return new Choice(Cpu.open(threads), "the GPU is not used: " + obstacle);
    }
    throw new InputException("--device " + name + ": " + obstacle);
  }

  private static Cuda cuda(String name) {
    if (name.equals("emulator")) {
      return Cuda.emulated(new BundledKernels());
    }
    int colon = name.indexOf(':');
    return Cuda.open(
        colon < 0 ? 0 : Integer.parseInt(name.substring(colon + 1)), new BundledKernels());
  }

  /** Why the model cannot run there; {@code null} where it can. */
  private static @Nullable String obstacle(Cuda cuda, int headDim) {
    try (DeviceMemory word = cuda.allocate(DType.F32.bytes(1))) {
      FillCuda.constant(cuda, word, DType.F32, 1, 0);
      cuda.synchronize();
    }
    String obstacle = Attention.obstacle(cuda, headDim);
    return obstacle == null ? null : "attention: " + obstacle;
  }
}
