package dev.javelin.train.chat.jinja;

import java.math.BigDecimal;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** Values written as Python's {@code repr} and {@code json.dumps} write them. */
final class Written {
  private Written() {}

  /** {@code repr(value)}. */
  static void python(Object value, Text.Builder out, Budget budget) {
    budget.step();
    switch (value) {
      case None _ -> out.add("None");
      case Undefined _ -> out.add("Undefined");
      case Boolean b -> out.add(b ? "True" : "False");
      case Long n -> out.add(Long.toString(n));
      case Double d -> out.add(number(d, "inf", "nan"));
      case Text text -> out.add(quoted(text));
      case List<?> list -> {
        budget.enter();
        out.add("[");
        String comma = "";
        for (Object item : list) {
          out.add(comma);
          python(item, out, budget);
          comma = ", ";
        }
        out.add("]");
        budget.leave();
      }
      case Map<?, ?> map -> {
        budget.enter();
        out.add("{");
        String comma = "";
        for (Map.Entry<?, ?> entry : map.entrySet()) {
          out.add(comma);
          python(entry.getKey(), out, budget);
          out.add(": ");
          python(entry.getValue(), out, budget);
          comma = ", ";
        }
        out.add("}");
        budget.leave();
      }
      default -> throw new TemplateException(0, Values.kind(value) + " cannot be written as text");
    }
  }

  private static Text quoted(Text text) {
    String s = text.toString();
    char quote = s.indexOf('\'') >= 0 && s.indexOf('"') < 0 ? '"' : '\'';
    StringBuilder out = new StringBuilder().append(quote);
    s.codePoints()
        .forEach(
            c -> {
              switch (c) {
                case '\n' -> out.append("\\n");
                case '\r' -> out.append("\\r");
                case '\t' -> out.append("\\t");
                case '\\' -> out.append("\\\\");
                default -> {
                  if (c == quote) {
                    out.append('\\').append(quote);
                  } else if (isPrintable(c)) {
                    out.appendCodePoint(c);
                  } else {
                    String form = c < 0x100 ? "\\x%02x" : c < 0x10000 ? "\\u%04x" : "\\U%08x";
                    out.append(form.formatted(c));
                  }
                }
              }
            });
    return Text.of(out.append(quote).toString()).with(text.anyMark());
  }

  private static boolean isPrintable(int c) {
    return c == ' '
        || switch (Character.getType(c)) {
          case Character.CONTROL,
              Character.FORMAT,
              Character.SURROGATE,
              Character.PRIVATE_USE,
              Character.UNASSIGNED,
              Character.LINE_SEPARATOR,
              Character.PARAGRAPH_SEPARATOR,
              Character.SPACE_SEPARATOR ->
              false;
          default -> true;
        };
  }

  /** {@code repr} of a float. */
  static String number(double d, String infinity, String nan) {
    if (Double.isNaN(d)) {
      return nan;
    }
    if (Double.isInfinite(d)) {
      return d > 0 ? infinity : "-" + infinity;
    }
    if (d == 0) {
      return 1 / d > 0 ? "0.0" : "-0.0";
    }
    BigDecimal exact = new BigDecimal(Double.toString(d)).stripTrailingZeros();
    int exponent = exact.precision() - exact.scale() - 1;
    if (exponent >= -4 && exponent < 16) {
      String plain = exact.toPlainString();
      return plain.indexOf('.') < 0 ? plain + ".0" : plain;
    }
    String digits = exact.unscaledValue().abs().toString();
    String fraction = digits.length() > 1 ? "." + digits.substring(1) : "";
    return "%s%s%se%s%02d"
        .formatted(
            d < 0 ? "-" : "",
            digits.substring(0, 1),
            fraction,
            exponent < 0 ? "-" : "+",
            Math.abs(exponent));
  }

  /**
   * {@code json.dumps}.
   *
   * @param indent null for one line
   */
  record Json(boolean ascii, @Nullable String indent, String comma, String colon, boolean sorted) {

    void write(Object value, String lineEnd, Text.Builder out, Budget budget) {
      budget.step();
      switch (value) {
        case None _ -> out.add("null");
        case Boolean b -> out.add(b ? "true" : "false");
        case Long n -> out.add(Long.toString(n));
        case Double d -> out.add(number(d, "Infinity", "NaN"));
        case Text text -> out.add(string(text));
        case List<?> list -> {
          budget.enter();
          String inner = lineEnd + (indent == null ? "" : indent);
          out.add("[");
          for (int i = 0; i < list.size(); i++) {
            out.add(i > 0 ? comma : "").add(indent == null ? "" : inner);
            write(list.get(i), inner, out, budget);
          }
          out.add(indent == null || list.isEmpty() ? "]" : lineEnd + "]");
          budget.leave();
        }
        case Map<?, ?> map -> {
          budget.enter();
          String inner = lineEnd + (indent == null ? "" : indent);
          List<Map.Entry<?, ?>> entries = new ArrayList<>(map.entrySet());
          if (sorted) {
            entries.sort((a, b) -> Values.compare(a.getKey(), b.getKey(), budget));
          }
          out.add("{");
          String before = "";
          for (Map.Entry<?, ?> entry : entries) {
            out.add(before).add(indent == null ? "" : inner);
            out.add(string(key(entry.getKey()))).add(colon);
            write(entry.getValue(), inner, out, budget);
            before = comma;
          }
          out.add(indent == null || map.isEmpty() ? "}" : lineEnd + "}");
          budget.leave();
        }
        default -> throw new TemplateException(0, Values.kind(value) + " has no JSON form");
      }
    }

    private static Text key(Object key) {
      return switch (key) {
        case Text text -> text;
        case None _ -> Text.of("null");
        case Boolean b -> Text.of(b ? "true" : "false");
        case Long n -> Text.of(Long.toString(n));
        case Double d -> Text.of(number(d, "Infinity", "NaN"));
        default -> throw new TemplateException(0, Values.kind(key) + " has no JSON form");
      };
    }

    private Text string(Text text) {
      StringBuilder out = new StringBuilder(text.length() + 2).append('"');
      for (char c : text.toString().toCharArray()) {
        switch (c) {
          case '"' -> out.append("\\\"");
          case '\\' -> out.append("\\\\");
          case '\n' -> out.append("\\n");
          case '\r' -> out.append("\\r");
          case '\t' -> out.append("\\t");
          case '\b' -> out.append("\\b");
          case '\f' -> out.append("\\f");
          default -> {
            if (c < ' ' || ascii && c > '~') {
              out.append("\\u%04x".formatted((int) c));
            } else {
              out.append(c);
            }
          }
        }
      }
      return Text.of(out.append('"').toString()).with(text.anyMark());
    }
  }

  /** The entries of a dictionary as pairs. */
  static List<Object> pairs(Map<?, ?> map) {
    List<Object> pairs = new ArrayList<>();
    map.forEach((key, value) -> pairs.add(Collections.unmodifiableList(List.of(key, value))));
    return pairs;
  }
}
