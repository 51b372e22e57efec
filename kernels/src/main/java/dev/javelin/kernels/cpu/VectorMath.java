package dev.javelin.kernels.cpu;

import static jdk.incubator.vector.VectorOperators.ASHR;
import static jdk.incubator.vector.VectorOperators.GE;
import static jdk.incubator.vector.VectorOperators.GT;
import static jdk.incubator.vector.VectorOperators.IS_NAN;
import static jdk.incubator.vector.VectorOperators.LSHL;
import static jdk.incubator.vector.VectorOperators.LT;

import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.VectorMask;

/**
 * Elementary functions on fp32 vectors, each with a scalar twin that gives the same bits. The
 * coefficients are minimax fits of our own; the largest errors stand at the functions, in units in
 * the last place of the result, measured over dense ranges. Overflow gives infinity, underflow
 * passes through the subnormal numbers to zero, NaN stays NaN.
 *
 * <p>Written without {@code lanewise} transcendentals, whose bits differ between interpreter,
 * compiler and machine, and without {@code min} and {@code max}, which cost six instructions where
 * a compare and a blend cost two.
 */
final class VectorMath {
  private static final float LOG2_E = 1.44269504f;

  /** ln 2 in two parts; the first has 9 bits, so that its product with a whole number is exact. */
  private static final float LN2_HIGH = 0.693359375f;

  private static final float LN2_LOW = -2.12194440e-4f;

  /** Adding 1.5·2²³ rounds to a whole number, which then stands in the low bits of the sum. */
  private static final float ROUND = 12582912f;

  private static final int ONE_BITS = 0x3F800000;
  private static final int SIGN_BIT = 0x80000000;

  // e^r = 1 + r + r²·q(r) on |r| <= ln(2)/2
  private static final float E0 = 0.4999999343f;
  private static final float E1 = 0.1666652039f;
  private static final float E2 = 0.04166839085f;
  private static final float E3 = 0.008368745763f;
  private static final float E4 = 0.001381453856f;

  /** Below this e^x rounds to zero, above the next to infinity. */
  private static final float EXP_LOW = -103.97208f;

  private static final float EXP_HIGH = 88.72284f;
  private static final float TWO_64 = 0x1p64f;
  private static final float TWO_MINUS_64 = 0x1p-64f;
  private static final int EXPONENT_64 = 64 << 23;

  // ln(1 + f) = f − f²/2 + f³·q(f) on [√½ − 1, √2 − 1]
  private static final float L0 = 0.333333126f;
  private static final float L1 = -0.250000096f;
  private static final float L2 = 0.2000211866f;
  private static final float L3 = -0.1666799584f;
  private static final float L4 = 0.1421955228f;
  private static final float L5 = -0.1240558906f;
  private static final float L6 = 0.1188816297f;
  private static final float L7 = -0.1167565121f;
  private static final float L8 = 0.06746638265f;
  private static final int SQRT_HALF_BITS = 0x3F3504F3;
  private static final int MANTISSA = 0x007FFFFF;
  private static final float TWO_23 = 0x1p23f;

  // tanh x = x + x³·q(x²) on |x| < 0.55
  private static final float TANH_SMALL = 0.55f;
  private static final float T0 = -0.3333331658f;
  private static final float T1 = 0.1333254682f;
  private static final float T2 = -0.05384762736f;
  private static final float T3 = 0.02105034019f;
  private static final float T4 = -0.006241427731f;

  // erf x = x·p(x²)/q(x²) on |x| < 3.92; beyond, erf rounds to ±1
  private static final float ERF_ONE = 3.92f;
  private static final float P0 = 1.128379169f;
  private static final float P1 = 0.1851687141f;
  private static final float P2 = 0.05427477007f;
  private static final float P3 = 0.003843362327f;
  private static final float P4 = 0.0003779385941f;
  private static final float P5 = 4.640490068e-06f;
  private static final float P6 = -1.296732338e-08f;
  private static final float Q1 = 0.4974349095f;
  private static final float Q2 = 0.1139109012f;
  private static final float Q3 = 0.01544370834f;
  private static final float Q4 = 0.001304063194f;
  private static final float Q5 = 6.269302694e-05f;

  private VectorMath() {}

  private static FloatVector fma(FloatVector a, FloatVector b, float c) {
    return a.fma(b, Lanes.broadcast(c));
  }

  private static FloatVector fma(FloatVector a, float b, FloatVector c) {
    return a.fma(Lanes.broadcast(b), c);
  }

  private static FloatVector copySign(IntVector magnitude, FloatVector sign) {
    return sign.reinterpretAsInts().and(SIGN_BIT).or(magnitude).reinterpretAsFloats();
  }

  /** {@code e^x}, 1 ulp. */
  static FloatVector exp(FloatVector x) {
    VectorMask<Float> high = x.compare(GT, EXP_HIGH);
    VectorMask<Float> low = x.compare(LT, EXP_LOW);
    VectorMask<Float> negative = x.compare(LT, 0f);
    FloatVector c = x.blend(0f, high.or(low));
    FloatVector t = c.fma(Lanes.broadcast(LOG2_E), Lanes.broadcast(ROUND));
    FloatVector p = expFraction(c, t.sub(ROUND));
    // 2^n spans 278 exponents, more than a float has: 64 of them are moved into a product.
    IntVector n = t.reinterpretAsInts().lanewise(LSHL, 23);
    IntVector move = Lanes.ints(-EXPONENT_64).blend(EXPONENT_64, negative.cast(Lanes.INTS));
    FloatVector back = Lanes.broadcast(TWO_64).blend(TWO_MINUS_64, negative);
    FloatVector y = p.reinterpretAsInts().add(n).add(move).reinterpretAsFloats();
    // 0·c carries a NaN through, which the arithmetic on the exponent loses
    return y.fma(back, c.mul(0f)).blend(0f, low).blend(Float.POSITIVE_INFINITY, high);
  }

  /** The scalar twin of {@link #exp(FloatVector)}. */
  static float exp(float x) {
    if (Float.isNaN(x) || x > EXP_HIGH) {
      return x * Float.POSITIVE_INFINITY;
    }
    if (x < EXP_LOW) {
      return 0f;
    }
    float t = Math.fma(x, LOG2_E, ROUND);
    float p = expFraction(x, t - ROUND);
    int n = Float.floatToRawIntBits(t) << 23;
    int bits = Float.floatToRawIntBits(p) + n;
    return x < 0
        ? Float.intBitsToFloat(bits + EXPONENT_64) * TWO_MINUS_64
        : Float.intBitsToFloat(bits - EXPONENT_64) * TWO_64;
  }

  /**
   * {@code e^x} for {@code x <= 0}, the same bits as {@link #exp(FloatVector)} at two thirds of the
   * cost; for softmax and the like. A positive argument gives a wrong result.
   */
  static FloatVector expOfNegative(FloatVector x) {
    VectorMask<Float> low = x.compare(LT, EXP_LOW);
    FloatVector c = x.blend(0f, low);
    FloatVector t = c.fma(Lanes.broadcast(LOG2_E), Lanes.broadcast(ROUND));
    FloatVector p = expFraction(c, t.sub(ROUND));
    IntVector n = t.reinterpretAsInts().lanewise(LSHL, 23);
    IntVector bits = p.reinterpretAsInts().add(n).add(EXPONENT_64);
    return fma(bits.reinterpretAsFloats(), TWO_MINUS_64, c.mul(0f)).blend(0f, low);
  }

  /** The scalar twin of {@link #expOfNegative(FloatVector)}. */
  static float expOfNegative(float x) {
    return exp(x);
  }

  /** {@code e^(x − n·ln 2)}, between √½ and √2. */
  private static FloatVector expFraction(FloatVector x, FloatVector n) {
    FloatVector r = fma(n, -LN2_LOW, fma(n, -LN2_HIGH, x));
    FloatVector q = fma(fma(fma(fma(Lanes.broadcast(E4), r, E3), r, E2), r, E1), r, E0);
    return q.fma(r.mul(r), r).add(1f);
  }

  private static float expFraction(float x, float n) {
    float r = Math.fma(n, -LN2_LOW, Math.fma(n, -LN2_HIGH, x));
    float q = Math.fma(Math.fma(Math.fma(Math.fma(E4, r, E3), r, E2), r, E1), r, E0);
    return Math.fma(q, r * r, r) + 1f;
  }

  /** {@code 1 / (1 + e^−x)}, 2 ulp. */
  static FloatVector sigmoid(FloatVector x) {
    FloatVector e = expOfNegative(x.abs().neg());
    return e.blend(1f, x.compare(GE, 0f)).div(e.add(1f));
  }

  /** The scalar twin of {@link #sigmoid(FloatVector)}. */
  static float sigmoid(float x) {
    float e = exp(-Math.abs(x));
    return (x >= 0 ? 1f : e) / (e + 1f);
  }

  /** {@code ln x}, 1 ulp; −∞ at zero, NaN below it. */
  static FloatVector log(FloatVector x) {
    VectorMask<Float> subnormal = x.compare(LT, Float.MIN_NORMAL);
    FloatVector normal = x.blend(x.mul(TWO_23), subnormal);
    IntVector shifted = normal.reinterpretAsInts().sub(SQRT_HALF_BITS);
    FloatVector e = (FloatVector) shifted.lanewise(ASHR, 23).castShape(Lanes.SPECIES, 0);
    e = e.sub(Lanes.zero().blend(23f, subnormal));
    FloatVector f = shifted.and(MANTISSA).add(SQRT_HALF_BITS).reinterpretAsFloats().sub(1f);
    FloatVector q = fma(fma(fma(fma(Lanes.broadcast(L8), f, L7), f, L6), f, L5), f, L4);
    q = fma(fma(fma(fma(q, f, L3), f, L2), f, L1), f, L0);
    FloatVector square = f.mul(f);
    FloatVector tail = fma(e, LN2_LOW, fma(square, -0.5f, q.mul(square.mul(f))));
    FloatVector y = fma(e, LN2_HIGH, f.add(tail));
    y = y.blend(x, x.compare(GE, Float.POSITIVE_INFINITY));
    y = y.blend(Float.NEGATIVE_INFINITY, x.compare(LT, Float.MIN_VALUE));
    return y.blend(Float.NaN, x.compare(LT, 0f)).blend(x, x.test(IS_NAN));
  }

  /** The scalar twin of {@link #log(FloatVector)}. */
  static float log(float x) {
    if (Float.isNaN(x) || x == Float.POSITIVE_INFINITY) {
      return x;
    }
    if (x <= 0) {
      return x == 0 ? Float.NEGATIVE_INFINITY : Float.NaN;
    }
    boolean subnormal = x < Float.MIN_NORMAL;
    int shifted = Float.floatToRawIntBits(subnormal ? x * TWO_23 : x) - SQRT_HALF_BITS;
    float e = (shifted >> 23) - (subnormal ? 23f : 0f);
    float f = Float.intBitsToFloat((shifted & MANTISSA) + SQRT_HALF_BITS) - 1f;
    float q = Math.fma(Math.fma(Math.fma(Math.fma(L8, f, L7), f, L6), f, L5), f, L4);
    q = Math.fma(Math.fma(Math.fma(Math.fma(q, f, L3), f, L2), f, L1), f, L0);
    float square = f * f;
    float tail = Math.fma(e, LN2_LOW, Math.fma(square, -0.5f, q * (square * f)));
    return Math.fma(e, LN2_HIGH, f + tail);
  }

  /** {@code tanh x}, 2 ulp. */
  static FloatVector tanh(FloatVector x) {
    FloatVector magnitude = x.abs();
    FloatVector e = expOfNegative(magnitude.mul(-2f));
    FloatVector large = Lanes.broadcast(1f).sub(e).div(e.add(1f));
    FloatVector u = x.mul(x);
    FloatVector q = fma(fma(fma(fma(Lanes.broadcast(T4), u, T3), u, T2), u, T1), u, T0);
    FloatVector small = q.mul(u).fma(x, x);
    return copySign(large.reinterpretAsInts(), x).blend(small, magnitude.compare(LT, TANH_SMALL));
  }

  /** The scalar twin of {@link #tanh(FloatVector)}. */
  static float tanh(float x) {
    float magnitude = Math.abs(x);
    if (magnitude < TANH_SMALL) {
      float u = x * x;
      float q = Math.fma(Math.fma(Math.fma(Math.fma(T4, u, T3), u, T2), u, T1), u, T0);
      return Math.fma(q * u, x, x);
    }
    float e = exp(magnitude * -2f);
    return Math.copySign((1f - e) / (e + 1f), x);
  }

  /** {@code erf x = 2/√π · ∫₀ˣ e^−t² dt}, 6 ulp. */
  static FloatVector erf(FloatVector x) {
    VectorMask<Float> one = x.abs().compare(GE, ERF_ONE);
    FloatVector c = x.blend(0f, one);
    FloatVector u = c.mul(c);
    FloatVector p = fma(fma(fma(Lanes.broadcast(P6), u, P5), u, P4), u, P3);
    p = fma(fma(fma(p, u, P2), u, P1), u, P0);
    FloatVector q = fma(fma(fma(fma(Lanes.broadcast(Q5), u, Q4), u, Q3), u, Q2), u, Q1);
    FloatVector y = c.mul(p).div(fma(q, u, 1f));
    return y.blend(copySign(Lanes.ints(ONE_BITS), x), one);
  }

  /** The scalar twin of {@link #erf(FloatVector)}. */
  static float erf(float x) {
    if (Math.abs(x) >= ERF_ONE) {
      return Math.copySign(1f, x);
    }
    float u = x * x;
    float p = Math.fma(Math.fma(Math.fma(P6, u, P5), u, P4), u, P3);
    p = Math.fma(Math.fma(Math.fma(p, u, P2), u, P1), u, P0);
    float q = Math.fma(Math.fma(Math.fma(Math.fma(Q5, u, Q4), u, Q3), u, Q2), u, Q1);
    return x * p / Math.fma(q, u, 1f);
  }
}
