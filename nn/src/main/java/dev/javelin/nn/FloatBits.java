package dev.javelin.nn;

import static java.nio.ByteOrder.LITTLE_ENDIAN;

import dev.javelin.device.DType;
import dev.javelin.tensor.io.Safetensors;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import org.jspecify.annotations.Nullable;

/** Single elements of float types in host memory or in a file, for loading and saving. */
final class FloatBits {
  private static final ValueLayout.OfFloat FLOAT =
      ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(LITTLE_ENDIAN);
  private static final ValueLayout.OfShort SHORT =
      ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(LITTLE_ENDIAN);

  private static final ValueLayout.OfDouble DOUBLE =
      ValueLayout.JAVA_DOUBLE_UNALIGNED.withOrder(LITTLE_ENDIAN);

  private FloatBits() {}

  /** Elements of a tensor as fp32. */
  @FunctionalInterface
  interface Elements {
    float get(long i);
  }

  /**
   * The elements of a tensor in a file: exactly, or rounded from F64. {@code null} for another
   * type.
   */
  static @Nullable Elements of(Safetensors.Entry entry) {
    MemorySegment data = entry.data();
    return switch (entry.type()) {
      case "F64" -> i -> (float) data.get(DOUBLE, 8 * i);
      case "F32" -> i -> get(data, DType.F32, i);
      case "BF16" -> i -> get(data, DType.BF16, i);
      case "F16" -> i -> get(data, DType.F16, i);
      default -> null;
    };
  }

  /** Element {@code i}, exactly. */
  static float get(MemorySegment s, DType type, long i) {
    return switch (type) {
      case F32 -> s.get(FLOAT, 4 * i);
      case BF16 -> Float.intBitsToFloat(s.get(SHORT, 2 * i) << 16);
      case F16 -> Float.float16ToFloat(s.get(SHORT, 2 * i));
      case I32, I64, U8 -> throw new IllegalArgumentException("not a float type: " + type);
    };
  }

  /** Element {@code i} becomes {@code x}, rounded to nearest even. */
  static void put(MemorySegment s, DType type, long i, float x) {
    switch (type) {
      case F32 -> s.set(FLOAT, 4 * i, x);
      case BF16 -> s.set(SHORT, 2 * i, bf16(x));
      case F16 -> s.set(SHORT, 2 * i, Float.floatToFloat16(x));
      case I32, I64, U8 -> throw new IllegalArgumentException("not a float type: " + type);
    }
  }

  /** {@code x} rounded to the type and back. */
  static float round(float x, DType type) {
    return switch (type) {
      case F32 -> x;
      case BF16 -> Float.intBitsToFloat(bf16(x) << 16);
      case F16 -> Float.float16ToFloat(Float.floatToFloat16(x));
      case I32, I64, U8 -> throw new IllegalArgumentException("not a float type: " + type);
    };
  }

  private static short bf16(float x) {
    int bits = Float.floatToRawIntBits(x);
    int rounded = Float.isNaN(x) ? bits | 0x400000 : bits + 0x7FFF + (bits >>> 16 & 1);
    return (short) (rounded >>> 16);
  }
}
