package dev.javelin.kernels.cpu;

import java.lang.foreign.MemorySegment;

/**
 * Brings lines of a bf16 operand into panels {@code [steps, 32 lines, 32 of k]}, the order in which
 * {@link MatmulTileAmx} reads A. What is missing at the edge of the matrix becomes zeros.
 */
final class MatmulPackSteps {
  private static final MemorySegment RAM = Ram.ALL;
  private static final int LINES = MatmulTileAmx.ROWS;
  private static final int PAIRS = MatmulTileAmx.STEP / 2;
  private static final int LINE_BYTES = 4 * PAIRS;

  /** Bytes of a step, and of the spare memory that {@link #step} wants. */
  static final int BYTES = LINES * LINE_BYTES;

  private MatmulPackSteps() {}

  /**
   * Packs lines {@code [line, line + count)} over {@code [k, k + kc)}, at most 32 of each.
   *
   * @param spare address of {@link #BYTES}, used for lines that are stored across k
   */
  static void step(long to, MatmulOperand x, int line, int count, int k, int kc, long spare) {
    if (!x.alongK()) {
      // First the pairs of k, a row of 32 lines each, then those are turned.
      MatmulPackPairs.panel(spare, LINES, x, line, count, k, kc, PAIRS);
      MatmulPack.turn(to, PAIRS, spare, 4L * LINES, PAIRS, LINES);
      return;
    }
    long from = x.at(line, k);
    int bytes = 2 * kc;
    for (int i = 0; i < LINES; i++) {
      copy(to + (long) LINE_BYTES * i, from + x.strideBytes() * i, i < count ? bytes : 0);
    }
  }

  /** Moves so many bytes of a line, a multiple of 2, and fills it up with zeros. */
  private static void copy(long to, long from, int bytes) {
    int at = 0;
    for (; at + Lanes.BYTES <= bytes; at += Lanes.BYTES) {
      Lanes.store(Lanes.load(RAM, from + at), RAM, to + at);
    }
    for (; at < bytes; at += 2) {
      RAM.set(MatmulPackPairs.BF16, to + at, RAM.get(MatmulPackPairs.BF16, from + at));
    }
    for (; at < LINE_BYTES; at += 2) {
      RAM.set(MatmulPackPairs.BF16, to + at, (short) 0);
    }
  }
}
