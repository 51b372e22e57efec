package dev.javelin.tensor.op;

import dev.javelin.device.Addressable;
import dev.javelin.device.Cuda;
import dev.javelin.tensor.Tensor;

/** The second pass of sums over rows on CUDA: rows of F32, each a part of the sum. */
final class PartialSum {
  private static final int COLUMNS = 32; // of a block

  private PartialSum() {}

  /** {@code sum[c] (+)= Σ partial[r, c]} in an order that depends on the number of rows alone. */
  static void run(Cuda cuda, Tensor sum, boolean accumulate, Addressable partial, long rows) {
    cuda.kernel("partial_sum")
        .grid(Math.ceilDiv(sum.last(), COLUMNS))
        .ptr(sum)
        .i32(Operands.flag(accumulate))
        .ptr(partial)
        .i64(rows)
        .i32(sum.last())
        .run();
  }
}
