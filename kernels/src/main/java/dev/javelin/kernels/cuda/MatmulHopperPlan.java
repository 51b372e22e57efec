package dev.javelin.kernels.cuda;

/**
 * How a matrix product is cut up for compute capability 9.0 ({@code matmul_hopper.cuh}): tiles of
 * 128 rows and so many columns, alone or in clusters of two, and k in parts whose sums are added in
 * a second pass.
 *
 * <p>Of all tiles and numbers of parts it takes those for which this model needs fewest clocks:
 *
 * <pre>
 * turns · (steps · max(multiply, fetch, port) + results) + start + sum
 *
 * turns     tiles · parts / multiprocessors, rounded up; of clusters both
 * steps     depth / 64
 * multiply  128 · columns · 64 multiply-adds, 2048 a clock
 * fetch     (128 + columns / cluster) · 128 bytes from the L2 cache
 * port      (128 + columns) · 128 bytes into the multiprocessor
 * results   per tile, while nothing is multiplied
 * start     until the first tile is there; of clusters also their barriers
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
 * @param cluster blocks whose tiles lie one below the other and share their columns' operand: 1, 2
 */
public record MatmulHopperPlan(int columns, int parts, int depth, int cluster) {
  public static final int ROWS = 128;
  static final int STEP = 64;

  /** Widest first: of equals it reads least. */
  private static final int[] COLUMNS = {256, 192, 128};

  private static final int PAIR = 2; // blocks of a cluster, at most
  private static final int MULTIPLY_ADDS = 2048; // a clock and multiprocessor, dense, half types
  private static final double L2_BYTES = 6100; // a clock, all multiprocessors together
  private static final double MOST_L2_BYTES = 64; // a clock, each
  private static final double RESULT_CLOCKS = 3; // a column of a tile
  private static final double START_CLOCKS = 1500;
  private static final double CLUSTER_CLOCKS = 500; // its barriers, first and last
  private static final double LAUNCH_CLOCKS = 4000;

  /** Partial sums for each multiprocessor: 52 MB on an H200, about its L2 cache. */
  private static final long MOST_SUMS = 6L * 128 * 128;

  public static MatmulHopperPlan of(int m, int n, int k, int multiprocessors) {
    return of(m, n, k, multiprocessors, PAIR);
  }

  /** The best of those whose clusters have at most so many blocks: 1, 2. */
  public static MatmulHopperPlan of(int m, int n, int k, int multiprocessors, int mostBlocks) {
    long most = Math.clamp(MOST_SUMS * multiprocessors / ((long) m * n), 1, Math.ceilDiv(k, STEP));
    MatmulHopperPlan best = inParts(COLUMNS[0], 1, k);
    double least = best.clocks(m, n, multiprocessors);
    for (int columns : COLUMNS) {
      for (int parts = 1; parts <= most; parts++) {
        MatmulHopperPlan alone = inParts(columns, parts, k);
        for (int cluster = 1; cluster <= Math.min(mostBlocks, multiprocessors); cluster++) {
          MatmulHopperPlan plan = alone.inClusters(cluster);
          double clocks = plan.clocks(m, n, multiprocessors);
          if (clocks < least) {
            least = clocks;
            best = plan;
          }
        }
      }
    }
    return best;
  }

  /** {@code parts} of k, or fewer where they would be shorter than a step; blocks alone. */
  public static MatmulHopperPlan inParts(int columns, int parts, int k) {
    int depth = depth(parts, k);
    return new MatmulHopperPlan(columns, Math.ceilDiv(k, depth), depth, 1);
  }

  /** The same in clusters of so many blocks. */
  public MatmulHopperPlan inClusters(int blocks) {
    return new MatmulHopperPlan(columns, parts, depth, blocks);
  }

  private static int depth(int parts, int k) {
    return Math.ceilDiv(Math.ceilDiv(k, parts), STEP) * STEP;
  }

  /** What the model expects of an m by n product. */
  double clocks(int m, int n, int multiprocessors) {
    int blocks = grid(m, n, multiprocessors);
    double multiply = (double) ROWS * columns * STEP / MULTIPLY_ADDS;
    double fetch = (ROWS + (double) columns / cluster) * 2 * STEP * blocks / L2_BYTES;
    double port = (ROWS + columns) * 2.0 * STEP / MOST_L2_BYTES;
    int steps = depth / STEP;
    double tile = steps * Math.max(multiply, Math.max(fetch, port)) + RESULT_CLOCKS * columns;
    double sum = parts == 1 ? 0 : LAUNCH_CLOCKS + 8.0 * parts * m * n / L2_BYTES;
    double start = START_CLOCKS + (cluster == 1 ? 0 : CLUSTER_CLOCKS);
    return Math.ceilDiv(work(m, n), (long) blocks) * tile + start + sum;
  }

  /** Blocks that are launched: no more than run at a time, and whole clusters. */
  public int grid(int m, int n, int multiprocessors) {
    return (int) Math.min(work(m, n), multiprocessors - multiprocessors % cluster);
  }

  /** Steps that a block has room for at a time. */
  public int stages() {
    return MatmulHopper.ringBytes(columns) / MatmulHopper.stepBytes(columns);
  }

  /** Tiles of all parts of an m by n result; of clusters also those that lie below it. */
  public long work(int m, int n) {
    return (long) Math.ceilDiv(m, ROWS * cluster) * cluster * Math.ceilDiv(n, columns) * parts;
  }
}
