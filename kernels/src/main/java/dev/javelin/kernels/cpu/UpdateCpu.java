package dev.javelin.kernels.cpu;

import dev.javelin.device.Cpu;
import dev.javelin.device.DType;
import java.lang.foreign.MemorySegment;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * The loop that all update rules share: pieces of the flat buffers in parallel, and of each a block
 * at a time, while it is in the first-level cache, put through the rule's formula, its gradients
 * cleared, its weights copied to their half type.
 */
public final class UpdateCpu {
  private static final int PIECE = 1 << 14; // of parallel work
  private static final int BLOCK = 1 << 10; // five streams of 4 kB stay in the first-level cache

  /** Scratch that the loop uses itself; see {@link Rule#scratchBytes}. */
  static final long SCRATCH = (long) Float.BYTES * BLOCK;

  private UpdateCpu() {}

  /**
   * A rule's formula for a range, all its constants known: reads gradients, moves weights and what
   * it keeps. Called by several threads for different ranges.
   */
  @FunctionalInterface
  public interface Rule {
    /**
     * @param at byte at which the range begins in each buffer
     * @param bytes of the range: whole vectors, of {@link Lanes#BYTES} each
     */
    void apply(
        MemorySegment w, MemorySegment grad, @Nullable MemorySegment[] kept, long at, int bytes);

    /** Bytes of scratch that it needs, which then are those from {@link #SCRATCH} on. */
    default long scratchBytes() {
      return 0;
    }
  }

  /**
   * What a rule works on.
   *
   * @param copy of the weights in bf16 or f16, written only; where {@code type} is F32 it is not
   *     touched; where {@code w} is {@code null}, the weights themselves
   * @param w weights, fp32
   * @param grad gradients, fp32
   * @param kept from step to step, fp32, as the rule has them
   */
  public record Buffers(
      MemorySegment copy,
      DType type,
      @Nullable MemorySegment w,
      MemorySegment grad,
      List<@Nullable MemorySegment> kept,
      Rounding rounding) {
    /** Of weights that are F32. */
    public Buffers(
        MemorySegment copy,
        DType type,
        MemorySegment w,
        MemorySegment grad,
        List<@Nullable MemorySegment> kept) {
      this(copy, type, w, grad, kept, new Rounding(0, null));
    }
  }

  /**
   * How half weights without masters are rounded.
   *
   * @param first number of the first element
   * @param key of the random numbers; {@code null} for to nearest
   */
  public record Rounding(long first, StochasticRounding.@Nullable Key key) {}

  /** Elements {@code [from, to)} of all buffers. */
  public static void step(Cpu cpu, Buffers b, Rule rule, long from, long to) {
    @Nullable MemorySegment[] kept = b.kept.toArray(new MemorySegment[0]);
    cpu.parallel(
        Math.toIntExact((to - from + PIECE - 1) / PIECE),
        1,
        (first, last) -> {
          for (int p = first; p < last; p++) {
            long begin = from + (long) p * PIECE;
            long end = Math.min(to, begin + PIECE);
            for (long at = begin; at < end; at += BLOCK) {
              block(cpu, b, kept, rule, at, Math.min(end, at + BLOCK));
            }
          }
        });
  }

  private static void block(
      Cpu cpu, Buffers b, @Nullable MemorySegment[] kept, Rule rule, long from, long to) {
    int n = (int) (to - from);
    int whole = Lanes.SPECIES.loopBound(n);
    long at = Float.BYTES * from;
    MemorySegment w = b.w;
    if (w == null) {
      w = window(cpu.scratch(scratchBytes(rule, kept)), at, (long) Float.BYTES * n);
      Half.widenBlock(w, at, b.copy, b.type.bytes(from), b.type, n);
    }
    if (whole > 0) {
      rule.apply(w, b.grad, kept, at, Float.BYTES * whole);
    }
    if (whole < n) {
      rest(cpu, b, w, kept, rule, from + whole, n - whole);
    }
    Lanes.clear(b.grad, at, Float.BYTES * n);
    if (b.w == null && b.rounding.key != null) {
      StochasticRounding.narrow(
          b.copy, b.type.bytes(from), w, at, n, b.rounding.first + from, b.rounding.key);
    } else if (b.type != DType.F32) {
      Half.narrowBlock(b.copy, b.type.bytes(from), b.type, w, at, n);
    }
  }

  /** Always the same for a rule: more would move what is in use. */
  private static long scratchBytes(Rule rule, @Nullable MemorySegment[] kept) {
    return SCRATCH + Math.max(rule.scratchBytes(), (long) Lanes.BYTES * (2 + kept.length));
  }

  /**
   * Scratch memory as the bytes {@code [at, at + bytes)} of a segment, so that a rule finds weights
   * where it finds everything else. Bytes before are not there.
   */
  private static MemorySegment window(MemorySegment scratch, long at, long bytes) {
    return MemorySegment.ofAddress(scratch.address() - at).reinterpret(at + bytes);
  }

  /** Fewer elements than a vector has: a vector elsewhere, of which they are taken back. */
  private static void rest(
      Cpu cpu,
      Buffers b,
      MemorySegment weights,
      @Nullable MemorySegment[] kept,
      Rule rule,
      long from,
      int n) {
    MemorySegment scratch = cpu.scratch(scratchBytes(rule, kept)).asSlice(SCRATCH);
    scratch.fill((byte) 0);
    MemorySegment w = in(scratch, 0, weights, from, n);
    MemorySegment grad = in(scratch, 1, b.grad, from, n);
    @Nullable MemorySegment[] own = new @Nullable MemorySegment[kept.length];
    for (int k = 0; k < own.length; k++) {
      MemorySegment there = kept[k];
      own[k] = there == null ? null : in(scratch, 2 + k, there, from, n);
    }
    rule.apply(w, grad, own, 0, Lanes.BYTES);
    out(weights, w, from, n);
    for (int k = 0; k < own.length; k++) {
      MemorySegment there = kept[k];
      MemorySegment here = own[k];
      if (there != null && here != null) {
        out(there, here, from, n);
      }
    }
  }

  private static MemorySegment in(
      MemorySegment scratch, int place, MemorySegment buffer, long from, int n) {
    MemorySegment vector = scratch.asSlice((long) place * Lanes.BYTES, Lanes.BYTES);
    MemorySegment.copy(buffer, Float.BYTES * from, vector, 0, (long) Float.BYTES * n);
    return vector;
  }

  private static void out(MemorySegment buffer, MemorySegment vector, long from, int n) {
    MemorySegment.copy(vector, 0, buffer, Float.BYTES * from, (long) Float.BYTES * n);
  }

  /** Clears the gradients of {@code [from, to)}: all that a skipped step does. */
  public static void skip(Buffers b, long from, long to) {
    b.grad.asSlice(Float.BYTES * from, Float.BYTES * (to - from)).fill((byte) 0);
  }
}
