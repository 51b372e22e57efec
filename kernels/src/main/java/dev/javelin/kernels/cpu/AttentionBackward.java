package dev.javelin.kernels.cpu;

import static dev.javelin.kernels.cpu.AttentionPanel.ROW;
import static dev.javelin.kernels.cpu.AttentionPanel.WIDTH;
import static dev.javelin.kernels.cpu.AttentionScores.KEYS;
import static jdk.incubator.vector.VectorOperators.EQ;

import dev.javelin.device.Cpu;
import java.lang.foreign.MemorySegment;
import jdk.incubator.vector.FloatVector;
import org.jspecify.annotations.Nullable;

/**
 * The backward pass of one key head and its query heads. For each panel of queries and each block
 * of keys the probabilities are computed again from lse:
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
 * <p>dK and dV of the whole head are summed in scratch memory in the order of the query heads and
 * panels, and written at the end.
 */
final class AttentionBackward {
  private final @Nullable HeadGrad dq;
  private final @Nullable HeadGrad dk;
  private final @Nullable HeadGrad dv;
  private final HeadMatrix gradOut;
  private final HeadMatrix out;
  private final MemorySegment lse;
  private final HeadMatrix q;
  private final HeadMatrix k;
  private final HeadMatrix v;
  private final AttentionShape shape;
  private final MaskView mask;
  private final @Nullable AttentionDropout dropout;
  private final int dim;
  private final long rowBytes;
  private final long limitsAt;
  private final long queryAt;
  private final long gradOutAt;
  private final long outAt;
  private final long scoresAt;
  private final long gradScoresAt;
  private final long factorsAt;
  private final long lseAt;
  private final long deltaAt;
  private final long zeroAt;
  private final long dqAt;
  private final long dkAt;
  private final long dvAt;
  private final long tempAt;
  private final long scratchBytes;

  AttentionBackward(
      @Nullable HeadGrad dq,
      @Nullable HeadGrad dk,
      @Nullable HeadGrad dv,
      HeadView gradOut,
      HeadView o,
      MemorySegment lse,
      HeadView q,
      HeadView k,
      HeadView v,
      AttentionShape shape,
      MaskView mask,
      @Nullable AttentionDropout dropout) {
    this.dq = dq;
    this.dk = dk;
    this.dv = dv;
    this.lse = lse;
    this.shape = shape;
    this.mask = mask;
    this.dropout = dropout;
    this.dim = Lanes.pad(shape.dim());
    this.rowBytes = 4L * dim;
    ScratchLayout layout = new ScratchLayout();
    this.gradOut = new HeadMatrix(gradOut, shape.dim(), WIDTH, layout);
    this.out = new HeadMatrix(o, shape.dim(), WIDTH, layout);
    this.q = new HeadMatrix(q, shape.dim(), WIDTH, layout);
    this.k = new HeadMatrix(k, shape.dim(), shape.keys(), layout);
    this.v = new HeadMatrix(v, shape.dim(), shape.keys(), layout);
    this.limitsAt = layout.reserve(AttentionPanel.LIMITS);
    this.queryAt = layout.reserve(dim * ROW);
    this.gradOutAt = layout.reserve(dim * ROW);
    this.outAt = layout.reserve(dim * ROW);
    this.scoresAt = layout.reserve(KEYS * ROW);
    this.gradScoresAt = layout.reserve(KEYS * ROW);
    this.factorsAt = layout.reserve(dropout == null ? 0 : KEYS * ROW);
    this.lseAt = layout.reserve(ROW);
    this.deltaAt = layout.reserve(ROW);
    this.zeroAt = layout.reserve(Lanes.BYTES);
    this.dqAt = layout.reserve(WIDTH * rowBytes);
    this.dkAt = layout.reserve(shape.keys() * rowBytes);
    this.dvAt = layout.reserve(shape.keys() * rowBytes);
    this.tempAt = layout.reserve(rowBytes);
    this.scratchBytes = layout.bytes();
  }

  /** A panel for one piece of work, with the scratch memory of the calling thread. */
  AttentionPanel panel(Cpu cpu) {
    return new AttentionPanel(shape, mask, cpu.scratch(scratchBytes), limitsAt);
  }

  void run(AttentionPanel panel, int batch, int kvHead) {
    MemorySegment scratch = panel.scratch();
    panel.keysAt = k.open(scratch, batch, 0, kvHead, shape.keys());
    panel.valuesAt = v.open(scratch, batch, 0, kvHead, shape.keys());
    HeadRows.clear(scratch, dkAt, shape.keys() * rowBytes);
    HeadRows.clear(scratch, dvAt, shape.keys() * rowBytes);
    for (int start = 0; start < shape.queries(); start += WIDTH) {
      panel.moveTo(batch, start);
      for (int h = kvHead * shape.group(); h < (kvHead + 1) * shape.group(); h++) {
        open(panel, h);
        int begin = panel.low() / KEYS * KEYS;
        for (int from = begin; from < panel.high(); from += KEYS) {
          block(panel, h, from, Math.min(from + KEYS, panel.high()));
        }
        put(scratch, dq, dqAt, batch, start, h, panel.count());
      }
    }
    put(scratch, dk, dkAt, batch, 0, kvHead, shape.keys());
    put(scratch, dv, dvAt, batch, 0, kvHead, shape.keys());
  }

  private void put(
      MemorySegment scratch, @Nullable HeadGrad g, long at, int batch, int time, int head, int n) {
    for (int t = 0; g != null && t < n; t++) {
      HeadView view = g.view();
      HeadRows.put(
          view,
          view.at(batch, time + t, head),
          scratch,
          at + t * rowBytes,
          tempAt,
          shape.dim(),
          g.accumulate());
    }
  }

  /** Transposes the panel's queries and output gradients; delta and lse into lanes. */
  private void open(AttentionPanel panel, int head) {
    MemorySegment scratch = panel.scratch();
    int batch = panel.batch();
    int start = panel.start();
    int count = panel.count();
    int width = panel.width();
    panel.queriesAt = q.open(scratch, batch, start, head, count);
    panel.gradOutAt = gradOut.open(scratch, batch, start, head, count);
    long o = out.open(scratch, batch, start, head, count);
    transpose(scratch, queryAt, q, panel.queriesAt, count, width, mask.scale());
    transpose(scratch, gradOutAt, gradOut, panel.gradOutAt, count, width, 1f);
    transpose(scratch, outAt, out, o, count, width, 1f);
    HeadRows.clear(scratch, dqAt, count * rowBytes);
    for (long i = 0; i < 4L * width; i += Lanes.BYTES) {
      delta(scratch, i);
    }
    HeadRows.clear(scratch, lseAt, ROW);
    HeadRows.clear(scratch, zeroAt, Lanes.BYTES);
    long first = (batch * (long) shape.queryHeads() + head) * shape.queries() + start;
    MemorySegment.copy(lse, 4L * first, scratch, lseAt, 4L * count);
    for (long i = lseAt; i < lseAt + ROW; i += Lanes.BYTES) {
      FloatVector x = Lanes.load(scratch, i);
      // exp(s - ∞) = 0: a query that sees nothing has no probabilities
      Lanes.store(
          x.blend(Float.POSITIVE_INFINITY, x.compare(EQ, Float.NEGATIVE_INFINITY)), scratch, i);
    }
  }

  private void transpose(
      MemorySegment scratch, long to, HeadMatrix m, long at, int count, int width, float factor) {
    HeadRows.transpose(scratch, to, ROW, m.data(scratch), at, m.row(), count, dim, width, factor);
  }

  /**
   * In the order in which dP is summed, so that a query that sees one key, whose O is that key's V,
   * has dP − delta = 0 exactly.
   */
  private void delta(MemorySegment scratch, long lane) {
    FloatVector sum = Lanes.zero();
    for (long i = lane; i < lane + dim * ROW; i += ROW) {
      sum = Lanes.load(scratch, outAt + i).fma(Lanes.load(scratch, gradOutAt + i), sum);
    }
    Lanes.store(sum, scratch, deltaAt + lane);
  }

  private void block(AttentionPanel panel, int head, int from, int to) {
    MemorySegment scratch = panel.scratch();
    AttentionScores.product(
        panel, scoresAt, k.data(scratch), panel.keysAt, k.row(), queryAt, dim, from, to);
    AttentionScores.product(
        panel, gradScoresAt, v.data(scratch), panel.valuesAt, v.row(), gradOutAt, dim, from, to);
    if (dropout != null) {
      panel.drop(dropout, factorsAt, head, from, to);
    }
    for (int i = 0; i < panel.vectors(); i++) {
      int low = Math.max(from, Math.min(to, panel.low(i)));
      int high = Math.max(low, Math.min(to, panel.high(i)));
      if (low < high) {
        vector(panel, i, head, from, low, high);
      }
    }
    keyGradients(panel, from, to);
  }

  /** P and dS of one vector of queries, and its share of dQ. */
  private void vector(AttentionPanel panel, int i, int head, int from, int low, int high) {
    MemorySegment scratch = panel.scratch();
    long lane = (long) i * Lanes.BYTES;
    long at = scoresAt + (low - from) * ROW + lane;
    long gradAt = gradScoresAt + (low - from) * ROW + lane;
    long delta = deltaAt + lane;
    long factor = at - scoresAt + factorsAt;
    if (dropout != null) {
      AttentionScores.multiply(scratch, gradAt, factor, high - low);
    }
    if (mask.softCap() != 0) {
      AttentionScores.capWithGradient(scratch, at, gradAt, high - low, mask.softCap(), delta);
      delta = zeroAt;
    }
    AttentionScores.restrict(panel, at, i, low, high, head);
    AttentionScores.gradient(scratch, at, gradAt, high - low, lseAt + lane, delta, mask.scale());
    if (dropout != null) {
      AttentionScores.multiply(scratch, at, factor, high - low);
    }
    if (dq != null) {
      TileProduct.multiply(
          scratch,
          dqAt + i * Lanes.COUNT * rowBytes,
          rowBytes,
          scratch,
          gradAt,
          Float.BYTES,
          ROW,
          k.data(scratch),
          panel.keysAt + low * k.row(),
          k.row(),
          panel.queries(i),
          dim / Lanes.COUNT,
          high - low,
          true);
    }
  }

  /** Adds the panel's share to dK and dV of a block of keys, in runs that meet the same vectors. */
  private void keyGradients(AttentionPanel panel, int from, int to) {
    int key = from;
    while (key < to) {
      int first = 0;
      while (first < panel.vectors() && panel.high(first) <= key) {
        first++;
      }
      int behind = first;
      while (behind < panel.vectors() && panel.low(behind) <= key) {
        behind++;
      }
      int next = to;
      for (int i = 0; i < panel.vectors(); i++) {
        next = panel.low(i) > key ? Math.min(next, panel.low(i)) : next;
        next = panel.high(i) > key ? Math.min(next, panel.high(i)) : next;
      }
      int query = first * Lanes.COUNT;
      int queries = Math.min(panel.count(), behind * Lanes.COUNT) - query;
      if (queries > 0) {
        long at = (key - from) * ROW + 4L * query;
        if (dv != null) {
          long rows = panel.gradOutAt + query * gradOut.row();
          keyGradient(panel.scratch(), dvAt, scoresAt + at, gradOut, rows, queries, key, next);
        }
        if (dk != null) {
          long rows = panel.queriesAt + query * q.row();
          keyGradient(panel.scratch(), dkAt, gradScoresAt + at, q, rows, queries, key, next);
        }
      }
      key = next;
    }
  }

  private void keyGradient(
      MemorySegment scratch,
      long gradAt,
      long at,
      HeadMatrix rows,
      long rowsAt,
      int queries,
      int key,
      int end) {
    TileProduct.multiply(
        scratch,
        gradAt + key * rowBytes,
        rowBytes,
        scratch,
        at,
        ROW,
        Float.BYTES,
        rows.data(scratch),
        rowsAt,
        rows.row(),
        end - key,
        dim / Lanes.COUNT,
        queries,
        true);
  }
}
