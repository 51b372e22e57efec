package dev.javelin.kernels.cpu;

import static dev.javelin.kernels.cpu.Lanes.broadcast;
import static jdk.incubator.vector.VectorOperators.GT;
import static jdk.incubator.vector.VectorOperators.LT;

import dev.javelin.kernels.Activation;
import java.lang.foreign.MemorySegment;
import java.util.Objects;
import jdk.incubator.vector.FloatVector;
import org.jspecify.annotations.Nullable;

/**
 * A row in memory and the elementwise passes over it: an activation's value or derivative, and the
 * product with another row. Offsets in bytes.
 */
final class ActivationRow {
  private static final float ZERO = 0f;
  private static final float HALF = 0.5f;
  private static final float MINUS_HALF = -0.5f;
  private static final float ONE = 1f;
  private static final float SQRT_HALF = 0.70710677f;
  private static final float INV_SQRT_2PI = 0.3989423f;

  // GELU_TANH is x · sigmoid(2u) with 2u = x·(k + k·0.044715·x²), k = 2·√(2/π)
  private static final float K = 1.5957691f;
  private static final float CUBIC = 1.5957691f * 0.044715f;
  private static final float THREE_CUBIC = 3 * 1.5957691f * 0.044715f;
  private static final float MIN_NORMAL = Float.MIN_NORMAL;

  final MemorySegment scratch;
  private final @Nullable ActivationRow product;
  MemorySegment out;
  long outAt;
  MemorySegment x;
  long xAt;
  MemorySegment factor;
  long factorAt;
  boolean accumulate;
  final int n;

  /** A row of {@code n} elements, whole vectors; all operands in {@code scratch} until set. */
  ActivationRow(MemorySegment scratch, int n) {
    this(scratch, n, null);
  }

  private ActivationRow(MemorySegment scratch, int n, @Nullable ActivationRow product) {
    this.scratch = scratch;
    this.product = product;
    this.out = scratch;
    this.x = scratch;
    this.factor = scratch;
    this.n = n;
  }

  /** A row and another one for the product with its result, see {@link #product}. */
  static ActivationRow pair(MemorySegment scratch, int n) {
    return new ActivationRow(scratch, n, new ActivationRow(scratch, n));
  }

  ActivationRow product() {
    return Objects.requireNonNull(product);
  }

  /** {@code out = f(x)}. */
  static RowPass<ActivationRow> value(Activation f) {
    return switch (f) {
      case GELU -> ActivationRow::gelu;
      case GELU_TANH -> ActivationRow::geluTanh;
      case SILU -> ActivationRow::silu;
      case RELU -> ActivationRow::relu;
      case RELU_SQUARED -> ActivationRow::reluSquared;
      case SIGMOID -> ActivationRow::sigmoid;
      case TANH -> ActivationRow::tanh;
      case SOFTPLUS ->
          exponential().then(ActivationRow::logOfOnePlus).then(ActivationRow::addPositive);
    };
  }

  /** {@code out = f'(x)}. */
  static RowPass<ActivationRow> derivative(Activation f) {
    return switch (f) {
      case GELU -> normalCdf().then(ActivationRow::addDensityTimesX);
      case GELU_TANH -> sigmoidOf2u().then(ActivationRow::geluTanhDerivative);
      case SILU -> ActivationRow::siluDerivative;
      case RELU -> ActivationRow::reluDerivative;
      case RELU_SQUARED -> ActivationRow::reluSquaredDerivative;
      case SIGMOID -> ActivationRow::sigmoidDerivative;
      case TANH -> ActivationRow::tanhDerivative;
      case SOFTPLUS -> ActivationRow::sigmoid;
    };
  }

  private static RowPass<ActivationRow> exponential() {
    return ActivationRow::exponentialOfMinusAbs;
  }

  private static RowPass<ActivationRow> normalCdf() {
    return ActivationRow::cdf;
  }

  private static RowPass<ActivationRow> sigmoidOf2u() {
    return ActivationRow::sigmoidOfTwoU;
  }

  /** {@code out (+)= x · factor}. */
  void multiply() {
    MemorySegment x = this.x.asSlice(xAt, 4L * n);
    MemorySegment factor = this.factor.asSlice(factorAt, 4L * n);
    MemorySegment out = this.out.asSlice(outAt, 4L * n);
    for (int i = 0; i < n; i += Lanes.COUNT) {
      long at = 4L * i;
      FloatVector v = Lanes.load(x, at).mul(Lanes.load(factor, at));
      Lanes.store(accumulate ? v.add(Lanes.load(out, at)) : v, out, at);
    }
  }

  /** {@code Φ(x)}. */
  private void cdf() {
    MemorySegment x = this.x.asSlice(xAt, 4L * n);
    MemorySegment out = this.out.asSlice(outAt, 4L * n);
    for (int i = 0; i < n; i += Lanes.COUNT) {
      long at = 4L * i;
      Lanes.store(cdf(Lanes.load(x, at)), out, at);
    }
  }

  private void gelu() {
    MemorySegment x = this.x.asSlice(xAt, 4L * n);
    MemorySegment out = this.out.asSlice(outAt, 4L * n);
    for (int i = 0; i < n; i += Lanes.COUNT) {
      long at = 4L * i;
      FloatVector v = Lanes.load(x, at);
      Lanes.store(cdf(v).mul(v), out, at);
    }
  }

  private static FloatVector cdf(FloatVector x) {
    FloatVector half = broadcast(HALF);
    return VectorMath.erf(x.mul(broadcast(SQRT_HALF))).fma(half, half);
  }

  /** {@code d += x · e^(−x²/2) / √2π}. */
  private void addDensityTimesX() {
    MemorySegment x = this.x.asSlice(xAt, 4L * n);
    MemorySegment out = this.out.asSlice(outAt, 4L * n);
    for (int i = 0; i < n; i += Lanes.COUNT) {
      long at = 4L * i;
      FloatVector v = Lanes.load(x, at);
      FloatVector e = VectorMath.expOfNegative(v.mul(v).mul(broadcast(MINUS_HALF)));
      FloatVector p = Lanes.load(out, at);
      Lanes.store(v.mul(broadcast(INV_SQRT_2PI)).fma(e, p), out, at);
    }
  }

  private void geluTanh() {
    MemorySegment x = this.x.asSlice(xAt, 4L * n);
    MemorySegment out = this.out.asSlice(outAt, 4L * n);
    for (int i = 0; i < n; i += Lanes.COUNT) {
      long at = 4L * i;
      FloatVector v = Lanes.load(x, at);
      Lanes.store(VectorMath.sigmoid(twoU(v)).mul(v), out, at);
    }
  }

  private void sigmoidOfTwoU() {
    MemorySegment x = this.x.asSlice(xAt, 4L * n);
    MemorySegment out = this.out.asSlice(outAt, 4L * n);
    for (int i = 0; i < n; i += Lanes.COUNT) {
      long at = 4L * i;
      Lanes.store(VectorMath.sigmoid(twoU(Lanes.load(x, at))), out, at);
    }
  }

  /** From {@code s = sigmoid(2u)} in d: {@code d = s + x · s·(1 − s) · 2u'}. */
  private void geluTanhDerivative() {
    MemorySegment x = this.x.asSlice(xAt, 4L * n);
    MemorySegment out = this.out.asSlice(outAt, 4L * n);
    for (int i = 0; i < n; i += Lanes.COUNT) {
      long at = 4L * i;
      FloatVector v = Lanes.load(x, at);
      FloatVector s = Lanes.load(out, at);
      FloatVector slope = v.mul(v).fma(broadcast(THREE_CUBIC), broadcast(K));
      FloatVector spread = s.mul(broadcast(ONE).sub(s));
      Lanes.store(spread.mul(v).fma(slope, s), out, at);
    }
  }

  private static FloatVector twoU(FloatVector x) {
    return x.mul(x).fma(broadcast(CUBIC), broadcast(K)).mul(x);
  }

  private void silu() {
    MemorySegment x = this.x.asSlice(xAt, 4L * n);
    MemorySegment out = this.out.asSlice(outAt, 4L * n);
    for (int i = 0; i < n; i += Lanes.COUNT) {
      long at = 4L * i;
      FloatVector v = Lanes.load(x, at);
      Lanes.store(VectorMath.sigmoid(v).mul(v), out, at);
    }
  }

  /** {@code s · (1 + x · (1 − s))}. */
  private void siluDerivative() {
    MemorySegment x = this.x.asSlice(xAt, 4L * n);
    MemorySegment out = this.out.asSlice(outAt, 4L * n);
    for (int i = 0; i < n; i += Lanes.COUNT) {
      long at = 4L * i;
      FloatVector v = Lanes.load(x, at);
      FloatVector s = VectorMath.sigmoid(v);
      Lanes.store(broadcast(ONE).sub(s).fma(v, broadcast(ONE)).mul(s), out, at);
    }
  }

  private void relu() {
    MemorySegment x = this.x.asSlice(xAt, 4L * n);
    MemorySegment out = this.out.asSlice(outAt, 4L * n);
    for (int i = 0; i < n; i += Lanes.COUNT) {
      long at = 4L * i;
      Lanes.store(positive(Lanes.load(x, at)), out, at);
    }
  }

  private void reluDerivative() {
    MemorySegment x = this.x.asSlice(xAt, 4L * n);
    MemorySegment out = this.out.asSlice(outAt, 4L * n);
    for (int i = 0; i < n; i += Lanes.COUNT) {
      long at = 4L * i;
      FloatVector v = Lanes.load(x, at);
      Lanes.store(broadcast(ZERO).blend(broadcast(ONE), v.compare(GT, broadcast(ZERO))), out, at);
    }
  }

  private void reluSquared() {
    MemorySegment x = this.x.asSlice(xAt, 4L * n);
    MemorySegment out = this.out.asSlice(outAt, 4L * n);
    for (int i = 0; i < n; i += Lanes.COUNT) {
      long at = 4L * i;
      FloatVector v = positive(Lanes.load(x, at));
      Lanes.store(v.mul(v), out, at);
    }
  }

  private void reluSquaredDerivative() {
    MemorySegment x = this.x.asSlice(xAt, 4L * n);
    MemorySegment out = this.out.asSlice(outAt, 4L * n);
    for (int i = 0; i < n; i += Lanes.COUNT) {
      long at = 4L * i;
      FloatVector v = positive(Lanes.load(x, at));
      Lanes.store(v.add(v), out, at);
    }
  }

  /** Zero where x is negative; NaN stays. */
  private static FloatVector positive(FloatVector x) {
    return x.blend(broadcast(ZERO), x.compare(LT, broadcast(ZERO)));
  }

  private void sigmoid() {
    MemorySegment x = this.x.asSlice(xAt, 4L * n);
    MemorySegment out = this.out.asSlice(outAt, 4L * n);
    for (int i = 0; i < n; i += Lanes.COUNT) {
      long at = 4L * i;
      Lanes.store(VectorMath.sigmoid(Lanes.load(x, at)), out, at);
    }
  }

  private void sigmoidDerivative() {
    MemorySegment x = this.x.asSlice(xAt, 4L * n);
    MemorySegment out = this.out.asSlice(outAt, 4L * n);
    for (int i = 0; i < n; i += Lanes.COUNT) {
      long at = 4L * i;
      FloatVector s = VectorMath.sigmoid(Lanes.load(x, at));
      Lanes.store(s.mul(broadcast(ONE).sub(s)), out, at);
    }
  }

  private void tanh() {
    MemorySegment x = this.x.asSlice(xAt, 4L * n);
    MemorySegment out = this.out.asSlice(outAt, 4L * n);
    for (int i = 0; i < n; i += Lanes.COUNT) {
      long at = 4L * i;
      Lanes.store(VectorMath.tanh(Lanes.load(x, at)), out, at);
    }
  }

  private void tanhDerivative() {
    MemorySegment x = this.x.asSlice(xAt, 4L * n);
    MemorySegment out = this.out.asSlice(outAt, 4L * n);
    for (int i = 0; i < n; i += Lanes.COUNT) {
      long at = 4L * i;
      FloatVector t = VectorMath.tanh(Lanes.load(x, at));
      Lanes.store(t.neg().fma(t, broadcast(ONE)), out, at);
    }
  }

  /** Of SOFTPLUS, {@code max(x, 0) + ln(1 + e^−|x|)}, the first part. */
  private void exponentialOfMinusAbs() {
    MemorySegment x = this.x.asSlice(xAt, 4L * n);
    MemorySegment out = this.out.asSlice(outAt, 4L * n);
    for (int i = 0; i < n; i += Lanes.COUNT) {
      long at = 4L * i;
      FloatVector v = Lanes.load(x, at);
      Lanes.store(VectorMath.expOfNegative(v.abs().neg()), out, at);
    }
  }

  private void addPositive() {
    MemorySegment x = this.x.asSlice(xAt, 4L * n);
    MemorySegment out = this.out.asSlice(outAt, 4L * n);
    for (int i = 0; i < n; i += Lanes.COUNT) {
      long at = 4L * i;
      FloatVector v = positive(Lanes.load(x, at));
      Lanes.store(Lanes.load(out, at).add(v), out, at);
    }
  }

  /**
   * {@code out = ln(1 + e)} of {@code 0 <= e <= 1} in out: with {@code u} the rounded {@code 1 +
   * e}, {@code ln u · e / (u − 1)} makes good what the rounding lost.
   */
  private void logOfOnePlus() {
    MemorySegment out = this.out.asSlice(outAt, 4L * n);
    for (int i = 0; i < n; i += Lanes.COUNT) {
      FloatVector e = Lanes.load(out, 4L * i);
      FloatVector u = e.add(broadcast(ONE));
      FloatVector kept = u.sub(broadcast(ONE));
      FloatVector v = VectorMath.log(u).mul(e.div(kept));
      Lanes.store(v.blend(e, kept.compare(LT, broadcast(MIN_NORMAL))), out, 4L * i);
    }
  }
}
