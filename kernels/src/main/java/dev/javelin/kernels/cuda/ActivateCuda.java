package dev.javelin.kernels.cuda;

import dev.javelin.device.Cuda;
import dev.javelin.kernels.Activation;
import dev.javelin.kernels.cuda.CudaRows.Units;

/** {@code activate.cu}. */
public final class ActivateCuda {
  private ActivateCuda() {}

  /** {@code y = f(x)}. */
  public static void forward(Cuda cuda, CudaRows y, CudaRows x, Activation f) {
    Units u = Units.of(x, y);
    cuda.kernel("activate_forward", x.type())
        .threads(u.count())
        .ptr(y)
        .i64(y.stride())
        .ptr(x)
        .i64(x.stride())
        .i64(u.count())
        .i64(u.cols())
        .i32(CudaRows.flag(u.vectors()))
        .i32(f.ordinal())
        .run();
  }

  /** {@code dx (+)= dy · f'(x)}. */
  public static void backward(Cuda cuda, CudaRows dx, CudaRows dy, CudaRows x, Activation f) {
    Units u = Units.of(x, dx, dy);
    cuda.kernel("activate_backward", x.type())
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
        .i32(f.ordinal())
        .run();
  }
}
