package dev.javelin.train.trace;

import dev.javelin.device.DType;
import java.util.HexFormat;
import org.jspecify.annotations.Nullable;

/** Bytes as they lay in memory, in hexadecimal digits. */
record Bytes(String digits) {
  private static final int WORD = 4;
  private static final float LEAST = 1e-30f; // as bits, small whole numbers are smaller floats
  private static final float MOST = 1e30f;

  int size() {
    return digits.length() / 2;
  }

  Bytes slice(int from, int to) {
    return new Bytes(digits.substring(2 * from, 2 * to));
  }

  /** All elements of a type, with spaces between; with {@code null} in words, each a guess. */
  String text(@Nullable DType type) {
    int width = type == null ? size() % WORD == 0 ? WORD : size() : type.byteSize();
    StringBuilder all = new StringBuilder();
    for (int at = 0; at + width <= size(); at += width) {
      all.append(at == 0 ? "" : " ").append(type == null ? word(at, width) : element(at, type));
    }
    return all.toString();
  }

  /** Element {@code i}, as a float. */
  float number(int i, DType type) {
    long bits = bits(i * type.byteSize(), type.byteSize());
    return switch (type) {
      case F32 -> Float.intBitsToFloat((int) bits);
      case BF16 -> Float.intBitsToFloat((int) bits << Short.SIZE);
      case F16 -> Float.float16ToFloat((short) bits);
      case I32 -> (int) bits;
      case I64, U8 -> bits;
    };
  }

  private String element(int at, DType type) {
    return type.isFloat()
        ? plain(number(at / type.byteSize(), type))
        : Long.toString(
            type == DType.I32 ? (int) bits(at, type.byteSize()) : bits(at, type.byteSize()));
  }

  /** A float where the bits make a usual one, otherwise a whole number. */
  private String word(int at, int width) {
    long bits = bits(at, width);
    if (width != WORD) {
      return Long.toString(bits);
    }
    float value = Float.intBitsToFloat((int) bits);
    float size = Math.abs(value);
    boolean unwritten = (int) bits == -1; // the emulated device's NaN
    boolean usual =
        bits == 0 || unwritten || Float.isInfinite(value) || size >= LEAST && size <= MOST;
    return usual ? plain(value) : Integer.toString((int) bits);
  }

  /** The shortest decimal number that no other float is nearer to. */
  static String plain(float value) {
    if (Float.isNaN(value)) {
      return "NaN";
    }
    String text = Float.toString(value).replace('E', 'e');
    return text.endsWith(".0") ? text.substring(0, text.length() - 2) : text;
  }

  private long bits(int at, int width) {
    long bits = 0;
    for (int i = width - 1; i >= 0; i--) {
      bits = bits << Byte.SIZE | HexFormat.fromHexDigits(digits, 2 * (at + i), 2 * (at + i) + 2);
    }
    return bits;
  }
}
