package dev.javelin.kernels.cuda;

import dev.javelin.device.Cuda;
import dev.javelin.device.CudaKernel;
import dev.javelin.device.DType;

/**
 * A kernel with two instances, one with a warp for each short row and one with a block for each
 * long one, whose name ends in {@code _long}.
 */
record RowGrid(CudaKernel kernel, boolean isLong, long blocks) {
  static final int WARP = 32;
  private static final int SHORT_COLUMNS = 1024;

  static RowGrid of(Cuda cuda, String name, DType type, CudaRows x) {
    return of(cuda, name, type, x.count(), x.cols() > SHORT_COLUMNS);
  }

  static RowGrid of(Cuda cuda, String name, DType type, long rows, boolean isLong) {
    CudaKernel kernel = cuda.kernel(isLong ? name.concat("_long") : name, type);
    return new RowGrid(kernel, isLong, isLong ? rows : blocks(kernel, rows));
  }

  /** Blocks of a kernel in which each warp has a row. */
  static long blocks(CudaKernel kernel, long rows) {
    return Math.ceilDiv(rows, warps(kernel));
  }

  /** Warps of a block. */
  static int warps(CudaKernel kernel) {
    return kernel.blockSize() / WARP;
  }
}
