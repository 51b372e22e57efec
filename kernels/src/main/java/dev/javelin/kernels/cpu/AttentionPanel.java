package dev.javelin.kernels.cpu;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

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

  /** Bytes of scratch memory for the limits of the lanes and the ranges of the vectors. */
  static final long LIMITS = 2 * ROW + 4L * 4 * VECTORS;

  private static final ValueLayout.OfInt INT = ValueLayout.JAVA_INT_UNALIGNED;

  /** Keys that are handled together. */
  private static final int STEP = 4;

  private static final int LOW = 0; // places in the table of ranges
  private static final int HIGH = VECTORS;
  private static final int FULL_LOW = 2 * VECTORS;
  private static final int FULL_HIGH = 3 * VECTORS;

  private final AttentionShape shape;
  private final MaskView mask;
  private final MemorySegment scratch;
  private final AttentionSoftmax softmax;
  private final AttentionFactors factors;
  private final int[] words = new int[Philox.WORDS];
  private final long limitsAt;
  private int batch;
  private int start;
  private int count;
  private int vectors;

  static final MatmulOperand[] NO_OPERANDS = {};

  /** Matrices in the thread's scratch memory, described once so that no step makes garbage. */
  MatmulOperand[] operands = NO_OPERANDS;

  /** Where the opened keys and values begin, in bytes. */
  long keysAt;

  long valuesAt;

  /**
   * @param limitsAt {@link #LIMITS} bytes of scratch memory
   */
  AttentionPanel(AttentionShape shape, MaskView mask, MemorySegment scratch, long limitsAt) {
    this.shape = shape;
    this.mask = mask;
    this.scratch = scratch;
    this.softmax = new AttentionSoftmax(scratch);
    this.factors = new AttentionFactors(scratch);
    this.limitsAt = limitsAt;
  }

  /** Moves to the queries {@code [start, start + WIDTH)} of batch row {@code batch}. */
  void moveTo(int batch, int start) {
    this.batch = batch;
    this.start = start;
    this.count = Math.min(WIDTH, shape.queries() - start);
    this.vectors = (count + Lanes.COUNT - 1) / Lanes.COUNT;
    int to = 0;
    for (int v = 0; v < vectors; v++) {
      int from = shape.keys();
      int fullLow = 0;
      int fullHigh = shape.keys();
      for (int i = v * Lanes.COUNT; i < (v + 1) * Lanes.COUNT; i++) {
        int query = start + Math.min(i, count - 1); // spare lanes go with the last query
        int first = Math.max(0, mask.firstKey(shape, batch, query));
        int end = Math.min(shape.keys(), mask.endKey(shape, batch, query));
        scratch.set(HeadRows.FLOAT, limitsAt + 4L * i, first);
        scratch.set(HeadRows.FLOAT, limitsAt + ROW + 4L * i, end);
        from = Math.min(from, first);
        to = Math.max(to, end);
        fullLow = Math.max(fullLow, first);
        fullHigh = Math.min(fullHigh, end);
      }
      range(LOW + v, from / STEP * STEP);
      range(HIGH + v, Math.min(shape.keys(), (to + STEP - 1) / STEP * STEP));
      range(FULL_LOW + v, fullLow);
      range(FULL_HIGH + v, fullHigh);
    }
    for (int v = vectors - 2; v >= 0; v--) {
      range(LOW + v, Math.min(low(v), low(v + 1)));
    }
  }

  /**
   * Draws the factors of a block of weights, for the queries and keys of this panel that see each
   * other.
   *
   * @param from the block's first key, a multiple of {@link AttentionDropout#TILE}
   */
  void drop(AttentionDropout dropout, long factorsAt, int head, int from, int to) {
    long key = dropout.headKey(words, batch, head);
    for (int i = 0; i < count; i += AttentionDropout.TILE) {
      int v = i / Lanes.COUNT;
      int last = Math.min(vectors, (i + AttentionDropout.TILE) / Lanes.COUNT) - 1;
      int low = Math.max(from, low(v)) / AttentionDropout.TILE * AttentionDropout.TILE;
      long at = factorsAt + (low - from) * ROW + 4L * i;
      factors.draw(at, dropout.p(), key, start + i, low, Math.min(to, high(last)));
    }
  }

  private void range(int place, int key) {
    scratch.set(INT, limitsAt + 2 * ROW + 4L * place, key);
  }

  private int range(int place) {
    return scratch.get(INT, limitsAt + 2 * ROW + 4L * place);
  }

  /** The softmax over this panel's scores. */
  AttentionSoftmax softmax() {
    return softmax;
  }

  MemorySegment scratch() {
    return scratch;
  }

  /** First keys and, a {@link #ROW} further, end keys of the lanes, as floats. */
  long limitsAt() {
    return limitsAt;
  }

  AttentionShape shape() {
    return shape;
  }

  MaskView mask() {
    return mask;
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

  /** Columns of a transposed panel: whole pairs of vectors. */
  int width() {
    return (vectors + 1) / 2 * 2 * Lanes.COUNT;
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
    return range(LOW + v);
  }

  /** The key behind the last one in range of vector {@code v}. */
  int high(int v) {
    return range(HIGH + v);
  }

  /** From here to {@link #fullHigh} all queries of vector {@code v} see all keys. */
  int fullLow(int v) {
    return range(FULL_LOW + v);
  }

  int fullHigh(int v) {
    return range(FULL_HIGH + v);
  }

  /** The first key in range of any query. */
  int low() {
    return low(0);
  }

  /** The key behind the last one in range of any query. */
  int high() {
    return high(vectors - 1);
  }
}
