package dev.javelin.train.xray;

import java.math.BigDecimal;
import java.math.MathContext;
import java.math.RoundingMode;
import java.util.Arrays;
import java.util.stream.Collectors;

/** Numbers and tokens as people read them. */
final class Legible {
  private static final MathContext THREE = new MathContext(3, RoundingMode.HALF_EVEN);
  private static final char THIN = '\u202f'; // narrow, and no line ends there

  private Legible() {}

  /**
   * A number to three significant digits, whole ones from a thousand on; below a thousandth and
   * from a million on as {@code 1.23e-5}.
   */
  static String three(double value) {
    if (!Double.isFinite(value)) {
      return Double.isNaN(value) ? "not a number" : value > 0 ? "∞" : "-∞";
    }
    if (value == 0) {
      return "0";
    }
    BigDecimal rounded = new BigDecimal(value).round(THREE);
    double size = rounded.abs().doubleValue();
    if (size >= 1e-3 && size < 1000) {
      return rounded.stripTrailingZeros().toPlainString();
    }
    if (size >= 1000 && size < 1e6) {
      return whole(Math.round(value));
    }
    BigDecimal digits = rounded.stripTrailingZeros();
    int exponent = digits.precision() - digits.scale() - 1;
    return digits.movePointLeft(exponent).stripTrailingZeros().toPlainString() + "e" + exponent;
  }

  /** A share as {@code 12.3 %}. */
  static String percent(double share) {
    return three(100 * share) + " %";
  }

  /** A whole number, its thousands apart. */
  static String whole(long value) {
    String digits = Long.toString(Math.abs(value));
    StringBuilder text = new StringBuilder(value < 0 ? "-" : "");
    for (int i = 0; i < digits.length(); i++) {
      if (i > 0 && (digits.length() - i) % 3 == 0) {
        text.append(THIN);
      }
      text.append(digits.charAt(i));
    }
    return text.toString();
  }

  /** Bytes in the largest decimal unit that leaves one before the point. */
  static String bytes(long bytes) {
    return unit(bytes, "bytes", "kB", "MB", "GB", "TB");
  }

  /** A count with {@code k}, {@code M}, … behind it. */
  static String count(double count) {
    return unit(count, "", "k", "M", "G", "T").strip();
  }

  private static String unit(double value, String... units) {
    int unit = 0;
    double left = value;
    while (left >= 999.5 && unit < units.length - 1) {
      left /= 1000;
      unit++;
    }
    return three(left) + " " + units[unit];
  }

  /**
   * A text with all that a reader would not see, or that would play with the page, made visible:
   * spaces as {@code ␣}, a line's end as {@code ↵}, control characters by their pictures, what
   * changes the direction of writing or has no width by its number.
   */
  static String token(String text) {
    if (text.isEmpty()) {
      return "(empty)";
    }
    return visible(text, '␣');
  }

  /** A token in at most so many characters. */
  static String brief(String text, int most) {
    String all = token(text);
    int length = all.codePointCount(0, all.length());
    int room = Math.max(1, most);
    return length <= room ? all : all.substring(0, all.offsetByCodePoints(0, room - 1)) + "…";
  }

  /** Milliseconds of nanoseconds. */
  static String millis(double nanos) {
    return three(nanos / 1e6);
  }

  /** A shape as {@code 1×23×64}. */
  static String shape(int[] shape) {
    return shape.length == 0
        ? "scalar"
        : Arrays.stream(shape).mapToObj(String::valueOf).collect(Collectors.joining("×"));
  }

  /** The same, but spaces of all kinds and line ends stay what they are. */
  static String prose(String text) {
    return visible(text, ' ');
  }

  private static String visible(String text, char space) {
    StringBuilder seen = new StringBuilder(text.length() + 8);
    text.codePoints()
        .forEach(
            c -> {
              if (c == ' ') {
                seen.append(space);
              } else if (c == '\n') {
                seen.append(space == ' ' ? "\n" : "↵");
              } else if (c < ' ') {
                seen.append((char) ('␀' + c));
              } else if (c == 0x7f) {
                seen.append('␡');
              } else if (isUnseen(c) || space != ' ' && Character.isSpaceChar(c)) {
                seen.append(String.format("‹%04X›", c));
              } else {
                seen.appendCodePoint(c);
              }
            });
    return seen.toString();
  }

  private static boolean isUnseen(int c) {
    return switch (Character.getType(c)) {
      case Character.CONTROL,
          Character.FORMAT,
          Character.SURROGATE,
          Character.PRIVATE_USE,
          Character.UNASSIGNED,
          Character.LINE_SEPARATOR,
          Character.PARAGRAPH_SEPARATOR ->
          true;
      // an accent of its own would stand on what is before it
      case Character.NON_SPACING_MARK, Character.ENCLOSING_MARK, Character.COMBINING_SPACING_MARK ->
          false;
      default -> (c & 0xfffe) == 0xfffe || c == 0x115f || c == 0x1160 || c == 0x3164 || c == 0xffa0;
    };
  }
}
