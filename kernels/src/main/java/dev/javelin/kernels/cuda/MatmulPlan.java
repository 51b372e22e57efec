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
public record MatmulPlan(int edge, int parts, int depth) {
  static final int BIG = 128;
  static final int SMALL = 64;

  /** Tiles of every kernel are at most so deep, and parts begin at multiples of it. */
  static final int STEP = 32;

  /**
   * A part's fixed cost, in units of k, and so the least depth of one: a pipeline to fill, a tile
   * of sums to write and to read again.
   */
  private static final int BIG_PART = 512;

  private static final int SMALL_PART = 256;

  /** Tiles of partial sums for each multiprocessor: 52 MB on an H200, about its L2 cache. */
  private static final long MOST_TILES = 6;

  /** A block that has a multiprocessor to itself waits where a second one would multiply. */
  private static final double ALONE = 1.5;

  /**
   * Big tiles where they give every multiprocessor a block, if need be by parts of k, else small
   * ones; and k in as many parts as end soonest.
   */
  public static MatmulPlan of(int m, int n, int k, int batch, int multiprocessors) {
    long big = tiles(m, n, BIG) * batch;
    return big * Math.max(1, k / BIG_PART) >= multiprocessors
        ? of(BIG, big, k, BIG_PART, multiprocessors)
        : of(SMALL, tiles(m, n, SMALL) * batch, k, SMALL_PART, multiprocessors);
  }

  /**
   * The parts p, not more than there is memory for, that make the busiest multiprocessor's work
   * least: {@code ceil(tiles·p / multiprocessors) · (k/p + fixed)}. Without parts, 144 tiles on 132
   * multiprocessors would take as long as 264.
   */
  private static MatmulPlan of(int edge, long tiles, int k, int fixed, int multiprocessors) {
    long most = Math.min(k / fixed, MOST_TILES * multiprocessors / Math.max(1, tiles));
    int best = 1;
    double least = blocksInTurn(tiles, multiprocessors) * k;
    for (int parts = 2; parts <= most; parts++) {
      double time = blocksInTurn(tiles * parts, multiprocessors) * (Math.ceilDiv(k, parts) + fixed);
      if (time < least) {
        least = time;
        best = parts;
      }
    }
    return inParts(edge, best, k);
  }

  private static double blocksInTurn(long blocks, int multiprocessors) {
    return blocks <= multiprocessors ? ALONE : Math.ceilDiv(blocks, (long) multiprocessors);
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
