package dev.javelin.kernels.cpu;

import static dev.javelin.kernels.cpu.AttentionPanel.ROW;
import static dev.javelin.kernels.cpu.AttentionPanel.WIDTH;

import dev.javelin.device.DType;
import java.lang.foreign.MemorySegment;
import org.jspecify.annotations.Nullable;

/**
 * The backward pass over bf16 heads on the processor's bf16 unit: the formulas of {@link
 * AttentionBackward}, with P and dS rounded to bf16 before they enter dV, dK and dQ, and all
 * products those of {@link AttentionPairs}.
 */
final class AttentionBackwardBf16 extends AttentionBackward {
  // Places among the operands of a thread: the rows that are being packed, P or dS.
  private static final int ALONG = 0;
  private static final int ACROSS = 1;
  private static final int BY_KEYS = 2;
  private static final int BY_QUERIES = 3;

  private final AttentionPairs pairs;
  private final HeadView gradOutView;
  private final HeadView q;
  private final HeadView k;
  private final HeadView v;
  private final long rowsAt;
  private final long keyRowsAt;
  private final long keyColumnsAt;
  private final long valueRowsAt;
  private final long slotsAt;
  private final long columnBytes; // of the panels of 64 queries as columns
  private final long slotBytes;
  private final long gradOutAt;

  AttentionBackwardBf16(
      MatmulPairTile tile,
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
    super(dq, dk, dv, gradOut, false, o, lse, shape, mask, dropout);
    this.pairs = new AttentionPairs(tile, shape, layout);
    this.gradOutView = gradOut;
    this.q = q;
    this.k = k;
    this.v = v;
    int d = shape.dim();
    int keys = shape.keys();
    this.rowsAt = layout.reserve(DType.BF16.bytes((long) Math.max(keys, WIDTH) * d));
    this.keyRowsAt = layout.reserve(pairs.rowPanelBytes());
    this.keyColumnsAt = layout.reserve(pairs.columnPanelBytes(d, keys));
    this.valueRowsAt = layout.reserve(pairs.rowPanelBytes());
    this.columnBytes = pairs.columnPanelBytes(WIDTH, d);
    this.slotBytes = 2 * (columnBytes + pairs.columnPanelBytes(d, WIDTH));
    this.slotsAt = layout.reserve(slots() * slotBytes);
    this.gradOutAt = layout.reserve(dim * ROW);
  }

  // A slot: Q and dO as columns of S and dP, then as columns of dK and dV.

  private long queriesAt(int slot) {
    return slotsAt + slot * slotBytes;
  }

  private long gradientsAt(int slot) {
    return queriesAt(slot) + slotBytes / 2;
  }

  @Override
  MatmulOperand[] operands(MemorySegment scratch) {
    int d = shape.dim();
    return new MatmulOperand[] {
      AttentionPairs.operand(scratch, rowsAt, d, true),
      AttentionPairs.operand(scratch, rowsAt, d, false),
      pairs.rounded(scratch, true),
      pairs.rounded(scratch, false)
    };
  }

  @Override
  void openHead(AttentionPanel panel, int batch, int kvHead) {
    MemorySegment scratch = panel.scratch();
    MatmulOperand[] x = panel.operands;
    pairs.copy(scratch, rowsAt, v, batch, 0, kvHead, shape.keys());
    pairs.packRows(scratch, valueRowsAt, x[ALONG]);
    pairs.copy(scratch, rowsAt, k, batch, 0, kvHead, shape.keys());
    pairs.packRows(scratch, keyRowsAt, x[ALONG]);
    pairs.packColumns(scratch, keyColumnsAt, x[ACROSS], shape.dim(), shape.keys());
  }

  @Override
  void open(AttentionPanel panel, int head, int slot) {
    pack(panel, q, head, queriesAt(slot));
    pack(panel, gradOutView, head, gradientsAt(slot));
    openLanes(panel, head, slot, 0, gradOutAt);
  }

  private void pack(AttentionPanel panel, HeadView view, int head, long to) {
    MemorySegment scratch = panel.scratch();
    MatmulOperand[] x = panel.operands;
    int count = panel.count();
    pairs.copy(scratch, rowsAt, view, panel.batch(), panel.start(), head, count);
    pairs.packColumns(scratch, to, x[ALONG], count, shape.dim());
    pairs.packColumns(scratch, to + columnBytes, x[ACROSS], shape.dim(), count);
  }

  @Override
  void block(
      AttentionPanel panel, int head, int slot, MemorySegment sums, long sumsAt, int from, int to) {
    MemorySegment scratch = panel.scratch();
    pairs.scores(panel, scoresAt, keyRowsAt, queriesAt(slot), from, to);
    pairs.scores(panel, gradScoresAt, valueRowsAt, gradientsAt(slot), from, to);
    drop(panel, head, from, to);
    for (int i = 0; i < panel.vectors(); i++) {
      int low = Math.clamp(panel.low(i), from, to);
      int high = Math.clamp(panel.high(i), low, to);
      if (low < high) {
        long at = scoresAt + (low - from) * ROW + (long) i * Lanes.BYTES;
        AttentionScores.scale(scratch, at, high - low, mask.scale());
        weigh(panel, i, head, slot, from, low, high);
      }
    }
    MatmulOperand[] x = panel.operands;
    if (wantsValues) {
      pairs.round(panel, scoresAt, from, to);
      long sum = sums.address() + dv(sumsAt, from);
      pairs.toKeys(panel, x[BY_KEYS], sum, rowBytes, gradientsAt(slot) + columnBytes, from, to);
    }
    if (wantsQueries || wantsKeys) {
      pairs.round(panel, gradScoresAt, from, to);
    }
    if (wantsKeys) {
      long sum = sums.address() + dk(sumsAt, from);
      pairs.toKeys(panel, x[BY_KEYS], sum, rowBytes, queriesAt(slot) + columnBytes, from, to);
    }
    if (wantsQueries) {
      pairs.toQueries(panel, x[BY_QUERIES], dq(slot, 0), rowBytes, keyColumnsAt, from, to);
    }
  }
}
