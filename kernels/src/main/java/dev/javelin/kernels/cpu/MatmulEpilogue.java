package dev.javelin.kernels.cpu;

import java.lang.foreign.MemorySegment;

/** What happens to finished sums while they are in the cache, before they become C. */
@FunctionalInterface
interface MatmulEpilogue {
  /** Leaves the sums as they are. */
  MatmulEpilogue NONE = (sums, at, stride, row, rows, col, count) -> {};

  /**
   * Changes, in place, the fp32 sums of the elements {@code [col, col + count)} of the rows {@code
   * [row, row + rows)} of C. The first lies at byte {@code at} of {@code sums}, rows are {@code
   * stride} bytes apart. Each element is handed over exactly once.
   */
  void apply(MemorySegment sums, long at, long stride, int row, int rows, int col, int count);
}
