package dev.javelin.kernels.cuda;

import dev.javelin.device.Addressable;
import dev.javelin.device.Cuda;
import dev.javelin.device.CudaKernel;

/** {@code max.cu}: the largest element of each row. */
public final class MaxCuda {
  private MaxCuda() {}

  /** y of x's type and index I32, one element for each row. */
  public static void forward(Cuda cuda, Addressable y, Addressable index, CudaRows x) {
    CudaKernel kernel = cuda.kernel("max_forward", x.type());
    kernel
        .grid(RowGrid.blocks(kernel, x.count()))
        .ptr(y)
        .ptr(index)
        .ptr(x)
        .i64(x.stride())
        .i64(x.count())
        .i32(x.cols())
        .run();
  }

  /** {@code dx[r, index[r]] += dy[r]}. */
  public static void backward(Cuda cuda, CudaRows dx, Addressable dy, Addressable index) {
    cuda.kernel("max_backward", dx.type())
        .threads(dx.count())
        .ptr(dx)
        .i64(dx.stride())
        .ptr(dy)
        .ptr(index)
        .i64(dx.count())
        .run();
  }
}
