package dev.javelin.kernels.cuda;

import dev.javelin.device.Addressable;
import dev.javelin.device.Cuda;

/**
 * {@code partial_sum.cu}: the second pass of sums over rows, each row F32 and a part of the sum.
 */
final class PartialSumCuda {
  static final int COLUMNS = RowGrid.WARP; // of a block

  private PartialSumCuda() {}

  /** {@code sum[c] (+)= Σ partial[r, c]} in an order that depends on the number of rows alone. */
  static void run(
      Cuda cuda, Addressable sum, boolean accumulate, Addressable partial, long rows, int cols) {
    cuda.kernel("partial_sum")
        .grid(Math.ceilDiv(cols, COLUMNS))
        .ptr(sum)
        .i32(CudaRows.flag(accumulate))
        .ptr(partial)
        .i64(rows)
        .i32(cols)
        .run();
  }
}
