package dev.javelin.kernels.cpu;

import java.lang.foreign.MemorySegment;

/**
 * A panel of neighbouring queries of one head, one query to a lane, and the keys they see.
 *
 * <pre>
 *             queries ->
 *           v0    v1    v2    v3
 *   keys   ####  ####  ####  ####        # seen by all queries of the vector: no mask
 *    |     \###  ####  ####  ####        \ seen by some: masked
 *    v      \##  ####  ####  ####          seen by none: skipped
 *                \###  ####  ####
 * </pre>
 *
 * The key ranges of the vectors never move back from one vector to the next, so the vectors that
 * have a given key in range are neighbours. Ranges are multiples of {@link #STEP} wide, but for the
 * last key.
 */
final class AttentionPanel {
  /** Vectors of queries in a panel. */
  static final int VECTORS = 4;

  /** Queries in a panel. */
  static final int WIDTH = VECTORS * Lanes.COUNT;

  /** Bytes of a row of a block of scores: one key, all queries. */
  static final long ROW = 4L * WIDTH;

  /** Keys that are handled together. */
  private static final int STEP = 4;

  private final AttentionShape shape;
  private final AttentionRule rule;
  private final int[] low = new int[VECTORS];
  private final int[] high = new int[VECTORS];
  private final int[] fullLow = new int[VECTORS];
  private final int[] fullHigh = new int[VECTORS];
  private final int[] first = new int[WIDTH];
  private final int[] end = new int[WIDTH];
  private int batch;
  private int start;
  private int count;
  private int vectors;

  AttentionPanel(AttentionShape shape, AttentionRule rule) {
    this.shape = shape;
    this.rule = rule;
  }

  /** Moves to the queries {@code [start, start + count)} of batch row {@code batch}. */
  void moveTo(int batch, int start) {
    this.batch = batch;
    this.start = start;
    this.count = Math.min(WIDTH, shape.queries() - start);
    this.vectors = (count + Lanes.COUNT - 1) / Lanes.COUNT;
    for (int i = 0; i < WIDTH; i++) {
      int query = start + Math.min(i, count - 1); // spare lanes go with the last query
      first[i] = Math.max(0, rule.firstKey(shape, batch, query));
      end[i] = Math.min(shape.keys(), rule.endKey(shape, batch, query));
    }
    int from = shape.keys();
    for (int v = vectors - 1; v >= 0; v--) {
      fullLow[v] = 0;
      for (int i = v * Lanes.COUNT; i < (v + 1) * Lanes.COUNT; i++) {
        fullLow[v] = Math.max(fullLow[v], first[i]);
        from = Math.min(from, first[i]);
      }
      low[v] = from / STEP * STEP;
    }
    int to = 0;
    for (int v = 0; v < vectors; v++) {
      fullHigh[v] = shape.keys();
      for (int i = v * Lanes.COUNT; i < (v + 1) * Lanes.COUNT; i++) {
        fullHigh[v] = Math.min(fullHigh[v], end[i]);
        to = Math.max(to, end[i]);
      }
      high[v] = Math.min(shape.keys(), (to + STEP - 1) / STEP * STEP);
    }
  }

  /** Writes first keys and end keys of the lanes, two rows of floats, to compare in lanes. */
  void writeLimits(MemorySegment scratch, long at) {
    for (int i = 0; i < WIDTH; i++) {
      scratch.set(HeadRows.FLOAT, at + 4L * i, first[i]);
      scratch.set(HeadRows.FLOAT, at + ROW + 4L * i, end[i]);
    }
  }

  AttentionShape shape() {
    return shape;
  }

  AttentionRule rule() {
    return rule;
  }

  int batch() {
    return batch;
  }

  /** The first query. */
  int start() {
    return start;
  }

  /** The position of the first query among the keys. */
  int position() {
    return shape.firstPosition() + start;
  }

  /** Queries, at most {@link #WIDTH}. */
  int count() {
    return count;
  }

  /** Vectors that hold a query. */
  int vectors() {
    return vectors;
  }

  /** The last vector in use of the pair that begins with vector {@code v}. */
  int last(int v) {
    return Math.min(v + 1, vectors - 1);
  }

  /** Queries in vector {@code v}. */
  int queries(int v) {
    return Math.min(Lanes.COUNT, count - v * Lanes.COUNT);
  }

  /** The first key in range of vector {@code v}. */
  int low(int v) {
    return low[v];
  }

  /** The key behind the last one in range of vector {@code v}. */
  int high(int v) {
    return high[v];
  }

  /** From here to {@link #fullHigh} all queries of vector {@code v} see all keys. */
  int fullLow(int v) {
    return fullLow[v];
  }

  int fullHigh(int v) {
    return fullHigh[v];
  }

  /** The first key in range of any query. */
  int low() {
    return low[0];
  }

  /** The key behind the last one in range of any query. */
  int high() {
    return high[vectors - 1];
  }
}
