package dev.javelin.kernels.cpu;

import dev.javelin.device.Cpu;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import org.jspecify.annotations.Nullable;

/**
 * Causal attention on the CPU, in memory that grows with the length and never with its square.
 *
 * @see <a href="https://arxiv.org/abs/2307.08691">Dao 2023, FlashAttention-2</a>
 */
public final class AttentionCpu {
  /** Multiply-adds of a piece of parallel work, at least. */
  private static final long PIECE = 1 << 20;

  /** Pieces at most, so that what each needs once does not count. */
  private static final int PIECES = 64;

  private AttentionCpu() {}

  /**
   * {@code o[b,i,h] = Σ_j p_j · v[b,j,h']} with {@code p = softmax_j(s_j)} over the keys that the
   * mask shows to query i and {@code lse[b,h,i] = ln Σ_j exp(s_j)}; a query that sees nothing gets
   * 0 and −∞.
   *
   * @param lse F32 [batch, queryHeads, queries]
   * @param dropout of p after the softmax, which lse does not feel; {@code null} for none
   */
  public static void forward(
      Cpu cpu,
      HeadView o,
      MemorySegment lse,
      HeadView q,
      HeadView k,
      HeadView v,
      AttentionShape s,
      MaskView mask,
      @Nullable AttentionDropout dropout) {
    forward(cpu, AttentionPairs.tile(q, k, v), o, lse, q, k, v, s, mask, dropout);
  }

  /**
   * The same.
   *
   * @param pairs the tile for its products over bf16 heads; {@code null} where they are fp32
   */
  static void forward(
      Cpu cpu,
      @Nullable MatmulPairTile pairs,
      HeadView o,
      MemorySegment lse,
      HeadView q,
      HeadView k,
      HeadView v,
      AttentionShape s,
      MaskView mask,
      @Nullable AttentionDropout dropout) {
    if (s.queries() == 1 && dropout == null) {
      decode(cpu, new AttentionDecode(o, lse, q, k, v, s, mask), s);
      return;
    }
    int panels = (s.queries() + AttentionPanel.WIDTH - 1) / AttentionPanel.WIDTH;
    // Where keys are widened first, a head's panels share the work of it.
    int chunk = k.direct(s.dim()) && v.direct(s.dim()) ? 1 : 4;
    int chunks = (panels + chunk - 1) / chunk;
    int items = s.batch() * s.kvHeads() * chunks;
    long queries = Math.min(s.queries(), (long) chunk * AttentionPanel.WIDTH);
    AttentionForward pass =
        pairs == null
            ? new AttentionForwardF32(o, lse, q, k, v, s, mask, dropout)
            : new AttentionForwardBf16(pairs, o, lse, q, k, v, s, mask, dropout);
    cpu.parallel(
        items,
        grain(items, 2L * s.group() * queries * s.keys() * s.dim()),
        () -> pass.panel(cpu),
        (panel, from, to) -> {
          for (int i = from; i < to; i++) {
            int head = i / chunks;
            int first = i % chunks * chunk;
            int end = Math.min(panels, first + chunk);
            pass.run(panel, head / s.kvHeads(), head % s.kvHeads(), first, end);
          }
        });
  }

  private static void decode(Cpu cpu, AttentionDecode pass, AttentionShape s) {
    int items = s.batch() * s.kvHeads();
    cpu.parallel(
        items,
        grain(items, 2L * s.group() * s.keys() * s.dim()),
        (from, to) -> {
          MemorySegment scratch = cpu.scratch(pass.scratchBytes());
          for (int i = from; i < to; i++) {
            pass.run(scratch, i / s.kvHeads(), i % s.kvHeads());
          }
        });
  }

  /**
   * The next token of each sequence: its key and value are put into the sequence's pages behind
   * those of the tokens before, and its query sees them all, as the mask has it. What a sequence
   * gets depends on it alone.
   *
   * @param o [1, sequences, queryHeads, dim], as q
   * @param k [1, sequences, kvHeads, dim], of the new tokens, as v
   * @param lengths I32 [sequences]: tokens before the new one
   */
  public static void decode(
      Cpu cpu,
      HeadView o,
      HeadView q,
      HeadView k,
      HeadView v,
      HeadPages keys,
      HeadPages values,
      MemorySegment lengths,
      AttentionShape s,
      MaskView mask) {
    HeadView keyPages = HeadView.paged(keys, k.type(), s.kvHeads(), s.dim());
    HeadView valuePages = HeadView.paged(values, v.type(), s.kvHeads(), s.dim());
    AttentionDecode pass = new AttentionDecode(o, null, q, keyPages, valuePages, s, mask);
    int items = s.batch() * s.kvHeads();
    long bytes = k.type().bytes(s.dim());
    cpu.parallel(
        items,
        grain(items, 2L * s.group() * s.keys() * s.dim()),
        (from, to) -> {
          MemorySegment scratch = cpu.scratch(pass.scratchBytes());
          for (int i = from; i < to; i++) {
            int sequence = i / s.kvHeads();
            int head = i % s.kvHeads();
            int length = lengths.getAtIndex(ValueLayout.JAVA_INT_UNALIGNED, sequence);
            long key = keyPages.at(sequence, length, head);
            MemorySegment.copy(k.data(), k.at(0, sequence, head), Ram.ALL, key, bytes);
            long value = valuePages.at(sequence, length, head);
            MemorySegment.copy(v.data(), v.at(0, sequence, head), Ram.ALL, value, bytes);
            pass.run(scratch, s.withKeys(length + 1), sequence, 0, sequence, head);
          }
        });
  }

  /** Items to a piece of parallel work; depends on sizes only. */
  private static int grain(int items, long work) {
    return (int) Math.max((items + PIECES - 1) / PIECES, PIECE / Math.max(1, work));
  }

  /**
   * The gradients of {@link #forward} from what it left: {@code ds = p · (dp − Σ_d dO·o)} with
   * {@code dp_j = dO · v_j}, {@code p} computed again from lse. Gradients of a key head are summed
   * over its query heads in one fixed order. Each of dq, dk, dv may be {@code null}; {@code
   * dropout} is that of the forward pass.
   */
  public static void backward(
      Cpu cpu,
      @Nullable HeadGrad dq,
      @Nullable HeadGrad dk,
      @Nullable HeadGrad dv,
      HeadView gradOut,
      HeadView o,
      MemorySegment lse,
      HeadView q,
      HeadView k,
      HeadView v,
      AttentionShape s,
      MaskView mask,
      @Nullable AttentionDropout dropout) {
    MatmulPairTile pairs = AttentionPairs.tile(gradOut, q, k, v);
    backward(cpu, pairs, dq, dk, dv, gradOut, o, lse, q, k, v, s, mask, dropout);
  }

  /** The same with the tile for its products over bf16 heads. */
  static void backward(
      Cpu cpu,
      @Nullable MatmulPairTile pairs,
      @Nullable HeadGrad dq,
      @Nullable HeadGrad dk,
      @Nullable HeadGrad dv,
      HeadView gradOut,
      HeadView o,
      MemorySegment lse,
      HeadView q,
      HeadView k,
      HeadView v,
      AttentionShape s,
      MaskView mask,
      @Nullable AttentionDropout dropout) {
    int items = s.batch() * s.kvHeads();
    AttentionGradient pass =
        pairs == null
            ? new AttentionBackwardF32(dq, dk, dv, gradOut, o, lse, q, k, v, s, mask, dropout)
            : new AttentionBackwardBf16(
                pairs, dq, dk, dv, gradOut, o, lse, q, k, v, s, mask, dropout);
    pass.run(cpu, grain(items, 5L * s.group() * s.queries() * s.keys() * s.dim()));
  }
}
