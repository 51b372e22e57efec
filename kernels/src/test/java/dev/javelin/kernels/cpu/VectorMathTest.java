package dev.javelin.kernels.cpu;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.function.DoubleUnaryOperator;
import jdk.incubator.vector.FloatVector;
import org.junit.jupiter.api.Test;

class VectorMathTest {
  private interface VectorFunction {
    FloatVector apply(FloatVector x);
  }

  private interface ScalarFunction {
    float apply(float x);
  }

  private static final float[] EDGES = {
    0f,
    -0f,
    Float.MIN_VALUE,
    -Float.MIN_VALUE,
    Float.MIN_NORMAL,
    -Float.MIN_NORMAL,
    1e-20f,
    0.54999995f,
    0.55f,
    3.9199998f,
    3.92f,
    -3.92f,
    1f,
    -1f,
    17f,
    -17f,
    87.33654f,
    -87.33654f,
    88.72284f,
    88.72285f,
    -103.97f,
    -103.98f,
    -150f,
    150f,
    Float.MAX_VALUE,
    -Float.MAX_VALUE,
    Float.POSITIVE_INFINITY,
    Float.NEGATIVE_INFINITY,
    Float.NaN
  };

  @Test
  void expIsWithinOneUlpFromUnderflowToOverflow() {
    assertThat(worstUlp(VectorMath::exp, VectorMath::exp, Math::exp, -104f, 88.9f))
        .isLessThan(1.05);
    assertThat(worstUlp(VectorMath::exp, VectorMath::exp, Math::exp, -0.4f, 0.4f)).isLessThan(1.05);
  }

  @Test
  void expOfNegativeGivesTheBitsOfExp() {
    FloatVector v = Lanes.zero();
    for (float x = -110; x <= 0; x += 0.001f) {
      v = VectorMath.expOfNegative(Lanes.broadcast(x));
      assertThat(Float.floatToRawIntBits(v.lane(0))).isEqualTo(bits(VectorMath.exp(x)));
    }
    assertThat(VectorMath.expOfNegative(Lanes.broadcast(Float.NEGATIVE_INFINITY)).lane(0)).isZero();
    assertThat(VectorMath.expOfNegative(Lanes.broadcast(Float.NaN)).lane(0)).isNaN();
  }

  @Test
  void expKnowsItsLimits() {
    assertThat(VectorMath.exp(Float.POSITIVE_INFINITY)).isEqualTo(Float.POSITIVE_INFINITY);
    assertThat(VectorMath.exp(Float.NEGATIVE_INFINITY)).isEqualTo(0f);
    assertThat(VectorMath.exp(Float.NaN)).isNaN();
    assertThat(VectorMath.exp(0f)).isEqualTo(1f);
    assertThat(VectorMath.exp(88.72283f)).isFinite();
    assertThat(VectorMath.exp(88.7229f)).isEqualTo(Float.POSITIVE_INFINITY);
    assertThat(VectorMath.exp(-103.9f)).isEqualTo(Float.MIN_VALUE);
    assertThat(VectorMath.exp(-104f)).isZero();
  }

  @Test
  void logIsWithinOneAndAHalfUlp() {
    assertThat(worstUlp(VectorMath::log, VectorMath::log, Math::log, 0.3f, 3f)).isLessThan(1.5);
    assertThat(worstUlp(VectorMath::log, VectorMath::log, Math::log, 1e-30f, 1e30f))
        .isLessThan(1.5);
    assertThat(worstUlp(VectorMath::log, VectorMath::log, Math::log, Float.MIN_VALUE, 1e-37f))
        .isLessThan(1.5);
    assertThat(VectorMath.log(0f)).isEqualTo(Float.NEGATIVE_INFINITY);
    assertThat(VectorMath.log(-0f)).isEqualTo(Float.NEGATIVE_INFINITY);
    assertThat(VectorMath.log(-1f)).isNaN();
    assertThat(VectorMath.log(Float.POSITIVE_INFINITY)).isEqualTo(Float.POSITIVE_INFINITY);
  }

  @Test
  void sigmoidIsWithinThreeUlp() {
    DoubleUnaryOperator sigmoid = x -> 1 / (1 + Math.exp(-x));
    assertThat(worstUlp(VectorMath::sigmoid, VectorMath::sigmoid, sigmoid, -104f, 104f))
        .isLessThan(3);
    assertThat(worstUlp(VectorMath::sigmoid, VectorMath::sigmoid, sigmoid, -1f, 1f)).isLessThan(3);
  }

  @Test
  void tanhIsWithinSixUlp() {
    assertThat(worstUlp(VectorMath::tanh, VectorMath::tanh, Math::tanh, -12f, 12f)).isLessThan(6);
    assertThat(worstUlp(VectorMath::tanh, VectorMath::tanh, Math::tanh, -1e-4f, 1e-4f))
        .isLessThan(3);
    assertThat(VectorMath.tanh(Float.NEGATIVE_INFINITY)).isEqualTo(-1f);
  }

  @Test
  void erfIsWithinSixUlp() {
    assertThat(worstUlp(VectorMath::erf, VectorMath::erf, VectorMathTest::erf, -4.5f, 4.5f))
        .isLessThan(6);
    assertThat(worstUlp(VectorMath::erf, VectorMath::erf, VectorMathTest::erf, -1e-3f, 1e-3f))
        .isLessThan(3);
    assertThat(VectorMath.erf(Float.NEGATIVE_INFINITY)).isEqualTo(-1f);
  }

  @Test
  void everyLaneGivesTheBitsOfTheScalarTwinAtTheEdges() {
    for (float x : EDGES) {
      assertSameBits(VectorMath::exp, VectorMath::exp, x);
      assertSameBits(VectorMath::log, VectorMath::log, x);
      assertSameBits(VectorMath::sigmoid, VectorMath::sigmoid, x);
      assertSameBits(VectorMath::tanh, VectorMath::tanh, x);
      assertSameBits(VectorMath::erf, VectorMath::erf, x);
    }
  }

  private static void assertSameBits(VectorFunction vector, ScalarFunction scalar, float x) {
    float got = vector.apply(Lanes.broadcast(x)).lane(Lanes.COUNT - 1);
    assertThat(bits(got))
        .as("f(%s): %s and %s", x, got, scalar.apply(x))
        .isEqualTo(bits(scalar.apply(x)));
  }

  /** NaN as one pattern. */
  private static int bits(float x) {
    return Float.floatToIntBits(x);
  }

  /** Largest error in ulp of the rounded result over 400 000 points; checks the twin on the way. */
  private static double worstUlp(
      VectorFunction vector,
      ScalarFunction scalar,
      DoubleUnaryOperator exact,
      float from,
      float to) {
    double worst = 0;
    float[] in = new float[Lanes.COUNT];
    int n = 400_000;
    for (int i = 0; i < n; i += Lanes.COUNT) {
      for (int j = 0; j < in.length; j++) {
        double at = (i + j) / (double) n;
        in[j] =
            from > 0
                ? (float) (from * Math.pow((double) to / from, at))
                : (float) (from + ((double) to - from) * at);
      }
      FloatVector out = vector.apply(FloatVector.fromArray(Lanes.SPECIES, in, 0));
      for (int j = 0; j < in.length; j++) {
        float got = out.lane(j);
        if (bits(got) != bits(scalar.apply(in[j]))) {
          throw new AssertionError(
              "lane " + got + ", twin " + scalar.apply(in[j]) + " at " + in[j]);
        }
        double want = exact.applyAsDouble(in[j]);
        if ((float) want != got) {
          worst = Math.max(worst, Math.abs(got - want) / Math.ulp((float) want));
        }
      }
    }
    return worst;
  }

  /** Maclaurin series below 3, continued fraction of erfc beyond: both to about 1e-15. */
  private static double erf(double x) {
    double a = Math.abs(x);
    double y;
    if (a < 3) {
      double term = a;
      double sum = a;
      for (int k = 1; k < 80; k++) {
        term *= -a * a / k;
        sum += term / (2 * k + 1);
      }
      y = 2 / Math.sqrt(Math.PI) * sum;
    } else {
      double f = 0;
      for (int k = 60; k > 0; k--) {
        f = k / 2.0 / (a + f);
      }
      y = 1 - Math.exp(-a * a) / Math.sqrt(Math.PI) / (a + f);
    }
    return Math.copySign(y, x);
  }
}
