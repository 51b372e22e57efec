package dev.javelin.kernels.cpu;

import java.math.BigDecimal;

/**
 * The arithmetic of the bf16 instructions: round to nearest even, a subnormal operand counts as a
 * zero of its sign and so does a subnormal result. Whether a result is subnormal is decided after
 * rounding to 24 bits with an unbounded exponent.
 *
 * @see <a href="https://www.intel.com/sdm">SDM volume 1, 4.9.1.5 and 10.2.3.3</a>
 */
final class FlushedFloat {
  /** Half a unit below the smallest normal number, as if its exponent went on. */
  private static final BigDecimal EDGE =
      new BigDecimal(Float.MIN_NORMAL).subtract(new BigDecimal(Math.scalb(1.0, -151)));

  private FlushedFloat() {}

  static float fma(float a, float b, float c) {
    float x = zero(a);
    float y = zero(b);
    float z = zero(c);
    float r = Math.fma(x, y, z);
    if (Math.abs(r) == Float.MIN_NORMAL) {
      // Java rounded to a multiple of 2^-149, the processor looks at 24 bits
      BigDecimal exact = new BigDecimal(x).multiply(new BigDecimal(y)).add(new BigDecimal(z)).abs();
      return exact.compareTo(EDGE) < 0 ? Math.copySign(0f, r) : r;
    }
    return zero(r);
  }

  static float add(float a, float b) {
    return fma(a, 1, b);
  }

  /** To nearest even; a NaN keeps its upper half and becomes quiet. */
  static int toBf16(float x) {
    int bits = Float.floatToRawIntBits(zero(x));
    int rounded = Float.isNaN(x) ? bits | 1 << 22 : bits + 0x7fff + (bits >>> 16 & 1);
    return rounded >>> 16;
  }

  private static float zero(float x) {
    return Math.abs(x) < Float.MIN_NORMAL ? Math.copySign(0f, x) : x;
  }
}
