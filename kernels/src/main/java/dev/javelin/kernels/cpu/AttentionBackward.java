package dev.javelin.kernels.cpu;

import static dev.javelin.kernels.cpu.AttentionPanel.ROW;
import static dev.javelin.kernels.cpu.AttentionPanel.WIDTH;
import static dev.javelin.kernels.cpu.AttentionScores.KEYS;
import static jdk.incubator.vector.VectorOperators.EQ;

import java.lang.foreign.MemorySegment;
import jdk.incubator.vector.FloatVector;
import org.jspecify.annotations.Nullable;

/**
 * The backward pass of attention. For each panel of queries and each block of keys the
 * probabilities are computed again from lse:
 *
 * <pre>
 *   S  = K·(scale·Q)ᵀ      P  = exp(S − lse)
 *   dP = V·dOᵀ             dS = scale · P · (dP − delta),  delta_i = Σ_d dO[i,d] · O[i,d]
 *   dV += P·dO             dK += dS·Q             dQ += dSᵀ·K
 * </pre>
 *
 * With dropout, dP is multiplied by the factors before it enters dS, and P before it enters dV;
 * delta is the same formula, O having been summed with them.
 *
 * <p>This class has what lies between the products, which are fp32 in {@link AttentionBackwardF32}
 * and bf16 in {@link AttentionBackwardBf16}. The sums are those of {@link AttentionGradient}.
 */
abstract class AttentionBackward extends AttentionGradient {
  final HeadMatrix gradOut;
  final @Nullable AttentionDropout dropout;
  final long scoresAt;
  final long gradScoresAt;

  private final HeadMatrix out;
  private final MemorySegment lse;
  private final long outAt;
  private final long factorsAt;
  private final long lseAt;
  private final long deltaAt;
  private final long zeroAt;

  /**
   * @param keepsGradOut whether output gradients of all slots stay readable
   */
  AttentionBackward(
      @Nullable HeadGrad dq,
      @Nullable HeadGrad dk,
      @Nullable HeadGrad dv,
      HeadView gradOut,
      boolean keepsGradOut,
      HeadView o,
      MemorySegment lse,
      AttentionShape shape,
      MaskView mask,
      @Nullable AttentionDropout dropout) {
    super(dq, dk, dv, shape, mask);
    this.lse = lse;
    this.dropout = dropout;
    int places = keepsGradOut ? slots() : 1;
    this.gradOut = new HeadMatrix(gradOut, shape.dim(), places * WIDTH, layout);
    this.out = new HeadMatrix(o, shape.dim(), WIDTH, layout);
    this.outAt = layout.reserve(dim * ROW);
    this.scoresAt = layout.reserve(KEYS * ROW);
    this.gradScoresAt = layout.reserve(KEYS * ROW);
    this.factorsAt = layout.reserve(dropout == null ? 0 : KEYS * ROW);
    this.lseAt = layout.reserve(slots() * ROW);
    this.deltaAt = layout.reserve(slots() * ROW);
    this.zeroAt = layout.reserve(Lanes.BYTES);
  }

  /**
   * Transposes the panel's output gradients to {@code gradOutAt}; delta and lse into lanes.
   *
   * @param place of the output gradients among those that are kept
   */
  final void openLanes(AttentionPanel panel, int head, int slot, int place, long gradOutAt) {
    MemorySegment scratch = panel.scratch();
    int batch = panel.batch();
    int start = panel.start();
    int count = panel.count();
    long gradients = gradOut.open(scratch, batch, start, head, count, place * WIDTH);
    long o = out.open(scratch, batch, start, head, count);
    transpose(panel, gradOutAt, gradOut, gradients, 1f);
    transpose(panel, outAt, out, o, 1f);
    for (long i = 0; i < 4L * panel.width(); i += Lanes.BYTES) {
      delta(scratch, i, gradOutAt, deltaAt + slot * ROW);
    }
    long lanes = lseAt + slot * ROW;
    HeadRows.clear(scratch, lanes, ROW);
    HeadRows.clear(scratch, zeroAt, Lanes.BYTES);
    long first = (batch * (long) shape.queryHeads() + head) * shape.queries() + start;
    MemorySegment.copy(lse, 4L * first, scratch, lanes, 4L * count);
    for (long i = lanes; i < lanes + ROW; i += Lanes.BYTES) {
      FloatVector x = Lanes.load(scratch, i);
      // exp(s - ∞) = 0: a query that sees nothing has no probabilities
      Lanes.store(
          x.blend(Float.POSITIVE_INFINITY, x.compare(EQ, Float.NEGATIVE_INFINITY)), scratch, i);
    }
  }

  final void transpose(AttentionPanel panel, long to, HeadMatrix m, long at, float factor) {
    MemorySegment scratch = panel.scratch();
    HeadRows.transpose(
        scratch, to, ROW, m.data(scratch), at, m.row(), panel.count(), dim, panel.width(), factor);
  }

  /**
   * In the order in which dP is summed in fp32, so that a query that sees one key, whose O is that
   * key's V, has dP − delta = 0 exactly.
   */
  private void delta(MemorySegment scratch, long lane, long gradOutAt, long to) {
    FloatVector sum = Lanes.zero();
    for (long i = lane; i < lane + dim * ROW; i += ROW) {
      sum = Lanes.load(scratch, outAt + i).fma(Lanes.load(scratch, gradOutAt + i), sum);
    }
    Lanes.store(sum, scratch, to + lane);
  }

  /** Draws the factors of a block. */
  final void drop(AttentionPanel panel, int head, int from, int to) {
    if (dropout != null) {
      panel.drop(dropout, factorsAt, head, from, to);
    }
  }

  /**
   * P in place of S and dS in place of dP for one vector of queries and the keys {@code [low,
   * high)} of the block that begins at {@code from}.
   */
  final void weigh(AttentionPanel panel, int i, int head, int slot, int from, int low, int high) {
    MemorySegment scratch = panel.scratch();
    long lane = (long) i * Lanes.BYTES;
    long at = scoresAt + (low - from) * ROW + lane;
    long gradAt = gradScoresAt + (low - from) * ROW + lane;
    long lse = lseAt + slot * ROW + lane;
    long delta = deltaAt + slot * ROW + lane;
    long factor = at - scoresAt + factorsAt;
    if (dropout != null) {
      AttentionScores.multiply(scratch, gradAt, factor, high - low);
    }
    if (mask.softCap() != 0) {
      AttentionScores.capWithGradient(scratch, at, gradAt, high - low, mask.softCap(), delta);
      delta = zeroAt;
    }
    AttentionScores.restrict(panel, at, i, low, high, head);
    AttentionScores.gradient(scratch, at, gradAt, high - low, lse, delta, mask.scale());
    if (dropout != null) {
      AttentionScores.multiply(scratch, at, factor, high - low);
    }
  }
}
