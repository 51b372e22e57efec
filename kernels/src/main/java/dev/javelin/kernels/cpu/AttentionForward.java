package dev.javelin.kernels.cpu;

import static dev.javelin.kernels.cpu.AttentionPanel.ROW;
import static dev.javelin.kernels.cpu.AttentionPanel.WIDTH;
import static dev.javelin.kernels.cpu.AttentionScores.KEYS;
import static dev.javelin.kernels.cpu.AttentionSoftmax.MAX;
import static dev.javelin.kernels.cpu.AttentionSoftmax.SHRINK;
import static dev.javelin.kernels.cpu.AttentionSoftmax.STATE;
import static dev.javelin.kernels.cpu.AttentionSoftmax.SUM;

import dev.javelin.device.Cpu;
import java.lang.foreign.MemorySegment;
import jdk.incubator.vector.FloatVector;
import org.jspecify.annotations.Nullable;

/**
 * The forward pass over panels of queries. For each block of keys: {@code S = K·(scale·Q)ᵀ}, the
 * online softmax down its columns, {@code O = shrink·O + Pᵀ·V}, with dropout after P has been
 * summed. This class has all but the products.
 */
abstract class AttentionForward {
  final AttentionShape shape;
  final MaskView mask;
  final int dim;
  final long rowBytes;
  final ScratchLayout layout = new ScratchLayout();
  final long blockAt;
  final long outAt;

  private final @Nullable AttentionDropout dropout;
  private final HeadView o;
  private final MemorySegment lse;
  private final long limitsAt;
  private final long factorsAt;
  private final long stateAt;

  AttentionForward(
      HeadView o,
      MemorySegment lse,
      AttentionShape shape,
      MaskView mask,
      @Nullable AttentionDropout dropout) {
    this.shape = shape;
    this.mask = mask;
    this.dropout = dropout;
    this.o = o;
    this.lse = lse;
    this.dim = Lanes.pad(shape.dim());
    this.rowBytes = 4L * dim;
    this.limitsAt = layout.reserve(AttentionPanel.LIMITS);
    this.blockAt = layout.reserve(KEYS * ROW);
    this.factorsAt = layout.reserve(dropout == null ? 0 : KEYS * ROW);
    this.outAt = layout.reserve(WIDTH * rowBytes);
    this.stateAt = layout.reserve(STATE);
  }

  /** A panel for one piece of work, with the scratch memory of the calling thread. */
  final AttentionPanel panel(Cpu cpu) {
    AttentionPanel panel = new AttentionPanel(shape, mask, cpu.scratch(layout.bytes()), limitsAt);
    panel.operands = operands(panel.scratch());
    return panel;
  }

  /** What the products of a thread want to be there once; see {@link AttentionPanel#operands}. */
  MatmulOperand[] operands(MemorySegment scratch) {
    return AttentionPanel.NO_OPERANDS;
  }

  /** Makes the keys and values of a key head readable. */
  abstract void openHead(AttentionPanel panel, int batch, int kvHead);

  /** Makes a panel's queries readable. */
  abstract void open(AttentionPanel panel, int head);

  /** The scores of a block of keys. */
  abstract void scores(AttentionPanel panel, int from, int to);

  /**
   * Adds what one vector of queries gets of the values {@code [low, high)}, of which there may be
   * none.
   *
   * @param add whether something was summed before; otherwise O is replaced
   */
  abstract void values(AttentionPanel panel, int i, int from, int low, int high, boolean add);

  /** Adds what the panel gets of the values of a block, where that is not done by the vector. */
  abstract void values(AttentionPanel panel, int from, int to);

  /** The panels {@code [from, to)} of all query heads of a key head. */
  final void run(AttentionPanel panel, int batch, int kvHead, int from, int to) {
    openHead(panel, batch, kvHead);
    for (int p = from; p < to; p++) {
      panel.moveTo(batch, p * WIDTH);
      for (int h = kvHead * shape.group(); h < (kvHead + 1) * shape.group(); h++) {
        attend(panel, h);
        finish(panel, h);
      }
    }
  }

  private void attend(AttentionPanel panel, int head) {
    MemorySegment scratch = panel.scratch();
    open(panel, head);
    for (long i = stateAt; i < stateAt + ROW; i += Lanes.BYTES) {
      Lanes.store(Lanes.broadcast(Float.NEGATIVE_INFINITY), scratch, i + MAX);
      Lanes.store(Lanes.zero(), scratch, i + SUM);
    }
    int begin = panel.low() / KEYS * KEYS;
    int end = panel.high();
    if (begin >= end) {
      HeadRows.clear(scratch, outAt, WIDTH * rowBytes);
    }
    for (int from = begin; from < end; from += KEYS) {
      int to = Math.min(from + KEYS, end);
      scores(panel, from, to);
      if (dropout != null) {
        panel.drop(dropout, factorsAt, head, from, to);
      }
      for (int i = 0; i < panel.vectors(); i++) {
        vector(panel, i, head, from, to, from > begin);
      }
      values(panel, from, to);
    }
  }

  /** Softmax of one vector of queries over a block of keys, and its products with the values. */
  private void vector(AttentionPanel panel, int i, int head, int from, int to, boolean add) {
    MemorySegment scratch = panel.scratch();
    int low = Math.max(from, Math.min(to, panel.low(i)));
    int high = Math.max(low, Math.min(to, panel.high(i)));
    long lane = (long) i * Lanes.BYTES;
    long at = blockAt + (low - from) * ROW + lane;
    if (low < high) {
      if (mask.softCap() != 0) {
        AttentionScores.cap(scratch, at, high - low, mask.softCap());
      }
      AttentionScores.restrict(panel, at, i, low, high, head);
      panel.softmax().step(stateAt + lane, at, high - low);
      if (dropout != null) {
        AttentionScores.multiply(scratch, at, at - blockAt + factorsAt, high - low);
      }
      if (add) {
        shrink(scratch, i * Lanes.COUNT, panel.queries(i));
      }
    }
    values(panel, i, from, low, high, add);
  }

  private void shrink(MemorySegment scratch, int first, int count) {
    for (int t = first; t < first + count; t++) {
      float factor = scratch.get(HeadRows.FLOAT, stateAt + SHRINK + 4L * t);
      if (factor != 1f) {
        scale(scratch, outAt + t * rowBytes, factor);
      }
    }
  }

  private void scale(MemorySegment scratch, long at, float factor) {
    FloatVector f = Lanes.broadcast(factor);
    for (long j = at; j < at + rowBytes; j += Lanes.BYTES) {
      Lanes.store(Lanes.load(scratch, j).mul(f), scratch, j);
    }
  }

  /** {@code O = O / l}, {@code lse = m + ln l}; zero and −∞ for a query that has seen nothing. */
  private void finish(AttentionPanel panel, int head) {
    MemorySegment scratch = panel.scratch();
    for (int i = 0; i < panel.vectors(); i++) {
      panel.softmax().finish(stateAt + (long) i * Lanes.BYTES);
    }
    int count = panel.count();
    long lseAt = 4L * ((panel.batch() * (long) shape.queryHeads() + head) * shape.queries());
    MemorySegment.copy(scratch, stateAt + SUM, lse, lseAt + 4L * panel.start(), 4L * count);
    for (int t = 0; t < count; t++) {
      long row = outAt + t * rowBytes;
      scale(scratch, row, scratch.get(HeadRows.FLOAT, stateAt + SHRINK + 4L * t));
      HeadRows.put(
          o, o.at(panel.batch(), panel.start() + t, head), scratch, row, row, shape.dim(), false);
    }
  }
}
