package dev.javelin.kernels.cpu;

import static jdk.incubator.vector.VectorOperators.GT;
import static jdk.incubator.vector.VectorOperators.LE;

import java.lang.foreign.MemorySegment;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorMask;

/**
 * What happens to a block of scores between the two matrix products. A block has a row for each key
 * and a lane for each query, so that the softmax over keys is a loop down the rows, without any sum
 * across lanes. All methods work on one vector of queries: a column of vectors that begins at byte
 * {@code at}, over {@code rows} rows that are {@link AttentionPanel#ROW} bytes apart.
 */
final class AttentionScores {
  /** Keys of a block: 64 x 64 scores take a third of the first-level cache. */
  static final int KEYS = 64;

  private static final long ROW = AttentionPanel.ROW;

  private static final float HIDDEN = Float.NEGATIVE_INFINITY;

  /** 0, 1, 2, … */
  private static final FloatVector IOTA = iota();

  private AttentionScores() {}

  private static FloatVector iota() {
    float[] lanes = new float[Lanes.COUNT];
    for (int i = 0; i < lanes.length; i++) {
      lanes[i] = i;
    }
    return FloatVector.fromArray(Lanes.SPECIES, lanes, 0);
  }

  /**
   * {@code block[j, i] = Σ_d rows[j, d] · columns[d, i]} for the keys {@code [from, to)} and the
   * queries of a panel, as far as some query of a pair of vectors has the key in range.
   *
   * @param rows the memory with a row for each key, key 0 at byte {@code rowsAt}
   * @param columnsAt a transposed panel in scratch memory
   */
  static void product(
      AttentionPanel panel,
      long blockAt,
      MemorySegment rows,
      long rowsAt,
      long row,
      long columnsAt,
      int dim,
      int from,
      int to) {
    int low = clamp(panel.low(0), from, to);
    int high = clamp(panel.high(panel.last(0)), from, to);
    if (panel.vectors() <= 2) {
      product(panel, blockAt, rows, rowsAt, row, columnsAt, dim, from, 0, 2, low, high);
      return;
    }
    int low2 = clamp(panel.low(2), from, to);
    int high2 = clamp(panel.high(panel.last(2)), from, to);
    int left = Math.min(high, low2);
    int right = Math.max(high, low2);
    product(panel, blockAt, rows, rowsAt, row, columnsAt, dim, from, 0, 2, low, left);
    product(panel, blockAt, rows, rowsAt, row, columnsAt, dim, from, 0, 4, low2, high);
    product(panel, blockAt, rows, rowsAt, row, columnsAt, dim, from, 2, 2, right, high2);
  }

  private static void product(
      AttentionPanel panel,
      long blockAt,
      MemorySegment rows,
      long rowsAt,
      long row,
      long columnsAt,
      int dim,
      int from,
      int vector,
      int vectors,
      int low,
      int high) {
    if (low < high) {
      long column = (long) vector * Lanes.BYTES;
      TileProduct.multiply(
          panel.scratch(),
          blockAt + (low - from) * ROW + column,
          ROW,
          rows,
          rowsAt + low * row,
          row,
          Float.BYTES,
          panel.scratch(),
          columnsAt + column,
          ROW,
          high - low,
          vectors,
          dim,
          false);
    }
  }

  private static int clamp(int key, int from, int to) {
    return Math.max(from, Math.min(to, key));
  }

  /**
   * Adds the position's slope to the scores of vector {@code v} and hides the keys that a query
   * does not see, over the keys {@code [from, to)} of the vector's range.
   *
   * @param at the vector's scores of key {@code from}
   */
  static void restrict(AttentionPanel panel, long at, int v, int from, int to, int head) {
    MemorySegment m = panel.scratch();
    MaskView mask = panel.mask();
    if (mask.slopes() != null) {
      slope(m, at, to - from, mask.slope(head), from, panel.position() + v * Lanes.COUNT);
    }
    if (mask.keyMask() != null) {
      for (int j = from; j < to; j++) {
        if (mask.hides(panel.shape(), panel.batch(), j)) {
          Lanes.store(Lanes.broadcast(HIDDEN), m, at + (j - from) * ROW);
        }
      }
    }
    int full = clamp(panel.fullLow(v), from, to);
    int fullEnd = clamp(panel.fullHigh(v), full, to);
    long lane = panel.limitsAt() + (long) v * Lanes.BYTES;
    hide(m, at, full - from, from, lane);
    hide(m, at + (fullEnd - from) * ROW, to - fullEnd, fullEnd, lane);
  }

  /** {@code s = c · tanh(s / c)}. */
  static void cap(MemorySegment m, long at, int rows, float c) {
    for (int r = 0; r < rows; r++, at += ROW) {
      Lanes.store(VectorMath.tanh(Lanes.load(m, at).div(c)).mul(c), m, at);
    }
  }

  /** {@code t = tanh(s / c)}, {@code s = c · t}, {@code dp = (dp − delta) · (1 − t²)}. */
  static void capWithGradient(
      MemorySegment m, long at, long gradAt, int rows, float c, long deltaAt) {
    FloatVector delta = Lanes.load(m, deltaAt);
    for (int r = 0; r < rows; r++, at += ROW, gradAt += ROW) {
      FloatVector t = VectorMath.tanh(Lanes.load(m, at).div(c));
      FloatVector slope = Lanes.broadcast(1f).sub(t.mul(t));
      Lanes.store(t.mul(c), m, at);
      Lanes.store(Lanes.load(m, gradAt).sub(delta).mul(slope), m, gradAt);
    }
  }

  /**
   * {@code s += slope · (j − i)} for key {@code firstKey + r} in row r and the queries from {@code
   * position} on.
   */
  private static void slope(
      MemorySegment m, long at, int rows, float slope, int firstKey, int position) {
    FloatVector positions = IOTA.add(position);
    FloatVector factor = Lanes.broadcast(slope);
    for (int r = 0; r < rows; r++, at += ROW) {
      FloatVector distance = Lanes.broadcast(firstKey + r).sub(positions);
      Lanes.store(distance.fma(factor, Lanes.load(m, at)), m, at);
    }
  }

  /** {@code s *= factor}. */
  static void scale(MemorySegment m, long at, int rows, float factor) {
    FloatVector f = Lanes.broadcast(factor);
    for (int r = 0; r < rows; r++, at += ROW) {
      Lanes.store(Lanes.load(m, at).mul(f), m, at);
    }
  }

  /** {@code x *= f} for a column of factors that lies as x does. */
  static void multiply(MemorySegment m, long at, long factorsAt, int rows) {
    for (int r = 0; r < rows; r++, at += ROW, factorsAt += ROW) {
      Lanes.store(Lanes.load(m, at).mul(Lanes.load(m, factorsAt)), m, at);
    }
  }

  /** Hides keys, {@code firstKey} in row 0, from the queries outside whose limits they lie. */
  private static void hide(MemorySegment m, long at, int rows, int firstKey, long limitsAt) {
    FloatVector first = Lanes.load(m, limitsAt);
    FloatVector end = Lanes.load(m, limitsAt + ROW);
    for (int r = 0; r < rows; r++, at += ROW) {
      float key = firstKey + r;
      VectorMask<Float> seen = first.compare(LE, key).and(end.compare(GT, key));
      Lanes.store(Lanes.broadcast(HIDDEN).blend(Lanes.load(m, at), seen), m, at);
    }
  }

  /**
   * {@code p = exp(s − lse)} in place of s and {@code ds = p · (dp − delta) · scale} in place of
   * dp.
   *
   * @param lseAt lse of the vector's queries
   * @param deltaAt delta of the vector's queries
   */
  static void gradient(
      MemorySegment m, long at, long gradAt, int rows, long lseAt, long deltaAt, float scale) {
    FloatVector lse = Lanes.load(m, lseAt);
    FloatVector delta = Lanes.load(m, deltaAt);
    FloatVector factor = Lanes.broadcast(scale);
    for (int r = 0; r < rows; r++, at += ROW, gradAt += ROW) {
      FloatVector p = VectorMath.expOfNegative(Lanes.load(m, at).sub(lse));
      Lanes.store(p, m, at);
      Lanes.store(Lanes.load(m, gradAt).sub(delta).mul(p.mul(factor)), m, gradAt);
    }
  }
}
