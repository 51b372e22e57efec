package dev.javelin.kernels.cuda;

import dev.javelin.device.DType;
import java.util.Random;

/** bf16 and f16 as 16-bit patterns, by plain arithmetic: the oracle of conversions. */
final class Halves {
  private Halves() {}

  static short bits(DType type, float x) {
    if (type == DType.F16) {
      return Float.floatToFloat16(x);
    }
    int b = Float.floatToRawIntBits(x);
    if (Float.isNaN(x)) {
      return 0x7fff;
    }
    return (short) ((b + 0x7fff + (b >>> 16 & 1)) >>> 16);
  }

  static float value(DType type, short bits) {
    return type == DType.F16 ? Float.float16ToFloat(bits) : Float.intBitsToFloat(bits << 16);
  }

  static float round(DType type, float x) {
    return value(type, bits(type, x));
  }

  /** Patterns of normally distributed numbers. */
  static short[] random(DType type, int n, long seed) {
    Random random = new Random(seed);
    short[] values = new short[n];
    for (int i = 0; i < n; i++) {
      values[i] = bits(type, (float) random.nextGaussian());
    }
    return values;
  }
}
