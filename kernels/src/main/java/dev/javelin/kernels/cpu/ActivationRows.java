package dev.javelin.kernels.cpu;

import static jdk.incubator.vector.VectorOperators.GT;
import static jdk.incubator.vector.VectorOperators.LT;

import dev.javelin.kernels.Activation;
import java.lang.foreign.MemorySegment;
import jdk.incubator.vector.FloatVector;

/**
 * One row of an activation: {@code y = f(x)}, and its derivative {@code d = f'(x)}. A loop for each
 * function: a choice inside the loop would cost the compiler's inlining of all of them. Offsets in
 * bytes; n whole vectors.
 */
final class ActivationRows {
  private static final float SQRT_HALF = 0.70710677f;
  private static final float INV_SQRT_2PI = 0.3989423f;

  /** {@code 2·√(2/π)}: GELU_TANH is {@code x · sigmoid(2u)}. */
  private static final float TWO_SQRT_2_PI = 1.5957691f;

  private static final float CUBIC = 0.044715f;

  private ActivationRows() {}

  /** {@code y = f(x)}; y may be x. */
  static void value(Activation f, MemorySegment y, long yr, MemorySegment x, long xr, int n) {
    switch (f) {
      case GELU -> {
        normalCdf(y, yr, x, xr, n, true);
      }
      case GELU_TANH -> geluTanh(y, yr, x, xr, n);
      case SILU -> silu(y, yr, x, xr, n);
      case RELU -> relu(y, yr, x, xr, n);
      case RELU_SQUARED -> reluSquared(y, yr, x, xr, n);
      case SIGMOID -> sigmoid(y, yr, x, xr, n);
      case TANH -> tanh(y, yr, x, xr, n);
      case SOFTPLUS -> softplus(y, yr, x, xr, n);
    }
  }

  /** {@code d = f'(x)}; d must not be x. */
  static void derivative(Activation f, MemorySegment d, long dr, MemorySegment x, long xr, int n) {
    switch (f) {
      case GELU -> {
        normalCdf(d, dr, x, xr, n, false);
        addDensityTimesX(d, dr, x, xr, n);
      }
      case GELU_TANH -> {
        geluTanhSigmoid(d, dr, x, xr, n);
        geluTanhDerivative(d, dr, x, xr, n);
      }
      case SILU -> siluDerivative(d, dr, x, xr, n);
      case RELU -> reluDerivative(d, dr, x, xr, n);
      case RELU_SQUARED -> reluSquaredDerivative(d, dr, x, xr, n);
      case SIGMOID -> sigmoidDerivative(d, dr, x, xr, n);
      case TANH -> {
        tanh(d, dr, x, xr, n);
        oneMinusSquare(d, dr, n);
      }
      case SOFTPLUS -> sigmoid(d, dr, x, xr, n);
    }
  }

  /** {@code Φ(x)}, or {@code x·Φ(x)}. */
  private static void normalCdf(
      MemorySegment y, long yr, MemorySegment x, long xr, int n, boolean timesX) {
    for (int i = 0; i < n; i += Lanes.COUNT) {
      long at = 4L * i;
      FloatVector v = Lanes.load(x, xr + at);
      FloatVector p = VectorMath.erf(v.mul(SQRT_HALF)).add(1f).mul(0.5f);
      Lanes.store(timesX ? p.mul(v) : p, y, yr + at);
    }
  }

  /** {@code d += x · e^(−x²/2) / √2π}. */
  private static void addDensityTimesX(MemorySegment d, long dr, MemorySegment x, long xr, int n) {
    for (int i = 0; i < n; i += Lanes.COUNT) {
      long at = 4L * i;
      FloatVector v = Lanes.load(x, xr + at);
      FloatVector e = VectorMath.expOfNegative(v.mul(v).mul(-0.5f));
      FloatVector p = Lanes.load(d, dr + at);
      Lanes.store(v.mul(INV_SQRT_2PI).fma(e, p), d, dr + at);
    }
  }

  private static void geluTanh(MemorySegment y, long yr, MemorySegment x, long xr, int n) {
    for (int i = 0; i < n; i += Lanes.COUNT) {
      long at = 4L * i;
      FloatVector v = Lanes.load(x, xr + at);
      Lanes.store(VectorMath.sigmoid(twoU(v)).mul(v), y, yr + at);
    }
  }

  private static void geluTanhSigmoid(MemorySegment y, long yr, MemorySegment x, long xr, int n) {
    for (int i = 0; i < n; i += Lanes.COUNT) {
      long at = 4L * i;
      Lanes.store(VectorMath.sigmoid(twoU(Lanes.load(x, xr + at))), y, yr + at);
    }
  }

  /** From {@code s = sigmoid(2u)} in d: {@code d = s + x · s·(1 − s) · 2u'}. */
  private static void geluTanhDerivative(
      MemorySegment d, long dr, MemorySegment x, long xr, int n) {
    for (int i = 0; i < n; i += Lanes.COUNT) {
      long at = 4L * i;
      FloatVector v = Lanes.load(x, xr + at);
      FloatVector s = Lanes.load(d, dr + at);
      FloatVector slope = v.mul(v).mul(3 * CUBIC).add(1f).mul(TWO_SQRT_2_PI);
      FloatVector spread = s.mul(Lanes.broadcast(1f).sub(s));
      Lanes.store(spread.mul(v).fma(slope, s), d, dr + at);
    }
  }

  private static FloatVector twoU(FloatVector x) {
    return x.mul(x).mul(CUBIC).add(1f).mul(x).mul(TWO_SQRT_2_PI);
  }

  private static void silu(MemorySegment y, long yr, MemorySegment x, long xr, int n) {
    for (int i = 0; i < n; i += Lanes.COUNT) {
      long at = 4L * i;
      FloatVector v = Lanes.load(x, xr + at);
      Lanes.store(VectorMath.sigmoid(v).mul(v), y, yr + at);
    }
  }

  /** {@code s · (1 + x · (1 − s))}. */
  private static void siluDerivative(MemorySegment d, long dr, MemorySegment x, long xr, int n) {
    for (int i = 0; i < n; i += Lanes.COUNT) {
      long at = 4L * i;
      FloatVector v = Lanes.load(x, xr + at);
      FloatVector s = VectorMath.sigmoid(v);
      FloatVector one = Lanes.broadcast(1f);
      Lanes.store(one.sub(s).fma(v, one).mul(s), d, dr + at);
    }
  }

  private static void relu(MemorySegment y, long yr, MemorySegment x, long xr, int n) {
    for (int i = 0; i < n; i += Lanes.COUNT) {
      long at = 4L * i;
      Lanes.store(positive(Lanes.load(x, xr + at)), y, yr + at);
    }
  }

  private static void reluDerivative(MemorySegment d, long dr, MemorySegment x, long xr, int n) {
    for (int i = 0; i < n; i += Lanes.COUNT) {
      long at = 4L * i;
      FloatVector v = Lanes.load(x, xr + at);
      Lanes.store(Lanes.zero().blend(1f, v.compare(GT, 0f)), d, dr + at);
    }
  }

  private static void reluSquared(MemorySegment y, long yr, MemorySegment x, long xr, int n) {
    for (int i = 0; i < n; i += Lanes.COUNT) {
      long at = 4L * i;
      FloatVector v = positive(Lanes.load(x, xr + at));
      Lanes.store(v.mul(v), y, yr + at);
    }
  }

  private static void reluSquaredDerivative(
      MemorySegment d, long dr, MemorySegment x, long xr, int n) {
    for (int i = 0; i < n; i += Lanes.COUNT) {
      long at = 4L * i;
      Lanes.store(positive(Lanes.load(x, xr + at)).mul(2f), d, dr + at);
    }
  }

  /** Zero where x is negative; NaN stays. */
  private static FloatVector positive(FloatVector x) {
    return x.blend(0f, x.compare(LT, 0f));
  }

  private static void sigmoid(MemorySegment y, long yr, MemorySegment x, long xr, int n) {
    for (int i = 0; i < n; i += Lanes.COUNT) {
      long at = 4L * i;
      Lanes.store(VectorMath.sigmoid(Lanes.load(x, xr + at)), y, yr + at);
    }
  }

  private static void sigmoidDerivative(MemorySegment d, long dr, MemorySegment x, long xr, int n) {
    for (int i = 0; i < n; i += Lanes.COUNT) {
      long at = 4L * i;
      FloatVector s = VectorMath.sigmoid(Lanes.load(x, xr + at));
      Lanes.store(s.mul(Lanes.broadcast(1f).sub(s)), d, dr + at);
    }
  }

  private static void tanh(MemorySegment y, long yr, MemorySegment x, long xr, int n) {
    for (int i = 0; i < n; i += Lanes.COUNT) {
      long at = 4L * i;
      Lanes.store(VectorMath.tanh(Lanes.load(x, xr + at)), y, yr + at);
    }
  }

  private static void oneMinusSquare(MemorySegment d, long dr, int n) {
    for (int i = 0; i < n; i += Lanes.COUNT) {
      FloatVector t = Lanes.load(d, dr + 4L * i);
      Lanes.store(t.neg().fma(t, Lanes.broadcast(1f)), d, dr + 4L * i);
    }
  }

  /** {@code max(x, 0) + ln(1 + e^−|x|)}, in two loops. */
  private static void softplus(MemorySegment y, long yr, MemorySegment x, long xr, int n) {
    for (int i = 0; i < n; i += Lanes.COUNT) {
      long at = 4L * i;
      FloatVector v = Lanes.load(x, xr + at);
      FloatVector e = VectorMath.expOfNegative(v.abs().neg());
      Lanes.store(logOfOnePlus(e).add(positive(v)), y, yr + at);
    }
  }

  /**
   * {@code ln(1 + e)} for {@code 0 <= e <= 1}: with {@code u} the rounded {@code 1 + e}, {@code ln
   * u · e / (u − 1)} makes good what the rounding lost.
   */
  private static FloatVector logOfOnePlus(FloatVector e) {
    FloatVector u = e.add(1f);
    FloatVector lost = u.sub(1f);
    FloatVector y = VectorMath.log(u).mul(e.div(lost));
    return y.blend(e, lost.compare(LT, Float.MIN_NORMAL));
  }
}
