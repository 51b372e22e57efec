package dev.javelin.kernels.cpu;

import java.lang.foreign.MemorySegment;

/** What happens to finished sums while they are in the cache, before they become C. */
@FunctionalInterface
interface GemmEpilogue {
  /** Leaves the sums as they are. */
  GemmEpilogue NONE = (sums, at, row, col, count) -> {};

  /**
   * Changes, in place, the fp32 sums of elements {@code [col, col + count)} of row {@code row} of
   * C, which lie at byte {@code at} of {@code sums}. Each element is handed over exactly once.
   */
  void apply(MemorySegment sums, long at, int row, int col, int count);
}
