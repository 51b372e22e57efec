package dev.javelin.kernels.cuda;

/**
 * How a matrix product is cut up for a GPU: square tiles of the result, one block each, and where
 * these are too few, k in parts whose sums are added in a second pass.
 *
 * <p>The rule sees the sizes and the number of multiprocessors, nothing else: no timing, so a
 * product gives the same bits on every run. Cards with other numbers of multiprocessors may cut k
 * otherwise, and then differ in the last bits.
 *
 * @param edge of a tile: 128 or 64
 * @param parts of k
 * @param depth of a part, a multiple of 32; the last part may be shorter
 */
record MatmulPlan(int edge, int parts, int depth) {
  private static final int BIG = 128;
  private static final int SMALL = 64;

  /** Tiles of every kernel are at most so deep, and parts begin at multiples of it. */
  private static final int STEP = 32;

  /** A part's fixed cost is a pipeline to fill and a tile of sums to write and read again. */
  private static final int LEAST_BIG_DEPTH = 512;

  private static final int LEAST_SMALL_DEPTH = 256;

  /**
   * Big tiles where they give every multiprocessor a block, if need be by parts of k, else small
   * ones. k is cut where tiles are fewer than multiprocessors, into as many parts as make two
   * blocks for each: partial sums then take at most {@code 2 · multiprocessors} tiles of memory.
   */
  static MatmulPlan of(int m, int n, int k, int batch, int multiprocessors) {
    long big = tiles(m, n, BIG) * batch;
    return big * Math.max(1, k / LEAST_BIG_DEPTH) >= multiprocessors
        ? of(BIG, big, k, LEAST_BIG_DEPTH, multiprocessors)
        : of(SMALL, tiles(m, n, SMALL) * batch, k, LEAST_SMALL_DEPTH, multiprocessors);
  }

  private static MatmulPlan of(int edge, long tiles, int k, int least, int multiprocessors) {
    long wanted = tiles == 0 || tiles >= multiprocessors ? 1 : 2L * multiprocessors / tiles;
    return inParts(edge, (int) Math.clamp(k / least, 1, wanted), k);
  }

  /** {@code parts} of k, or fewer where they would be shorter than a step. */
  static MatmulPlan inParts(int edge, int parts, int k) {
    int depth = Math.ceilDiv(Math.ceilDiv(k, parts), STEP) * STEP;
    return new MatmulPlan(edge, Math.ceilDiv(k, depth), depth);
  }

  boolean isBig() {
    return edge == BIG;
  }

  /** Tiles of an m by n result. */
  long tiles(int m, int n) {
    return tiles(m, n, edge);
  }

  private static long tiles(int m, int n, int edge) {
    return (long) Math.ceilDiv(m, edge) * Math.ceilDiv(n, edge);
  }
}
