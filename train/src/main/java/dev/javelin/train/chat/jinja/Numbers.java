package dev.javelin.train.chat.jinja;

import java.math.BigDecimal;
import java.math.MathContext;
import java.math.RoundingMode;
import java.util.ArrayList;
import java.util.List;

/** Python's arithmetic; whole numbers have 64 bits, more is an error. */
final class Numbers {
  private Numbers() {}

  static Object arithmetic(String operator, Object a, Object b, Budget budget) {
    Number x = Values.number(a);
    Number y = Values.number(b);
    try {
      if (x instanceof Long n && y instanceof Long m) {
        return whole(operator, n, m);
      }
    } catch (ArithmeticException e) {
      throw new TemplateException(0, "a number is too large");
    }
    if (x != null && y != null) {
      return fraction(operator, x.doubleValue(), y.doubleValue());
    }
    if (operator.equals("+") && a instanceof Text left && b instanceof Text right) {
      return new Text.Builder(budget).add(left).add(right).build();
    }
    if (operator.equals("+") && a instanceof List<?> left && b instanceof List<?> right) {
      budget.steps(left.size() + (long) right.size());
      List<Object> all = new ArrayList<>(left);
      all.addAll(right);
      return all;
    }
    if (operator.equals("*") && (x instanceof Long || y instanceof Long)) {
      Object what = x == null ? a : b;
      long times = x == null ? (Long) java.util.Objects.requireNonNull(y) : (Long) x;
      if (what instanceof Text || what instanceof List) {
        return repeated(what, times, budget);
      }
    }
    if (operator.equals("%") && a instanceof Text format) {
      return formatted(format, b, budget);
    }
    Object undefined = a instanceof Undefined ? a : b;
    if (undefined instanceof Undefined u) {
      throw u.error();
    }
    throw new TemplateException(
        0, "%s %s %s has no meaning".formatted(Values.kind(a), operator, Values.kind(b)));
  }

  private static Object whole(String operator, long a, long b) {
    return switch (operator) {
      case "+" -> Math.addExact(a, b);
      case "-" -> Math.subtractExact(a, b);
      case "*" -> Math.multiplyExact(a, b);
      case "/" -> (double) a / divisor(b);
      case "//" -> Math.floorDivExact(a, divisor(b));
      case "%" -> Math.floorMod(a, divisor(b));
      case "**" -> power(a, b);
      default -> throw new IllegalStateException(operator);
    };
  }

  private static long divisor(long b) {
    if (b == 0) {
      throw new TemplateException(0, "cannot divide by 0");
    }
    return b;
  }

  private static Object power(long a, long b) {
    if (b < 0) {
      return Math.pow(a, b);
    }
    if (b > 63 && a != 0 && a != 1 && a != -1) {
      throw new ArithmeticException();
    }
    long result = 1;
    for (long i = 0; i < (b > 63 ? 64 + b % 2 : b); i++) {
      result = Math.multiplyExact(result, a);
    }
    return result;
  }

  private static Object fraction(String operator, double a, double b) {
    if (b == 0 && List.of("/", "//", "%").contains(operator)) {
      throw new TemplateException(0, "cannot divide by 0");
    }
    return switch (operator) {
      case "+" -> a + b;
      case "-" -> a - b;
      case "*" -> a * b;
      case "/" -> a / b;
      case "//" -> Math.floor(a / b);
      case "%" -> a - b * Math.floor(a / b);
      case "**" -> Math.pow(a, b);
      default -> throw new IllegalStateException(operator);
    };
  }

  private static Object repeated(Object what, long times, Budget budget) {
    long count = Math.max(0, times);
    if (what instanceof Text text) {
      budget.characters(Math.min(Integer.MAX_VALUE, count) * text.length());
      return Text.of(text.toString().repeat(text.isEmpty() ? 0 : (int) count)).with(text.anyMark());
    }
    List<?> list = (List<?>) what;
    budget.steps(Math.min(Integer.MAX_VALUE, count) * list.size());
    List<Object> all = new ArrayList<>();
    for (long i = 0; i < count && !list.isEmpty(); i++) {
      all.addAll(list);
    }
    return all;
  }

  /** {@code '%s and %d' % values}. */
  private static Object formatted(Text format, Object values, Budget budget) {
    List<?> all = values instanceof List<?> list ? list : List.of(values);
    Text.Builder out = new Text.Builder(budget);
    String s = format.toString();
    int next = 0;
    int from = 0;
    for (int at = s.indexOf('%'); at >= 0; at = s.indexOf('%', from)) {
      out.add(format.part(from, at));
      char kind = at + 1 < s.length() ? s.charAt(at + 1) : ' ';
      from = at + 2;
      if (kind == '%') {
        out.add("%");
      } else if ("sdir".indexOf(kind) < 0 || next == all.size()) {
        throw new TemplateException(
            0,
            next == all.size() && "sdir".indexOf(kind) >= 0
                ? "a format lacks a value"
                : "formats have %s, %d, %i, %r and %%, nothing else");
      } else {
        Object value = all.get(next++);
        if (kind == 's') {
          out.add(Values.text(value, budget));
        } else if (kind == 'r') {
          Written.python(value, out, budget);
        } else if (Values.number(value) instanceof Number n) {
          out.add(Long.toString(n.longValue()));
        } else {
          throw new TemplateException(0, "a format needs a number, got " + Values.kind(value));
        }
      }
    }
    if (next < all.size()) {
      throw new TemplateException(0, "a format has fewer places than values");
    }
    return out.add(format.part(Math.min(from, s.length()), s.length())).build();
  }

  /** The filter {@code int}. */
  static Object whole(Object value, Args args) {
    Object fallback = args.get(0, "default", 0L);
    int base = args.integer(1, "base", 10);
    return switch (value) {
      case Long n -> n;
      case Boolean b -> b ? 1L : 0L;
      case Double d when Math.abs(d) < 0x1p62 -> (long) (double) d;
      case Text text -> {
        String s = Strings.strip(text, None.NONE, true, true).toString().replace("_", "");
        try {
          yield Long.parseLong(s, Math.clamp(base, 2, 36));
        } catch (NumberFormatException e) {
          yield s.matches("[-+]?(\\d{1,17}\\.\\d*|\\.\\d+|\\d{1,17})([eE][-+]?\\d{1,2})?")
                  && Math.abs(Double.parseDouble(s)) < 0x1p62
              ? (Object) (long) Double.parseDouble(s)
              : fallback;
        }
      }
      default -> fallback;
    };
  }

  /** The filter {@code float}. */
  static Object fraction(Object value, Args args) {
    Object fallback = args.get(0, "default", 0.0);
    if (Values.number(value) instanceof Number n) {
      return n.doubleValue();
    }
    String s = value instanceof Text text ? text.toString().strip() : "";
    return s.matches("[-+]?(\\d{1,300}\\.?\\d{0,300}|\\.\\d{1,300})([eE][-+]?\\d{1,4})?")
        ? Double.parseDouble(s)
        : fallback;
  }

  static Object absolute(Object value) {
    return switch (Values.number(value)) {
      case Long n when n != Long.MIN_VALUE -> Math.abs(n);
      case Double d -> Math.abs(d);
      case null, default ->
          throw new TemplateException(0, "must be a number, got " + Values.kind(value));
    };
  }

  /** The filter {@code round}, which gives a float. */
  static Object rounded(Object value, Args args) {
    if (!(Values.number(value) instanceof Number n)) {
      throw new TemplateException(0, "must be a number, got " + Values.kind(value));
    }
    int precision = Math.clamp(args.integer(0, "precision", 0), -300, 300);
    RoundingMode mode =
        switch (args.text(1, "method", Text.of("common")).toString()) {
          case "common" -> RoundingMode.HALF_EVEN;
          case "ceil" -> RoundingMode.CEILING;
          case "floor" -> RoundingMode.FLOOR;
          default -> throw new TemplateException(0, "rounds common, ceil or floor");
        };
    double d = n.doubleValue();
    return Double.isFinite(d)
        ? new BigDecimal(d, MathContext.UNLIMITED).setScale(precision, mode).doubleValue()
        : d;
  }

  static Object signed(boolean negative, Object value) {
    return switch (Values.number(value)) {
      case Long n when !negative -> n;
      case Long n when n != Long.MIN_VALUE -> -n;
      case Double d -> negative ? -d : d;
      case null, default -> {
        if (value instanceof Undefined u) {
          throw u.error();
        }
        throw new TemplateException(0, Values.kind(value) + " has no sign");
      }
    };
  }
}
