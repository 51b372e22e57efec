package dev.javelin.kernels.cpu;

import static dev.javelin.kernels.cpu.AttentionPanel.WIDTH;
import static dev.javelin.kernels.cpu.AttentionScores.KEYS;

import dev.javelin.device.Cpu;
import java.lang.foreign.MemorySegment;
import org.jspecify.annotations.Nullable;

/**
 * The loops of the backward pass of attention, whatever computes a block of it. Some panels of
 * neighbouring queries are a span; a span goes over the blocks of keys once, so that a block and
 * its gradients are in the cache for all panels of the span:
 *
 * <pre>
 * for each span of queries
 *   for each panel of it and each query head: open
 *   for each block of keys that one of them sees
 *     for each panel, for each query head: block      dQ of the panel, dK and dV of the block
 *   dQ of the span is written
 * dK and dV are written
 * </pre>
 *
 * dQ is summed in the order of the keys, dK and dV in that of the panels and, within one, of the
 * query heads: by one thread for a key head, or by several in an {@link AttentionWave}. The bits
 * are the same.
 */
abstract class AttentionGradient {
  /** Spans of a head at least, where there are as many panels, so that threads can share it. */
  private static final int SPANS = 8;

  private static final int MAX_PANELS = 4;

  /** Features of all query heads and panels of a span: what they need fits the L2 cache. */
  private static final int SPAN_FEATURES = 256;

  final AttentionShape shape;
  final MaskView mask;
  final int dim;
  final long rowBytes;
  final boolean wantsQueries;
  final boolean wantsKeys;
  final boolean wantsValues;
  final ScratchLayout layout = new ScratchLayout();

  /** Panels of a span. */
  final int panels;

  private final @Nullable HeadGrad dq;
  private final @Nullable HeadGrad dk;
  private final @Nullable HeadGrad dv;
  private final long limitsAt;
  private final long dqAt;
  private final long tempAt;
  private final long sumBytes;

  AttentionGradient(
      @Nullable HeadGrad dq,
      @Nullable HeadGrad dk,
      @Nullable HeadGrad dv,
      AttentionShape shape,
      MaskView mask) {
    this.dq = dq;
    this.dk = dk;
    this.dv = dv;
    this.wantsQueries = dq != null;
    this.wantsKeys = dk != null;
    this.wantsValues = dv != null;
    this.shape = shape;
    this.mask = mask;
    this.dim = Lanes.pad(shape.dim());
    this.rowBytes = 4L * dim;
    int all = Math.ceilDiv(shape.queries(), WIDTH);
    int fit = SPAN_FEATURES / (shape.group() * dim);
    this.panels = Math.clamp(Math.min(fit, all / SPANS), 1, MAX_PANELS);
    this.limitsAt = layout.reserve(panels * AttentionPanel.LIMITS);
    this.dqAt = layout.reserve((long) slots() * WIDTH * rowBytes);
    this.tempAt = layout.reserve(rowBytes);
    this.sumBytes = 2L * shape.keys() * rowBytes;
  }

  /** Panels of a span times query heads of a key head: what is open at a time. */
  final int slots() {
    return panels * shape.group();
  }

  /** Makes the keys and values of a key head readable, for all panels of the thread. */
  abstract void openHead(AttentionPanel panel, int batch, int kvHead);

  /** What the products of a thread want to be there once; see {@link AttentionPanel#operands}. */
  MatmulOperand[] operands(MemorySegment scratch) {
    return AttentionPanel.NO_OPERANDS;
  }

  /** Makes a panel's queries and output gradients readable. */
  abstract void open(AttentionPanel panel, int head, int slot);

  /**
   * Adds what the queries of a panel and the keys {@code [from, to)} give to {@link #dq} and to
   * {@link #dk} and {@link #dv}.
   */
  abstract void block(
      AttentionPanel panel, int head, int slot, MemorySegment sums, long sumsAt, int from, int to);

  /** The place of dQ of query {@code query} of a slot in scratch memory. */
  final long dq(int slot, int query) {
    return dqAt + ((long) slot * WIDTH + query) * rowBytes;
  }

  /** The place of dK of a key among the sums of its head. */
  final long dk(long sumsAt, int key) {
    return sumsAt + key * rowBytes;
  }

  final long dv(long sumsAt, int key) {
    return sumsAt + (shape.keys() + key) * rowBytes;
  }

  /**
   * All of it.
   *
   * @param grain key heads of a piece of work, where each is left to one thread
   */
  final void run(Cpu cpu, int grain) {
    int heads = shape.batch() * shape.kvHeads();
    int spans = Math.ceilDiv(Math.ceilDiv(shape.queries(), WIDTH), panels);
    int threads = cpu.threads();
    boolean together = heads < 4 * threads && heads % threads != 0 && grain == 1 && spans > 1;
    if (!together) {
      long sumsAt = layout.reserve(sumBytes);
      cpu.parallel(
          heads,
          grain,
          () -> panels(cpu),
          (own, from, to) -> {
            for (int head = from; head < to; head++) {
              head(own, head, sumsAt, spans);
            }
          });
      return;
    }
    AttentionWave wave = new AttentionWave(heads, spans);
    MemorySegment sums = cpu.shared(heads * sumBytes);
    cpu.parallel(
        heads * spans,
        1,
        () -> panels(cpu),
        (own, from, to) -> {
          for (int i = from; i < to; i++) {
            try {
              span(own, wave.take(), sums, wave, spans);
            } catch (Throwable t) {
              wave.fail();
              throw t;
            }
          }
        });
  }

  private AttentionPanel[] panels(Cpu cpu) {
    MemorySegment scratch = cpu.scratch(layout.bytes());
    MatmulOperand[] operands = operands(scratch);
    AttentionPanel[] own = new AttentionPanel[panels];
    for (int i = 0; i < panels; i++) {
      own[i] = new AttentionPanel(shape, mask, scratch, limitsAt + i * AttentionPanel.LIMITS);
      own[i].operands = operands;
    }
    return own;
  }

  /** A whole key head, with its sums in scratch memory. */
  private void head(AttentionPanel[] own, int head, long sumsAt, int spans) {
    MemorySegment scratch = own[0].scratch();
    openHead(own[0], head / shape.kvHeads(), head % shape.kvHeads());
    HeadRows.clear(scratch, sumsAt, sumBytes);
    for (int s = 0; s < spans; s++) {
      span(own, head, s, scratch, sumsAt, null, 0);
    }
    putKeys(scratch, head, scratch, sumsAt);
  }

  /** One span of a key head; the head's sums are shared. */
  private void span(
      AttentionPanel[] own, int piece, MemorySegment sums, AttentionWave wave, int spans) {
    int heads = shape.batch() * shape.kvHeads();
    int head = piece % heads;
    int s = piece / heads;
    MemorySegment scratch = own[0].scratch();
    long sumsAt = head * sumBytes;
    if (s == 0) {
      HeadRows.clear(sums, sumsAt, sumBytes);
    }
    openHead(own[0], head / shape.kvHeads(), head % shape.kvHeads());
    span(own, head, s, sums, sumsAt, wave, piece);
    wave.finish(piece);
    if (s == spans - 1) {
      putKeys(scratch, head, sums, sumsAt);
    }
  }

  private void span(
      AttentionPanel[] own,
      int head,
      int s,
      MemorySegment sums,
      long sumsAt,
      @Nullable AttentionWave wave,
      int piece) {
    MemorySegment scratch = own[0].scratch();
    int batch = head / shape.kvHeads();
    int group = shape.group();
    int firstHead = head % shape.kvHeads() * group;
    int start = s * panels * WIDTH;
    int count = Math.min(panels, Math.ceilDiv(shape.queries() - start, WIDTH));
    int low = shape.keys();
    int high = 0;
    for (int p = 0; p < count; p++) {
      own[p].moveTo(batch, start + p * WIDTH);
      low = Math.min(low, own[p].low());
      high = Math.max(high, own[p].high());
      for (int g = 0; g < group; g++) {
        int slot = p * group + g;
        HeadRows.clear(scratch, dq(slot, 0), own[p].count() * rowBytes);
        open(own[p], firstHead + g, slot);
      }
    }
    for (int from = low / KEYS * KEYS; from < high; from += KEYS) {
      if (wave != null) {
        wave.await(piece, from / KEYS);
      }
      for (int p = 0; p < count; p++) {
        int to = Math.min(from + KEYS, own[p].high());
        for (int g = 0; from < to && own[p].low() < to && g < group; g++) {
          block(own[p], firstHead + g, p * group + g, sums, sumsAt, from, to);
        }
      }
      if (wave != null) {
        wave.leave(piece, from / KEYS);
      }
    }
    for (int p = 0; p < count; p++) {
      for (int g = 0; g < group; g++) {
        long at = dq(p * group + g, 0);
        put(scratch, dq, scratch, at, batch, start + p * WIDTH, firstHead + g, own[p].count());
      }
    }
  }

  private void putKeys(MemorySegment scratch, int head, MemorySegment sums, long sumsAt) {
    int batch = head / shape.kvHeads();
    int kvHead = head % shape.kvHeads();
    put(scratch, dk, sums, dk(sumsAt, 0), batch, 0, kvHead, shape.keys());
    put(scratch, dv, sums, dv(sumsAt, 0), batch, 0, kvHead, shape.keys());
  }

  private void put(
      MemorySegment scratch,
      @Nullable HeadGrad g,
      MemorySegment sums,
      long at,
      int batch,
      int time,
      int head,
      int n) {
    for (int t = 0; g != null && t < n; t++) {
      HeadView view = g.view();
      HeadRows.put(
          view,
          view.at(batch, time + t, head),
          sums,
          at + t * rowBytes,
          scratch,
          tempAt,
          shape.dim(),
          g.accumulate());
    }
  }
}
