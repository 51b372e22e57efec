package dev.javelin.kernels.cpu;

import static java.nio.ByteOrder.LITTLE_ENDIAN;
import static jdk.incubator.vector.VectorOperators.EQ;

import java.lang.foreign.MemorySegment;
import jdk.incubator.vector.FloatVector;

/**
 * The online softmax of one vector of queries, down the rows of a block of scores, each row {@link
 * AttentionPanel#ROW} bytes after the one before. A query that has seen nothing keeps {@code m =
 * −∞}.
 *
 * <p>Milakov & Gimelshein 2018, arXiv:1805.02867.
 */
final class AttentionSoftmax {
  private static final long ROW = AttentionPanel.ROW;

  /** Rows of the state: m, the largest score so far. */
  static final long MAX = 0;

  /** l, the sum of exponentials. */
  static final long SUM = ROW;

  /** The factor that the last step puts on what was summed before. */
  static final long SHRINK = 2 * ROW;

  /** The largest score, or 0 where there is none. */
  static final long BASE = 3 * ROW;

  /** Bytes of the state. */
  static final long STATE = 4 * ROW;

  private static final float HIDDEN = Float.NEGATIVE_INFINITY;

  private final RowPass<AttentionSoftmax> raise = AttentionSoftmax::raise;
  private final RowPass<AttentionSoftmax> shrink = AttentionSoftmax::shrink;
  private final RowPass<AttentionSoftmax> exponentials = AttentionSoftmax::exponentials;
  private final RowPass<AttentionSoftmax> invert = AttentionSoftmax::invert;
  private final RowPass<AttentionSoftmax> logarithm = AttentionSoftmax::logarithm;
  private final MemorySegment m;
  private long state;
  private long at;
  private int rows;

  /** Scores and state lie in {@code m}. */
  AttentionSoftmax(MemorySegment m) {
    this.m = m;
  }

  /**
   * One step: with {@code m' = max(m, max_r s_r)} the scores become {@code p_r = exp(s_r − m')},
   * the sum {@code l' = l · exp(m − m') + Σ_r p_r}, and {@link #SHRINK} the factor {@code exp(m −
   * m')} for what has been summed before.
   *
   * @param state the byte where the vector's state begins
   * @param at the vector's scores in the first of {@code rows} rows
   */
  void step(long state, long at, int rows) {
    this.state = state;
    this.at = at;
    this.rows = rows;
    RowPass.run(raise, this);
    RowPass.run(shrink, this);
    RowPass.run(exponentials, this);
  }

  /**
   * Ends the softmax: {@link #SHRINK} becomes {@code 1 / l}, {@link #SUM} becomes {@code lse = m +
   * ln l}; 0 and −∞ for a query that has seen nothing.
   */
  void finish(long state) {
    this.state = state;
    RowPass.run(invert, this);
    RowPass.run(logarithm, this);
  }

  private void raise() {
    FloatVector before = Lanes.load(m, state + MAX);
    FloatVector m0 = before;
    FloatVector m1 = before;
    FloatVector m2 = before;
    FloatVector m3 = before;
    long a = at;
    int r = 0;
    for (; r + 4 <= rows; r += 4, a += 4 * ROW) {
      m0 = Lanes.larger(m0, Lanes.load(m, a));
      m1 = Lanes.larger(m1, Lanes.load(m, a + ROW));
      m2 = Lanes.larger(m2, Lanes.load(m, a + 2 * ROW));
      m3 = Lanes.larger(m3, Lanes.load(m, a + 3 * ROW));
    }
    for (; r < rows; r++, a += ROW) {
      m0 = Lanes.larger(m0, Lanes.load(m, a));
    }
    FloatVector max = Lanes.larger(Lanes.larger(m0, m1), Lanes.larger(m2, m3));
    FloatVector base = max.blend(0f, max.compare(EQ, HIDDEN));
    Lanes.store(max, m, state + MAX);
    Lanes.store(base, m, state + BASE);
    Lanes.store(before.sub(base), m, state + SHRINK);
  }

  private void shrink() {
    Lanes.store(VectorMath.expOfNegative(Lanes.load(m, state + SHRINK)), m, state + SHRINK);
  }

  private void exponentials() {
    FloatVector base = Lanes.load(m, state + BASE);
    FloatVector sum = Lanes.load(m, state + SUM).mul(Lanes.load(m, state + SHRINK));
    long a = at;
    for (int r = 0; r < rows; r++, a += ROW) {
      FloatVector p = VectorMath.expOfNegative(Lanes.load(m, a).sub(base));
      Lanes.store(p, m, a);
      sum = sum.add(p);
    }
    Lanes.store(sum, m, state + SUM);
  }

  private void invert() {
    FloatVector max = Lanes.load(m, state + MAX);
    FloatVector inverse = Lanes.broadcast(1f).div(Lanes.load(m, state + SUM));
    Lanes.store(inverse.blend(0f, max.compare(EQ, HIDDEN)), m, state + SHRINK);
  }

  /** The store stands without a helper: after a logarithm the compiler inlines no more of them. */
  private void logarithm() {
    FloatVector max = Lanes.load(m, state + MAX);
    VectorMath.log(Lanes.load(m, state + SUM))
        .add(max)
        .intoMemorySegment(m, state + SUM, LITTLE_ENDIAN);
  }
}
