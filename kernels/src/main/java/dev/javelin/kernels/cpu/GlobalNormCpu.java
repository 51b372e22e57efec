package dev.javelin.kernels.cpu;

import static java.lang.foreign.ValueLayout.JAVA_DOUBLE;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT_UNALIGNED;
import static jdk.incubator.vector.VectorOperators.F2D;

import dev.javelin.device.Cpu;
import dev.javelin.kernels.VectorNorm;
import java.lang.foreign.MemorySegment;
import jdk.incubator.vector.DoubleVector;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorSpecies;

/** The norm of a flat fp32 buffer, and the bound on its elements. */
public final class GlobalNormCpu {
  private static final VectorSpecies<Double> DOUBLES =
      VectorSpecies.of(double.class, Lanes.SPECIES.vectorShape());
  private static final int PIECE = 1 << 16;

  private GlobalNormCpu() {}

  /**
   * The norm in double. Squares of fp32 numbers neither overflow nor vanish there, so it is finite
   * exactly where every element is.
   *
   * @param x fp32 [n]
   * @param n any length, beyond 2³¹ too
   */
  public static double norm(Cpu cpu, VectorNorm kind, MemorySegment x, long n) {
    int pieces = pieces(n);
    MemorySegment partial = cpu.scratch(pieces * (long) Double.BYTES);
    cpu.parallel(
        pieces,
        1,
        (from, to) -> {
          for (int p = from; p < to; p++) {
            long begin = (long) p * PIECE;
            long end = Math.min(n, begin + PIECE);
            double of =
                switch (kind) {
                  case L1 -> sumOfMagnitudes(x, begin, end);
                  case L2 -> sumOfSquares(x, begin, end);
                  case MAX -> largest(x, begin, end);
                };
            partial.setAtIndex(JAVA_DOUBLE, p, of);
          }
        });
    double total = 0;
    for (int p = 0; p < pieces; p++) {
      double of = partial.getAtIndex(JAVA_DOUBLE, p);
      total = kind == VectorNorm.MAX ? Math.max(total, of) : total + of;
    }
    return kind == VectorNorm.L2 ? Math.sqrt(total) : total;
  }

  /** {@code x = min(max(x, −bound), bound)}; a NaN stays. */
  public static void clamp(Cpu cpu, MemorySegment x, long n, float bound) {
    cpu.parallel(
        pieces(n),
        1,
        (from, to) -> {
          for (int p = from; p < to; p++) {
            long begin = (long) p * PIECE;
            clamp(x, begin, Math.min(n, begin + PIECE), bound);
          }
        });
  }

  private static int pieces(long n) {
    return Math.toIntExact((n + PIECE - 1) / PIECE);
  }

  private static double sumOfSquares(MemorySegment x, long from, long to) {
    DoubleVector a = DoubleVector.zero(DOUBLES);
    DoubleVector b = DoubleVector.zero(DOUBLES);
    long bound = from + Lanes.SPECIES.loopBound(to - from);
    for (long i = from; i < bound; i += Lanes.COUNT) {
      FloatVector v = Lanes.load(x, Float.BYTES * i);
      var lo = (DoubleVector) v.convertShape(F2D, DOUBLES, 0);
      var hi = (DoubleVector) v.convertShape(F2D, DOUBLES, 1);
      a = lo.fma(lo, a);
      b = hi.fma(hi, b);
    }
    double sum = sum(a.add(b));
    for (long i = bound; i < to; i++) {
      double v = x.getAtIndex(JAVA_FLOAT_UNALIGNED, i);
      sum += v * v;
    }
    return sum;
  }

  private static double sumOfMagnitudes(MemorySegment x, long from, long to) {
    DoubleVector a = DoubleVector.zero(DOUBLES);
    DoubleVector b = DoubleVector.zero(DOUBLES);
    long bound = from + Lanes.SPECIES.loopBound(to - from);
    for (long i = from; i < bound; i += Lanes.COUNT) {
      FloatVector v = Lanes.load(x, Float.BYTES * i).abs();
      a = a.add(v.convertShape(F2D, DOUBLES, 0));
      b = b.add(v.convertShape(F2D, DOUBLES, 1));
    }
    double sum = sum(a.add(b));
    for (long i = bound; i < to; i++) {
      sum += Math.abs(x.getAtIndex(JAVA_FLOAT_UNALIGNED, i));
    }
    return sum;
  }

  private static double largest(MemorySegment x, long from, long to) {
    FloatVector a = Lanes.zero();
    long bound = from + Lanes.SPECIES.loopBound(to - from);
    for (long i = from; i < bound; i += Lanes.COUNT) {
      a = a.max(Lanes.load(x, Float.BYTES * i).abs()); // which keeps a NaN
    }
    float max = 0;
    for (int lane = 0; lane < Lanes.COUNT; lane++) {
      max = Math.max(max, a.lane(lane));
    }
    for (long i = bound; i < to; i++) {
      max = Math.max(max, Math.abs(x.getAtIndex(JAVA_FLOAT_UNALIGNED, i)));
    }
    return max;
  }

  private static double sum(DoubleVector v) {
    double sum = 0;
    for (int lane = 0; lane < DOUBLES.length(); lane++) {
      sum += v.lane(lane);
    }
    return sum;
  }

  private static void clamp(MemorySegment x, long from, long to, float bound) {
    FloatVector high = Lanes.broadcast(bound);
    FloatVector low = Lanes.broadcast(-bound);
    long whole = from + Lanes.SPECIES.loopBound(to - from);
    for (long i = from; i < whole; i += Lanes.COUNT) {
      long at = Float.BYTES * i;
      Lanes.store(Lanes.load(x, at).max(low).min(high), x, at);
    }
    for (long i = whole; i < to; i++) {
      float v = x.getAtIndex(JAVA_FLOAT_UNALIGNED, i);
      x.setAtIndex(JAVA_FLOAT_UNALIGNED, i, Math.min(Math.max(v, -bound), bound));
    }
  }
}
