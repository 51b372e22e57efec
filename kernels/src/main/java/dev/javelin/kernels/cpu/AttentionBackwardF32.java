package dev.javelin.kernels.cpu;

import static dev.javelin.kernels.cpu.AttentionPanel.ROW;
import static dev.javelin.kernels.cpu.AttentionPanel.WIDTH;

import java.lang.foreign.MemorySegment;
import org.jspecify.annotations.Nullable;

/** The backward pass with fp32 products: heads of other types are widened first. */
final class AttentionBackwardF32 extends AttentionBackward {
  private final HeadMatrix q;
  private final HeadMatrix k;
  private final HeadMatrix v;
  private final long queryAt;
  private final long gradOutAt;

  AttentionBackwardF32(
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
    super(dq, dk, dv, gradOut, true, o, lse, shape, mask, dropout);
    this.q = new HeadMatrix(q, shape.dim(), slots() * WIDTH, layout);
    this.k = new HeadMatrix(k, shape.dim(), shape.keys(), layout);
    this.v = new HeadMatrix(v, shape.dim(), shape.keys(), layout);
    this.queryAt = layout.reserve((long) slots() * dim * ROW);
    this.gradOutAt = layout.reserve((long) slots() * dim * ROW);
  }

  @Override
  void openHead(AttentionPanel panel, int batch, int kvHead) {
    k.open(panel.scratch(), batch, 0, kvHead, shape.keys());
    v.open(panel.scratch(), batch, 0, kvHead, shape.keys());
  }

  @Override
  void open(AttentionPanel panel, int head, int slot) {
    long columns = (long) slot * dim * ROW;
    long queries =
        q.open(panel.scratch(), panel.batch(), panel.start(), head, panel.count(), slot * WIDTH);
    transpose(panel, queryAt + columns, q, queries, mask.scale());
    openLanes(panel, head, slot, slot, gradOutAt + columns);
  }

  @Override
  void block(
      AttentionPanel panel, int head, int slot, MemorySegment sums, long sumsAt, int from, int to) {
    MemorySegment scratch = panel.scratch();
    int kvHead = head / shape.group();
    long keys = k.at(panel.batch(), 0, kvHead);
    long values = v.at(panel.batch(), 0, kvHead);
    long columns = (long) slot * dim * ROW;
    AttentionScores.product(
        panel, scoresAt, k.data(scratch), keys, k.row(), queryAt + columns, dim, from, to);
    AttentionScores.product(
        panel, gradScoresAt, v.data(scratch), values, v.row(), gradOutAt + columns, dim, from, to);
    drop(panel, head, from, to);
    for (int i = 0; i < panel.vectors(); i++) {
      int low = Math.max(from, Math.min(to, panel.low(i)));
      int high = Math.max(low, Math.min(to, panel.high(i)));
      if (low < high) {
        weigh(panel, i, head, slot, from, low, high);
        if (wantsQueries) {
          queryGradient(panel, i, slot, keys, from, low, high);
        }
      }
    }
    keyGradients(panel, head, slot, sums, sumsAt, from, to);
  }

  /** The share of one vector of queries in dQ. */
  private void queryGradient(
      AttentionPanel panel, int i, int slot, long keys, int from, int low, int high) {
    MemorySegment scratch = panel.scratch();
    TileProduct.multiply(
        scratch,
        dq(slot, i * Lanes.COUNT),
        rowBytes,
        scratch,
        gradScoresAt + (low - from) * ROW + (long) i * Lanes.BYTES,
        Float.BYTES,
        ROW,
        k.data(scratch),
        keys + low * k.row(),
        k.row(),
        panel.queries(i),
        dim / Lanes.COUNT,
        high - low,
        true);
  }

  /** Adds the panel's share to dK and dV of a block of keys, in runs that meet the same vectors. */
  private void keyGradients(
      AttentionPanel panel, int head, int slot, MemorySegment sums, long sumsAt, int from, int to) {
    MemorySegment scratch = panel.scratch();
    long queryRows = q.at(panel.batch(), panel.start(), head, slot * WIDTH);
    long gradOutRows = gradOut.at(panel.batch(), panel.start(), head, slot * WIDTH);
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
        if (wantsValues) {
          long rows = gradOutRows + query * gradOut.row();
          long sum = dv(sumsAt, key);
          keyGradient(scratch, sums, sum, scoresAt + at, gradOut, rows, queries, next - key);
        }
        if (wantsKeys) {
          long rows = queryRows + query * q.row();
          long sum = dk(sumsAt, key);
          keyGradient(scratch, sums, sum, gradScoresAt + at, q, rows, queries, next - key);
        }
      }
      key = next;
    }
  }

  private void keyGradient(
      MemorySegment scratch,
      MemorySegment sums,
      long sum,
      long at,
      HeadMatrix rows,
      long rowsAt,
      int queries,
      int keys) {
    TileProduct.multiply(
        sums,
        sum,
        rowBytes,
        scratch,
        at,
        ROW,
        Float.BYTES,
        rows.data(scratch),
        rowsAt,
        rows.row(),
        keys,
        dim / Lanes.COUNT,
        queries,
        true);
  }
}
