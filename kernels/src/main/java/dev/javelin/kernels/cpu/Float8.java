package dev.javelin.kernels.cpu;

/**
 * Numbers in eight bits, as small floats. A block of them has a scale, so that its largest is the
 * largest code; the exponent's range does the rest.
 *
 * <pre>
 * signed    s eeee mmm    ±(1 + m/8)·2^(e-15),   ±m/8·2^-14 where e = 0     top 1.875,  to 2^-17
 * unsigned    eeee mmmm    (1 + m/16)·2^(e-15),   m/16·2^-14 where e = 0    top 1.9375, to 2^-18
 * </pre>
 *
 * Encoding rounds to nearest, ties to even. Both ways are exact in fp32 but for that, so every
 * device has the same codes.
 */
final class Float8 {
  /** The largest number of a signed code. */
  static final float SIGNED_TOP = 1.875f;

  /** The largest number of an unsigned code. */
  static final float UNSIGNED_TOP = 1.9375f;

  private static final int MIN_NORMAL = 113 << 23; // 2^-14 as fp32
  private static final int REBIAS = 112; // from an exponent's bias of 15 to that of fp32

  private Float8() {}

  /** The number of an unsigned code. */
  static float unsigned(int code) {
    return code < 16 ? code * 0x1p-18f : Float.intBitsToFloat((code << 19) + (REBIAS << 23));
  }

  /** The code nearest to {@code x}, which lies in [0, {@link #UNSIGNED_TOP}]. */
  static int toUnsigned(float x) {
    int bits = Float.floatToRawIntBits(x);
    return bits < MIN_NORMAL
        ? (int) Math.rint(x * 0x1p18f)
        : (bits + 0x3FFFF + (bits >>> 19 & 1) >>> 19) - (REBIAS << 4);
  }

  /** The number of a signed code. */
  static float signed(int code) {
    int magnitude = code & 0x7F;
    float x =
        magnitude < 8
            ? magnitude * 0x1p-17f
            : Float.intBitsToFloat((magnitude << 20) + (REBIAS << 23));
    return (code & 0x80) == 0 ? x : -x;
  }

  /** The code nearest to {@code x}, which lies within {@link #SIGNED_TOP} of 0. */
  static int toSigned(float x) {
    int bits = Float.floatToRawIntBits(x);
    int magnitude = bits & 0x7FFFFFFF;
    int code =
        magnitude < MIN_NORMAL
            ? (int) Math.rint(Math.abs(x) * 0x1p17f)
            : (magnitude + 0x7FFFF + (magnitude >>> 20 & 1) >>> 20) - (REBIAS << 3);
    return bits < 0 ? code | 0x80 : code;
  }
}
