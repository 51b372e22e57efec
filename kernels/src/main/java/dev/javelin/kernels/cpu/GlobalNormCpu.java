package dev.javelin.kernels.cpu;

import static java.lang.foreign.ValueLayout.JAVA_DOUBLE;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT_UNALIGNED;
import static jdk.incubator.vector.VectorOperators.F2D;

import dev.javelin.device.Cpu;
import java.lang.foreign.MemorySegment;
import jdk.incubator.vector.DoubleVector;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorSpecies;

/** Sum of squares of a flat fp32 buffer. */
public final class GlobalNormCpu {
  private static final VectorSpecies<Double> DOUBLES =
      VectorSpecies.of(double.class, Lanes.SPECIES.vectorShape());
  private static final int PIECE = 1 << 16;

  private GlobalNormCpu() {}

  /**
   * {@code Σ x[i]²} in double. Squares of fp32 numbers neither overflow nor vanish there, so the
   * sum is finite exactly where every element is.
   *
   * @param x fp32 [n]
   * @param n any length, beyond 2³¹ too
   */
  public static double sumOfSquares(Cpu cpu, MemorySegment x, long n) {
    int pieces = Math.toIntExact((n + PIECE - 1) / PIECE);
    MemorySegment partial = cpu.scratch(pieces * (long) Double.BYTES);
    cpu.parallel(
        pieces,
        1,
        (from, to) -> {
          for (int p = from; p < to; p++) {
            long begin = (long) p * PIECE;
            double sum = piece(x, begin, Math.min(n, begin + PIECE));
            partial.setAtIndex(JAVA_DOUBLE, p, sum);
          }
        });
    double total = 0;
    for (int p = 0; p < pieces; p++) {
      total += partial.getAtIndex(JAVA_DOUBLE, p);
    }
    return total;
  }

  private static double piece(MemorySegment x, long from, long to) {
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
    a = a.add(b);
    double sum = 0;
    for (int lane = 0; lane < DOUBLES.length(); lane++) {
      sum += a.lane(lane);
    }
    for (long i = bound; i < to; i++) {
      double v = x.getAtIndex(JAVA_FLOAT_UNALIGNED, i);
      sum += v * v;
    }
    return sum;
  }
}
