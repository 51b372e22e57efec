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

  /** Doubles of a piece: room for the sums of its lanes. */
  private static final int PARTIAL = SumOfSquaresCode.SUMS;

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
    MemorySegment partial = cpu.scratch(pieces * (long) PARTIAL * Double.BYTES);
    cpu.parallel(
        pieces,
        1,
        (from, to) -> {
          for (int p = from; p < to; p++) {
            int count = count(n, p);
            long piece = piece(x, p, count);
            double of =
                switch (kind) {
                  case L1 -> sumOfMagnitudes(piece, count);
                  case L2 -> sumOfSquares(partial, (long) PARTIAL * p, piece, count);
                  case MAX -> largest(piece, count);
                };
            partial.setAtIndex(JAVA_DOUBLE, (long) PARTIAL * p, of);
          }
        });
    double total = 0;
    for (int p = 0; p < pieces; p++) {
      double of = partial.getAtIndex(JAVA_DOUBLE, (long) PARTIAL * p);
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
            int count = count(n, p);
            clamp(piece(x, p, count), count, bound);
          }
        });
  }

  private static int pieces(long n) {
    return Math.toIntExact((n + PIECE - 1) / PIECE);
  }

  private static int count(long n, int piece) {
    return (int) Math.min(PIECE, n - (long) piece * PIECE);
  }

  private static long piece(MemorySegment x, int piece, int count) {
    return Ram.address(x, (long) Float.BYTES * PIECE * piece, (long) Float.BYTES * count);
  }

  /** The sums of lanes may go to {@code spare} from double {@code at} on. */
  private static double sumOfSquares(MemorySegment spare, long at, long x, int n) {
    int bound = Lanes.SPECIES.loopBound(n);
    double sum = 0;
    if (bound > 0 && SumOfSquaresCode.run(spare.address() + Double.BYTES * at, x, bound)) {
      for (int lane = 0; lane < SumOfSquaresCode.SUMS; lane++) {
        sum += spare.getAtIndex(JAVA_DOUBLE, at + lane);
      }
    } else {
      sum = sumOfSquares(x, bound);
    }
    for (int i = bound; i < n; i++) {
      double v = Ram.ALL.get(JAVA_FLOAT_UNALIGNED, x + 4L * i);
      sum += v * v;
    }
    return sum;
  }

  /** The same in the Vector API, for whole vectors. */
  static double sumOfSquares(long x, int bound) {
    DoubleVector a = DoubleVector.zero(DOUBLES);
    DoubleVector b = DoubleVector.zero(DOUBLES);
    for (int i = 0; i < bound; i += Lanes.COUNT) {
      FloatVector v = Lanes.load(x + 4L * i);
      var lo = (DoubleVector) v.convertShape(F2D, DOUBLES, 0);
      var hi = (DoubleVector) v.convertShape(F2D, DOUBLES, 1);
      a = lo.fma(lo, a);
      b = hi.fma(hi, b);
    }
    return sum(a.add(b));
  }

  private static double sumOfMagnitudes(long x, int n) {
    DoubleVector a = DoubleVector.zero(DOUBLES);
    DoubleVector b = DoubleVector.zero(DOUBLES);
    int bound = Lanes.SPECIES.loopBound(n);
    for (int i = 0; i < bound; i += Lanes.COUNT) {
      FloatVector v = Lanes.load(x + 4L * i).abs();
      a = a.add(v.convertShape(F2D, DOUBLES, 0));
      b = b.add(v.convertShape(F2D, DOUBLES, 1));
    }
    double sum = sum(a.add(b));
    for (int i = bound; i < n; i++) {
      sum += Math.abs(Ram.ALL.get(JAVA_FLOAT_UNALIGNED, x + 4L * i));
    }
    return sum;
  }

  private static double largest(long x, int n) {
    FloatVector a = Lanes.zero();
    int bound = Lanes.SPECIES.loopBound(n);
    for (int i = 0; i < bound; i += Lanes.COUNT) {
      a = a.max(Lanes.load(x + 4L * i).abs()); // which keeps a NaN
    }
    float max = 0;
    for (int lane = 0; lane < Lanes.COUNT; lane++) {
      max = Math.max(max, a.lane(lane));
    }
    for (int i = bound; i < n; i++) {
      max = Math.max(max, Math.abs(Ram.ALL.get(JAVA_FLOAT_UNALIGNED, x + 4L * i)));
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

  private static void clamp(long x, int n, float bound) {
    FloatVector high = Lanes.broadcast(bound);
    FloatVector low = Lanes.broadcast(-bound);
    int whole = Lanes.SPECIES.loopBound(n);
    for (int i = 0; i < whole; i += Lanes.COUNT) {
      long at = x + 4L * i;
      Lanes.store(Lanes.load(at).max(low).min(high), at);
    }
    for (int i = whole; i < n; i++) {
      float v = Ram.ALL.get(JAVA_FLOAT_UNALIGNED, x + 4L * i);
      Ram.ALL.set(JAVA_FLOAT_UNALIGNED, x + 4L * i, Math.min(Math.max(v, -bound), bound));
    }
  }
}
