package dev.javelin.kernels.cpu;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Random;
import org.junit.jupiter.api.Test;

class Float8Test {

  /** The formula in the Javadoc. */
  private static double unsigned(int code) {
    int exponent = code >> 4;
    int fraction = code & 15;
    return exponent == 0
        ? fraction / 16.0 * 0x1p-14
        : (1 + fraction / 16.0) * Math.pow(2, exponent - 15);
  }

  private static double signed(int code) {
    int exponent = code >> 3 & 15;
    int fraction = code & 7;
    double x =
        exponent == 0
            ? fraction / 8.0 * 0x1p-14
            : (1 + fraction / 8.0) * Math.pow(2, exponent - 15);
    return code < 128 ? x : -x;
  }

  @Test
  void everyCodeIsTheNumberItStandsForAndComesBack() {
    for (int code = 0; code < 256; code++) {
      assertThat((double) Float8.unsigned(code)).isEqualTo(unsigned(code));
      assertThat((double) Float8.signed(code)).isEqualTo(signed(code));
      assertThat(Float8.toUnsigned(Float8.unsigned(code))).isEqualTo(code);
      assertThat(Float8.toSigned(Float8.signed(code))).isEqualTo(code);
    }
    assertThat(Float8.unsigned(255)).isEqualTo(Float8.UNSIGNED_TOP);
    assertThat(Float8.signed(127)).isEqualTo(Float8.SIGNED_TOP);
  }

  @Test
  void anyNumberGetsTheNearestCodeAndOfTwoTheEvenOne() {
    Random random = new Random(7);
    for (int i = 0; i < 20_000; i++) {
      double size = Math.pow(2, -20 * random.nextDouble());
      float x = (float) (size * random.nextDouble() * Float8.SIGNED_TOP);
      assertNearest(x, Float8.toUnsigned(x), Float8Test::unsigned, 256);
      assertNearest(x, Float8.toSigned(x), Float8Test::signed, 128);
      assertThat(Float8.toSigned(-x)).isEqualTo(Float8.toSigned(x) | 128);
    }
    for (int code = 0; code < 255; code++) {
      float middle = (float) ((unsigned(code) + unsigned(code + 1)) / 2);
      assertThat(Float8.toUnsigned(middle)).isEqualTo(code % 2 == 0 ? code : code + 1);
    }
    for (int code = 0; code < 127; code++) {
      float middle = (float) ((signed(code) + signed(code + 1)) / 2);
      assertThat(Float8.toSigned(middle)).isEqualTo(code % 2 == 0 ? code : code + 1);
    }
  }

  private static void assertNearest(
      float x, int code, java.util.function.IntToDoubleFunction of, int codes) {
    double error = Math.abs(of.applyAsDouble(code) - x);
    for (int other = Math.max(0, code - 1); other <= Math.min(codes - 1, code + 1); other++) {
      assertThat(error).isLessThanOrEqualTo(Math.abs(of.applyAsDouble(other) - x));
    }
  }
}
