package dev.javelin.kernels.cpu;

import static java.lang.foreign.ValueLayout.JAVA_DOUBLE_UNALIGNED;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT_UNALIGNED;

import dev.javelin.device.Cpu;
import dev.javelin.kernels.ElementwiseFunction;
import dev.javelin.kernels.Loops;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import jdk.incubator.vector.FloatVector;

/**
 * One kernel for all that goes element by element: copies between layouts and types, arithmetic
 * with broadcasting, and sums over dimensions.
 */
public final class ElementwiseCpu {
  private static final int CHUNK = 1024; // elements at a time: all slots fit the first-level cache
  private static final int WORK = 1 << 15; // elements of a piece of parallel work
  private static final int SLOT = 4 * CHUNK; // bytes
  private static final int RESULT = 3;
  private static final int BEFORE = 4;
  private static final int SUMS = 5; // doubles: two slots

  private ElementwiseCpu() {}

  /**
   * {@code y (+)= alpha · Σ f(in[0], in[1], in[2])}, where the sum goes over the dimensions in
   * which {@code y} has stride 0; in fp32, sums in double. Where nothing is summed, {@code y} may
   * be one of the inputs.
   *
   * @param dims of the loops, none of them 0; each operand has a stride for each
   */
  public static void map(
      Cpu cpu,
      ElementwiseFunction f,
      float alpha,
      boolean accumulate,
      int[] dims,
      Strided y,
      Strided... in) {
    Strided[] all = new Strided[in.length + 1];
    all[0] = y;
    System.arraycopy(in, 0, all, 1, in.length);
    long[][] strides = Arrays.stream(all).map(x -> x.strides).toArray(long[][]::new);
    Loops loops = Loops.of(dims, strides);
    long chunks = loops.lastIsSummed() ? 1 : Math.ceilDiv(loops.last(), CHUNK);
    long work = Math.min(loops.last(), CHUNK) * loops.summedCount();
    cpu.parallel(
        Math.toIntExact(loops.keptCount() * chunks),
        (int) Math.max(1, WORK / work),
        (from, to) -> {
          Piece piece = new Piece(f, alpha, accumulate, loops, all, cpu.scratch(7L * SLOT));
          for (int p = from; p < to; p++) {
            if (loops.lastIsSummed()) {
              piece.toOne(p);
            } else {
              piece.toMany(p / chunks, p % chunks * CHUNK);
            }
          }
        });
  }

  /** What a thread works with. */
  private static final class Piece {
    private final ElementwiseFunction f;
    private final float alpha;
    private final boolean accumulate;
    private final Loops loops;
    private final Strided[] operands; // the result first
    private final MemorySegment scratch;
    private final MemorySegment[] source; // of each input's current chunk
    private final long[] at; // where in it, in bytes

    Piece(
        ElementwiseFunction f,
        float alpha,
        boolean accumulate,
        Loops loops,
        Strided[] operands,
        MemorySegment scratch) {
      this.f = f;
      this.alpha = alpha;
      this.accumulate = accumulate;
      this.loops = loops;
      this.operands = operands;
      this.scratch = scratch;
      this.source = new MemorySegment[] {scratch, scratch, scratch};
      this.at = new long[3];
    }

    /** The innermost loop is kept: up to CHUNK results from {@code column} of pass {@code k} on. */
    void toMany(long k, long column) {
      Strided y = operands[0];
      int n = (int) Math.min(CHUNK, loops.last() - column);
      long stride = loops.lastStride(0);
      long first = loops.start(0, k, 0) + column * stride;
      long summed = loops.summedCount();
      if (summed == 1 && alpha == 1 && !accumulate && y.direct(stride, n)) {
        evaluate(k, 0, column, n, y.data, 4 * first);
        return;
      }
      evaluate(k, 0, column, n, scratch, RESULT * SLOT);
      if (summed > 1) {
        sumFrom(k, column, n, summed);
      }
      if (alpha != 1) {
        FloatVector a = Lanes.broadcast(alpha);
        for (long i = RESULT * SLOT; i < RESULT * SLOT + 4L * n; i += Lanes.BYTES) {
          Lanes.store(Lanes.load(scratch, i).mul(a), scratch, i);
        }
      }
      if (accumulate) {
        y.load(first, stride, n, scratch, BEFORE * SLOT);
        add(scratch, RESULT * SLOT, scratch, BEFORE * SLOT, scratch, RESULT * SLOT, n);
      }
      y.store(first, stride, n, scratch, RESULT * SLOT);
    }

    /** Adds passes 1 and on of the summed loops to the first one, which stands at RESULT. */
    private void sumFrom(long k, long column, int n, long summed) {
      for (long s = 0; s < summed; s++) {
        if (s > 0) {
          evaluate(k, s, column, n, scratch, RESULT * SLOT);
        }
        for (int i = 0; i < n; i++) {
          double before = s == 0 ? 0 : scratch.get(JAVA_DOUBLE_UNALIGNED, SUMS * SLOT + 8L * i);
          float v = scratch.get(JAVA_FLOAT_UNALIGNED, RESULT * SLOT + 4L * i);
          scratch.set(JAVA_DOUBLE_UNALIGNED, SUMS * SLOT + 8L * i, before + v);
        }
      }
      for (int i = 0; i < n; i++) {
        double sum = scratch.get(JAVA_DOUBLE_UNALIGNED, SUMS * SLOT + 8L * i);
        scratch.set(JAVA_FLOAT_UNALIGNED, RESULT * SLOT + 4L * i, (float) sum);
      }
    }

    /** The innermost loop is summed: the one result of pass {@code k}. */
    void toOne(long k) {
      double total = 0;
      for (long s = 0; s < loops.summedCount(); s++) {
        for (long column = 0; column < loops.last(); column += CHUNK) {
          int n = (int) Math.min(CHUNK, loops.last() - column);
          evaluate(k, s, column, n, scratch, RESULT * SLOT);
          for (int i = n; i < Lanes.pad(n); i++) {
            scratch.set(JAVA_FLOAT_UNALIGNED, RESULT * SLOT + 4L * i, 0);
          }
          FloatVector sum = Lanes.zero();
          for (long i = RESULT * SLOT; i < RESULT * SLOT + 4L * n; i += Lanes.BYTES) {
            sum = sum.add(Lanes.load(scratch, i));
          }
          total += Lanes.sum(sum);
        }
      }
      long first = loops.start(0, k, 0);
      float value = (float) (alpha * total);
      operands[0].put(first, accumulate ? operands[0].get(first) + value : value);
    }

    /** Whole vectors of {@code f}, at least {@code n} elements. */
    private void evaluate(long k, long s, long column, int n, MemorySegment y, long yAt) {
      for (int i = 0; i < operands.length - 1; i++) {
        Strided x = operands[i + 1];
        long stride = loops.lastStride(i + 1);
        long first = loops.start(i + 1, k, s) + column * stride;
        if (x.direct(stride, n)) {
          source[i] = x.data;
          at[i] = 4 * first;
        } else {
          source[i] = scratch;
          at[i] = (long) i * SLOT;
          x.load(first, stride, n, scratch, at[i]);
        }
      }
      MemorySegment a = source[0];
      MemorySegment b = source[1];
      MemorySegment c = source[2];
      switch (f) {
        case COPY -> MemorySegment.copy(a, at[0], y, yAt, 4L * Lanes.pad(n));
        case ADD -> add(y, yAt, a, at[0], b, at[1], n);
        case SUB -> sub(y, yAt, a, at[0], b, at[1], n);
        case MUL -> mul(y, yAt, a, at[0], b, at[1], n);
        case DIV -> div(y, yAt, a, at[0], b, at[1], n);
        case MUL_DIV -> {
          mul(scratch, RESULT * SLOT, a, at[0], b, at[1], n);
          div(y, yAt, scratch, RESULT * SLOT, c, at[2], n);
        }
        case EXP -> exp(y, yAt, a, at[0], n);
        case LOG -> log(y, yAt, a, at[0], n);
        case SQRT -> sqrt(y, yAt, a, at[0], n);
      }
    }
  }

  private static void add(
      MemorySegment y, long yAt, MemorySegment a, long aAt, MemorySegment b, long bAt, int n) {
    for (long i = 0; i < 4L * n; i += Lanes.BYTES) {
      Lanes.store(Lanes.load(a, aAt + i).add(Lanes.load(b, bAt + i)), y, yAt + i);
    }
  }

  private static void sub(
      MemorySegment y, long yAt, MemorySegment a, long aAt, MemorySegment b, long bAt, int n) {
    for (long i = 0; i < 4L * n; i += Lanes.BYTES) {
      Lanes.store(Lanes.load(a, aAt + i).sub(Lanes.load(b, bAt + i)), y, yAt + i);
    }
  }

  private static void mul(
      MemorySegment y, long yAt, MemorySegment a, long aAt, MemorySegment b, long bAt, int n) {
    for (long i = 0; i < 4L * n; i += Lanes.BYTES) {
      Lanes.store(Lanes.load(a, aAt + i).mul(Lanes.load(b, bAt + i)), y, yAt + i);
    }
  }

  private static void div(
      MemorySegment y, long yAt, MemorySegment a, long aAt, MemorySegment b, long bAt, int n) {
    for (long i = 0; i < 4L * n; i += Lanes.BYTES) {
      Lanes.store(Lanes.load(a, aAt + i).div(Lanes.load(b, bAt + i)), y, yAt + i);
    }
  }

  private static void exp(MemorySegment y, long yAt, MemorySegment a, long aAt, int n) {
    for (long i = 0; i < 4L * n; i += Lanes.BYTES) {
      Lanes.store(VectorMath.exp(Lanes.load(a, aAt + i)), y, yAt + i);
    }
  }

  private static void log(MemorySegment y, long yAt, MemorySegment a, long aAt, int n) {
    for (long i = 0; i < 4L * n; i += Lanes.BYTES) {
      Lanes.store(VectorMath.log(Lanes.load(a, aAt + i)), y, yAt + i);
    }
  }

  private static void sqrt(MemorySegment y, long yAt, MemorySegment a, long aAt, int n) {
    for (long i = 0; i < 4L * n; i += Lanes.BYTES) {
      Lanes.store(Lanes.load(a, aAt + i).sqrt(), y, yAt + i);
    }
  }
}
