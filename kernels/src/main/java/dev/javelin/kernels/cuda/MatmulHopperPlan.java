package dev.javelin.kernels.cuda;

/**
 * How a matrix product is cut up for compute capability 9.0 ({@code matmul_hopper.cuh}): tiles of
 * 128 rows and so many columns, and k in parts whose sums are added in a second pass.
 *
 * <p>Of all tiles and numbers of parts it takes those for which this model needs fewest clocks:
 *
 * <pre>
 * turns · (steps · max(multiply, fetch) + results) + start + sum
 *
 * turns     tiles · parts / multiprocessors, rounded up
 * steps     depth / 64
 * multiply  128 · columns · 64 multiply-adds, 2048 a clock
 * fetch     (128 + columns) · 128 bytes from the L2 cache
 * results   per tile, while nothing is multiplied
 * start     until the first tile is there
 * sum       of more than one part: partial sums written and read again, one more launch
 * </pre>
 *
 * <p>Its constants are data sheets' and others' reports ({@code docs/kernels/matmul.md}), none is
 * measured here. It sees the sizes and the number of multiprocessors, nothing else: no timing, so a
 * product gives the same bits on every run.
 *
 * @param columns of a tile: 256, 192 or 128
 * @param parts of k
 * @param depth of a part, a multiple of 64; the last part may be shorter
 */
public record MatmulHopperPlan(int columns, int parts, int depth) {
  public static final int ROWS = 128;
  static final int STEP = 64;

  /** Widest first: of equals it reads least. */
  private static final int[] COLUMNS = {256, 192, 128};

  private static final int MULTIPLY_ADDS = 2048; // a clock and multiprocessor, dense, half types
  private static final double L2_BYTES = 6100; // a clock, all multiprocessors together
  private static final double MOST_L2_BYTES = 64; // a clock, each
  private static final double RESULT_CLOCKS = 3; // a column of a tile
  private static final double START_CLOCKS = 1500;
  private static final double LAUNCH_CLOCKS = 4000;

  /** Partial sums for each multiprocessor: 52 MB on an H200, about its L2 cache. */
  private static final long MOST_SUMS = 6L * 128 * 128;

  public static MatmulHopperPlan of(int m, int n, int k, int multiprocessors) {
    long most = Math.clamp(MOST_SUMS * multiprocessors / ((long) m * n), 1, Math.ceilDiv(k, STEP));
    MatmulHopperPlan best = new MatmulHopperPlan(COLUMNS[0], 1, depth(1, k));
    double least = best.clocks(m, n, multiprocessors);
    for (int columns : COLUMNS) {
      for (int parts = 1; parts <= most; parts++) {
        MatmulHopperPlan plan = inParts(columns, parts, k);
        double clocks = plan.clocks(m, n, multiprocessors);
        if (clocks < least) {
          least = clocks;
          best = plan;
        }
      }
    }
    return best;
  }

  /** {@code parts} of k, or fewer where they would be shorter than a step. */
  static MatmulHopperPlan inParts(int columns, int parts, int k) {
    int depth = depth(parts, k);
    return new MatmulHopperPlan(columns, Math.ceilDiv(k, depth), depth);
  }

  private static int depth(int parts, int k) {
    return Math.ceilDiv(Math.ceilDiv(k, parts), STEP) * STEP;
  }

  /** What the model expects of an m by n product. */
  double clocks(int m, int n, int multiprocessors) {
    long work = work(m, n);
    double blocks = Math.min(work, multiprocessors);
    double multiply = (double) ROWS * columns * STEP / MULTIPLY_ADDS;
    double fetch = (ROWS + columns) * 2.0 * STEP / Math.min(MOST_L2_BYTES, L2_BYTES / blocks);
    int steps = depth / STEP;
    double tile = steps * Math.max(multiply, fetch) + RESULT_CLOCKS * columns;
    double sum = parts == 1 ? 0 : LAUNCH_CLOCKS + 8.0 * parts * m * n / L2_BYTES;
    return Math.ceilDiv(work, (long) multiprocessors) * tile + START_CLOCKS + sum;
  }

  /** Steps that a block has room for at a time. */
  public int stages() {
    return MatmulHopper.ringBytes(columns) / MatmulHopper.stepBytes(columns);
  }

  /** Tiles of all parts of an m by n result. */
  public long work(int m, int n) {
    return (long) Math.ceilDiv(m, ROWS) * Math.ceilDiv(n, columns) * parts;
  }
}
