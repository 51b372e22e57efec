package dev.javelin.kernels.cuda;

import dev.javelin.device.Cuda;

/** {@code softmax.cu}: softmax of rows, or its logarithm. */
public final class SoftmaxCuda {
  private SoftmaxCuda() {}

  public static void forward(Cuda cuda, CudaRows y, CudaRows x, boolean logarithm) {
    RowGrid grid = RowGrid.of(cuda, "softmax_forward", x.type(), x);
    grid.kernel()
        .grid(grid.blocks())
        .ptr(y)
        .i64(y.stride())
        .ptr(x)
        .i64(x.stride())
        .i64(x.count())
        .i32(x.cols())
        .i32(CudaRows.flag(logarithm))
        .i32(CudaRows.flag(CudaRows.inVectors(x, y)))
        .run();
  }

  /** From the result y. */
  public static void backward(Cuda cuda, CudaRows dx, CudaRows dy, CudaRows y, boolean logarithm) {
    RowGrid grid = RowGrid.of(cuda, "softmax_backward", y.type(), y);
    grid.kernel()
        .grid(grid.blocks())
        .ptr(dx)
        .i64(dx.stride())
        .i32(CudaRows.adds(dx))
        .ptr(dy)
        .i64(dy.stride())
        .ptr(y)
        .i64(y.stride())
        .i64(y.count())
        .i32(y.cols())
        .i32(CudaRows.flag(logarithm))
        .i32(CudaRows.flag(CudaRows.inVectors(dx, dy, y)))
        .run();
  }
}
