package dev.javelin.kernels.cuda;

import dev.javelin.device.Cuda;
import dev.javelin.kernels.cuda.CudaRows.Units;

/** {@code square.cu}. */
public final class SquareCuda {
  private SquareCuda() {}

  /** {@code y = x²}. */
  public static void forward(Cuda cuda, CudaRows y, CudaRows x) {
    Units u = Units.of(y, x);
    cuda.kernel("square_forward", x.type())
        .threads(u.count())
        .ptr(y)
        .i64(y.stride())
        .ptr(x)
        .i64(x.stride())
        .i64(u.count())
        .i64(u.cols())
        .i32(CudaRows.flag(u.vectors()))
        .run();
  }

  /** {@code dx (+)= 2·x·dy}. */
  public static void backward(Cuda cuda, CudaRows dx, CudaRows dy, CudaRows x) {
    Units u = Units.of(dx, dy, x);
    cuda.kernel("square_backward", x.type())
        .threads(u.count())
        .ptr(dx)
        .i64(dx.stride())
        .i32(CudaRows.adds(dx))
        .ptr(dy)
        .i64(dy.stride())
        .ptr(x)
        .i64(x.stride())
        .i64(u.count())
        .i64(u.cols())
        .i32(CudaRows.flag(u.vectors()))
        .run();
  }
}
