package dev.javelin.kernels.cpu;

import static dev.javelin.kernels.cpu.Lanes.broadcast;
import static jdk.incubator.vector.VectorOperators.ASHR;
import static jdk.incubator.vector.VectorOperators.GE;
import static jdk.incubator.vector.VectorOperators.GT;
import static jdk.incubator.vector.VectorOperators.LSHL;
import static jdk.incubator.vector.VectorOperators.LT;

import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.VectorMask;

/**
 * Elementary functions on fp32 vectors, each with a scalar form of the same bits. The coefficients
 * are minimax fits of our own; the largest errors stand at the functions, in units in the last
 * place of the result, measured over dense ranges. Overflow gives infinity, underflow passes
 * through the subnormal numbers to zero, NaN stays NaN.
 *
 * <p>Written without {@code lanewise} transcendentals, whose bits differ between interpreter,
 * compiler and machine, and without {@code min} and {@code max}, which cost six instructions where
 * a compare and a blend cost two.
 *
 * <p>The functions are meant to be inlined into a loop, and the compiler stops inlining when the
 * loop's method has grown to 18000 nodes: some 400 for each vector operation, and half as many more
 * where an operand is a scalar. So constants are vectors, and the functions are short: exp 24
 * operations, sigmoid 26, erf and tanh 22, log 31. A loop with more than 45 belongs in two.
 */
final class VectorMath {
  private static final float ZERO = 0f;
  private static final float HALF = 0.5f;
  private static final float ONE = 1f;

  private static final float LOG2_E = 1.44269504f;

  /** ln 2 in two parts; the first has 9 bits, so that its product with a whole number is exact. */
  private static final float LN2_HIGH = 0.693359375f;

  private static final float LN2_LOW = -2.12194440e-4f;
  private static final float MINUS_LN2_HIGH = -LN2_HIGH;
  private static final float MINUS_LN2_LOW = -LN2_LOW;

  // e^r = 1 + r + r²·q(r) on |r| <= ln(2)/2
  private static final float E0 = 0.4999999343f;
  private static final float E1 = 0.1666652039f;
  private static final float E2 = 0.04166839085f;
  private static final float E3 = 0.008368745763f;
  private static final float E4 = 0.001381453856f;

  /** Below the one e^x rounds to zero, above the other to infinity. */
  private static final float EXP_LOW = -103.97208f;

  private static final float EXP_HIGH = 88.72284f;
  private static final float INFINITY = Float.POSITIVE_INFINITY;

  /**
   * Adding 1.5·2²³ rounds to a whole number n, which then stands in the low bits of the sum. With
   * 64 more it is n + 64, with 64 less n − 64: 2ⁿ spans 278 exponents, more than a float has, so
   * the product with 2^∓64 comes last.
   */
  private static final float ROUND_UP_64 = 12582912f + 64;

  private static final float ROUND_DOWN_64 = 12582912f - 64;
  private static final float TWO_64 = 0x1p64f;
  private static final float TWO_MINUS_64 = 0x1p-64f;

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
  private static final float MIN_NORMAL = Float.MIN_NORMAL;
  private static final float MIN_VALUE = Float.MIN_VALUE;
  private static final float TWO_23 = 0x1p23f;
  private static final float MINUS_23 = -23f;
  private static final float MINUS_INFINITY = Float.NEGATIVE_INFINITY;
  private static final float NAN = Float.NaN;

  // tanh x = x·a(x²)/b(x²) on |x| < 9.02; beyond, tanh rounds to ±1
  private static final float TANH_ONE = 9.02f;
  private static final float A0 = 0.9999999987f;
  private static final float A1 = 0.1367991481f;
  private static final float A2 = 0.003868327437f;
  private static final float A3 = 2.800745377e-05f;
  private static final float A4 = 3.058501366e-08f;
  private static final float A5 = -1.220346194e-11f;
  private static final float B1 = 0.4701324687f;
  private static final float B2 = 0.02724583762f;
  private static final float B3 = 0.0003938630614f;
  private static final float B4 = 1.287366292e-06f;

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

  private static final int SIGN_BIT = 0x80000000;
  private static final int ONE_BITS = 0x3F800000;

  private VectorMath() {}

  /** {@code e^x}, 1 ulp. */
  static FloatVector exp(FloatVector x) {
    VectorMask<Float> negative = x.compare(LT, broadcast(ZERO));
    FloatVector round = broadcast(ROUND_DOWN_64).blend(broadcast(ROUND_UP_64), negative);
    FloatVector back = broadcast(TWO_64).blend(broadcast(TWO_MINUS_64), negative);
    FloatVector y = scaledExp(x, round, back);
    return y.blend(broadcast(ZERO), x.compare(LT, broadcast(EXP_LOW)))
        .blend(broadcast(INFINITY), x.compare(GT, broadcast(EXP_HIGH)));
  }

  static float exp(float x) {
    return exp(broadcast(x)).lane(0);
  }

  /**
   * {@code e^x} for {@code x <= 0}, the same bits as {@link #exp(FloatVector)} at less cost; for
   * softmax and the like. A positive argument gives a wrong result.
   */
  static FloatVector expOfNegative(FloatVector x) {
    return scaledExp(x, broadcast(ROUND_UP_64), broadcast(TWO_MINUS_64))
        .blend(broadcast(ZERO), x.compare(LT, broadcast(EXP_LOW)));
  }

  /** {@code e^x} within its limits, NaN for NaN, anything beyond the limits. */
  private static FloatVector scaledExp(FloatVector x, FloatVector round, FloatVector back) {
    FloatVector t = x.fma(broadcast(LOG2_E), round);
    FloatVector n = t.sub(round);
    FloatVector r = n.fma(broadcast(MINUS_LN2_LOW), n.fma(broadcast(MINUS_LN2_HIGH), x));
    FloatVector q =
        broadcast(E4)
            .fma(r, broadcast(E3))
            .fma(r, broadcast(E2))
            .fma(r, broadcast(E1))
            .fma(r, broadcast(E0));
    FloatVector p = q.fma(r.mul(r), r).add(broadcast(ONE));
    IntVector exponent = t.reinterpretAsInts().lanewise(LSHL, 23);
    FloatVector y = p.reinterpretAsInts().add(exponent).reinterpretAsFloats();
    // 0·x carries a NaN through, which the arithmetic on the exponent loses
    return y.fma(back, x.mul(broadcast(ZERO)));
  }

  /** {@code 1 / (1 + e^−x)}, 2 ulp. */
  static FloatVector sigmoid(FloatVector x) {
    FloatVector e = expOfNegative(x.abs().neg());
    return e.blend(broadcast(ONE), x.compare(GE, broadcast(ZERO))).div(e.add(broadcast(ONE)));
  }

  static float sigmoid(float x) {
    return sigmoid(broadcast(x)).lane(0);
  }

  /** {@code ln x}, 1 ulp; −∞ at zero, NaN below it. */
  static FloatVector log(FloatVector x) {
    FloatVector y = finiteLog(x).blend(broadcast(INFINITY), x.compare(GE, broadcast(INFINITY)));
    return y.blend(broadcast(MINUS_INFINITY), x.compare(LT, broadcast(MIN_VALUE)))
        .blend(broadcast(NAN), x.compare(LT, broadcast(ZERO)));
  }

  /**
   * {@code ln x} of a positive number, NaN for NaN. Apart from {@link #log}, since the compiler
   * inlines methods up to some size.
   */
  private static FloatVector finiteLog(FloatVector x) {
    VectorMask<Float> subnormal = x.compare(LT, broadcast(MIN_NORMAL));
    FloatVector normal = x.blend(x.mul(broadcast(TWO_23)), subnormal);
    IntVector shifted = normal.reinterpretAsInts().sub(Lanes.ints(SQRT_HALF_BITS));
    FloatVector e = (FloatVector) shifted.lanewise(ASHR, 23).castShape(Lanes.SPECIES, 0);
    e = e.add(broadcast(ZERO).blend(broadcast(MINUS_23), subnormal));
    FloatVector f =
        shifted
            .and(Lanes.ints(MANTISSA))
            .add(Lanes.ints(SQRT_HALF_BITS))
            .reinterpretAsFloats()
            .sub(broadcast(ONE));
    FloatVector q =
        broadcast(L8)
            .fma(f, broadcast(L7))
            .fma(f, broadcast(L6))
            .fma(f, broadcast(L5))
            .fma(f, broadcast(L4));
    q = q.fma(f, broadcast(L3)).fma(f, broadcast(L2)).fma(f, broadcast(L1)).fma(f, broadcast(L0));
    FloatVector square = f.mul(f);
    FloatVector tail = q.mul(f).sub(broadcast(HALF)).mul(square);
    // 0·x carries a NaN through
    return e.fma(
        broadcast(LN2_HIGH), e.fma(broadcast(LN2_LOW), tail).add(x.fma(broadcast(ZERO), f)));
  }

  static float log(float x) {
    return log(broadcast(x)).lane(0);
  }

  /** {@code tanh x}, 6 ulp. */
  static FloatVector tanh(FloatVector x) {
    VectorMask<Float> one = x.abs().compare(GE, broadcast(TANH_ONE));
    FloatVector u = x.mul(x);
    FloatVector a =
        broadcast(A5)
            .fma(u, broadcast(A4))
            .fma(u, broadcast(A3))
            .fma(u, broadcast(A2))
            .fma(u, broadcast(A1))
            .fma(u, broadcast(A0));
    FloatVector b =
        broadcast(B4)
            .fma(u, broadcast(B3))
            .fma(u, broadcast(B2))
            .fma(u, broadcast(B1))
            .fma(u, broadcast(ONE));
    return x.mul(a).div(b).blend(signOf(x), one);
  }

  static float tanh(float x) {
    return tanh(broadcast(x)).lane(0);
  }

  /** {@code erf x = 2/√π · ∫₀ˣ e^−t² dt}, 6 ulp. */
  static FloatVector erf(FloatVector x) {
    VectorMask<Float> one = x.abs().compare(GE, broadcast(ERF_ONE));
    FloatVector u = x.mul(x);
    FloatVector p =
        broadcast(P6)
            .fma(u, broadcast(P5))
            .fma(u, broadcast(P4))
            .fma(u, broadcast(P3))
            .fma(u, broadcast(P2))
            .fma(u, broadcast(P1))
            .fma(u, broadcast(P0));
    FloatVector q =
        broadcast(Q5)
            .fma(u, broadcast(Q4))
            .fma(u, broadcast(Q3))
            .fma(u, broadcast(Q2))
            .fma(u, broadcast(Q1))
            .fma(u, broadcast(ONE));
    return x.mul(p).div(q).blend(signOf(x), one);
  }

  static float erf(float x) {
    return erf(broadcast(x)).lane(0);
  }

  /** ±1. */
  private static FloatVector signOf(FloatVector x) {
    return x.reinterpretAsInts()
        .and(Lanes.ints(SIGN_BIT))
        .or(Lanes.ints(ONE_BITS))
        .reinterpretAsFloats();
  }
}
