package dev.javelin.kernels.cuda;

import dev.javelin.device.Addressable;
import dev.javelin.device.Cuda;
import dev.javelin.device.DType;

/** {@code fill.cu}, the smallest kernel there is: whether kernels load and run shows in it. */
public final class FillCuda {
  private FillCuda() {}

  /** {@code y[i] = value} for n elements of a float type. */
  public static void constant(Cuda cuda, Addressable y, DType type, long n, float value) {
    cuda.kernel("fill", type).threads(n).ptr(y).f32(value).i64(n).run();
  }
}
