package dev.javelin.kernels.cpu;

import dev.javelin.device.MachineCode;
import java.lang.foreign.ValueLayout;

/**
 * Calls of {@link DotProductCode} for columns of {@code C = A · Bᵀ}: rows of A in blocks that a
 * call takes, rows of B in streams that lie apart.
 */
abstract class DotProductMachine {
  private static final ValueLayout.OfLong LONG = ValueLayout.JAVA_LONG_UNALIGNED;

  /** Of B, that several blocks of A read one after the other: well within the L1 cache. */
  private static final int CHUNK_BYTES = 16 << 10;

  /** Blocks of A. */
  final int blocks;

  private final int m;
  private final int streams;
  private final long rowBytes;

  /**
   * @param m rows of A
   * @param streams rows of B at once
   * @param rowBytes from a row of B to the next
   */
  DotProductMachine(int m, int blocks, int streams, long rowBytes) {
    this.m = m;
    this.blocks = blocks;
    this.streams = streams;
    this.rowBytes = rowBytes;
  }

  /** Where a block of A that begins at that row lies, in bytes from the start of A. */
  abstract long blockAt(int row);

  /** The code for so many rows of A and of B at once. */
  abstract MachineCode code(int rows, int streams);

  final int firstRow(int block) {
    return (int) ((long) m * block / blocks);
  }

  static void set(long own, int at, long value) {
    Ram.ALL.set(LONG, own + at, value);
  }

  /**
   * So many columns of C, from blocks {@code [from, to)} of A.
   *
   * @param own parameters, of which those that do not depend on rows and columns are set
   * @param c the first column in the first row of block {@code from}
   * @param cRow bytes between rows of C
   * @param b the first column's row of B, likewise {@code factors}
   */
  final void columns(
      long own,
      long a,
      int from,
      int to,
      long c,
      long cRow,
      long b,
      long factors,
      long factorsOfRow,
      int count) {
    set(own, DotProductCode.C_ROW, cRow);
    int groups = count / streams;
    int chunk = to - from == 1 ? groups : (int) Math.max(1, CHUNK_BYTES / (streams * rowBytes));
    for (int g = 0; g < groups; g += chunk) {
      place(own, b + g * rowBytes, factors + g * factorsOfRow, factorsOfRow, groups);
      call(own, a, from, to, c + 4L * g, cRow, streams, Math.min(chunk, groups - g));
    }
    int done = groups * streams;
    if (done < count) {
      place(own, b + done * rowBytes, factors + done * factorsOfRow, factorsOfRow, 1);
      call(own, a, from, to, c + 4L * done, cRow, count - done, 1);
    }
  }

  /** Streams begin {@code apart} rows from each other. */
  private void place(long own, long b, long factors, long factorsOfRow, int apart) {
    set(own, DotProductCode.C_APART, 4L * apart);
    set(own, DotProductCode.B, b);
    set(own, DotProductCode.APART, apart * rowBytes);
    set(own, DotProductCode.FACTORS, factors);
    set(own, DotProductCode.FACTORS_APART, apart * factorsOfRow);
  }

  private void call(
      long own, long a, int from, int to, long c, long cRow, int streams, int groups) {
    set(own, DotProductCode.GROUPS, groups);
    int first = firstRow(from);
    for (int block = from; block < to; block++) {
      int i = firstRow(block);
      set(own, DotProductCode.C, c + (i - first) * cRow);
      set(own, DotProductCode.A, a + blockAt(i));
      code(firstRow(block + 1) - i, streams).call(own, 0, 0, 0, 0, 0);
    }
  }
}
