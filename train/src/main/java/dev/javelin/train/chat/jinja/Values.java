package dev.javelin.train.chat.jinja;

import java.math.BigDecimal;
import java.util.ArrayList;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * What Python means by values: {@link None}, {@link Undefined}, Boolean, Long, Double, {@link
 * Text}, List, Map, {@link Namespace} and {@link Callable}.
 */
final class Values {
  private Values() {}

  /** A value as {@link dev.javelin.tensor.io.Json} reads it, its strings marked as data. */
  static Object ofJson(@Nullable Object json) {
    return switch (json) {
      case null -> None.NONE;
      case String s -> Text.data(s);
      case Integer n -> (long) n;
      case List<?> list -> {
        List<Object> items = new ArrayList<>(list.size());
        list.forEach(item -> items.add(ofJson(item)));
        yield items;
      }
      case Map<?, ?> map -> {
        Map<Object, Object> entries = new LinkedHashMap<>();
        map.forEach((key, value) -> entries.put(Text.data(String.valueOf(key)), ofJson(value)));
        yield entries;
      }
      case Text _, Boolean _, Long _, Double _ -> json;
      default -> throw new IllegalArgumentException("not a JSON value: " + json.getClass());
    };
  }

  /** For messages. */
  static String kind(Object value) {
    return switch (value) {
      case None _ -> "none";
      case Undefined u -> u.name() + ", which is undefined";
      case Boolean _ -> "a boolean";
      case Long _, Double _ -> "a number";
      case Text _ -> "text";
      case List<?> _ -> "a list";
      case Map<?, ?> _ -> "a dictionary";
      case Callable _ -> "a function";
      default -> "an object";
    };
  }

  static boolean truth(Object value) {
    return switch (value) {
      case None _, Undefined _ -> false;
      case Boolean b -> b;
      case Long n -> n != 0;
      case Double d -> d != 0;
      case Text text -> !text.isEmpty();
      case Collection<?> items -> !items.isEmpty();
      case Map<?, ?> map -> !map.isEmpty();
      default -> true;
    };
  }

  /** The number that a value is, or null. */
  static @Nullable Number number(Object value) {
    return switch (value) {
      case Boolean b -> b ? 1L : 0L;
      case Long n -> n;
      case Double d -> d;
      default -> null;
    };
  }

  static boolean equal(Object a, Object b, Budget budget) {
    budget.step();
    Number x = number(a);
    Number y = number(b);
    if (x != null && y != null) {
      return x instanceof Long && y instanceof Long
          ? x.longValue() == y.longValue()
          : x.doubleValue() == y.doubleValue();
    }
    if (a instanceof List<?> left && b instanceof List<?> right) {
      budget.enter();
      boolean same = left.size() == right.size();
      for (int i = 0; same && i < left.size(); i++) {
        same = equal(left.get(i), right.get(i), budget);
      }
      budget.leave();
      return same;
    }
    if (a instanceof Map<?, ?> left && b instanceof Map<?, ?> right) {
      budget.enter();
      boolean same = left.size() == right.size();
      for (Map.Entry<?, ?> entry : left.entrySet()) {
        Object other = right.get(entry.getKey());
        same = same && other != null && equal(entry.getValue(), other, budget);
      }
      budget.leave();
      return same;
    }
    if (a instanceof Text left && b instanceof Text right) {
      budget.characters(Math.min(left.length(), right.length()));
      return left.equals(right);
    }
    return a instanceof Undefined ? b instanceof Undefined : a == b;
  }

  /** Negative, zero or positive. */
  static int compare(Object a, Object b, Budget budget) {
    budget.step();
    Number x = number(a);
    Number y = number(b);
    if (x != null && y != null) {
      return x instanceof Long && y instanceof Long
          ? Long.compare(x.longValue(), y.longValue())
          : compareFractions(x, y);
    }
    if (a instanceof Text left && b instanceof Text right) {
      budget.characters(Math.min(left.length(), right.length()));
      return Strings.compare(left.toString(), right.toString());
    }
    if (a instanceof List<?> left && b instanceof List<?> right) {
      budget.enter();
      int order = 0;
      for (int i = 0; order == 0 && i < Math.min(left.size(), right.size()); i++) {
        order = compare(left.get(i), right.get(i), budget);
      }
      budget.leave();
      return order != 0 ? order : Integer.compare(left.size(), right.size());
    }
    Object undefined = a instanceof Undefined ? a : b;
    if (undefined instanceof Undefined u) {
      throw u.error();
    }
    throw new TemplateException(0, kind(a) + " and " + kind(b) + " have no order");
  }

  /** Exactly, so that sorting has an order to go by. */
  private static int compareFractions(Number x, Number y) {
    return Double.isFinite(x.doubleValue()) && Double.isFinite(y.doubleValue())
        ? new BigDecimal(x.toString()).compareTo(new BigDecimal(y.toString()))
        : Double.compare(x.doubleValue(), y.doubleValue());
  }

  static boolean contains(Object in, Object what, Budget budget) {
    return switch (in) {
      case Text text when what instanceof Text part -> {
        budget.search(text, part);
        yield text.toString().contains(part.toString());
      }
      case List<?> list -> list.stream().anyMatch(item -> equal(item, what, budget));
      case Map<?, ?> map -> map.containsKey(key(what));
      case Undefined _ -> false;
      default ->
          throw new TemplateException(0, kind(what) + " cannot be looked for in " + kind(in));
    };
  }

  /** As the key of a dictionary. */
  static Object key(Object value) {
    return switch (value) {
      case List<?> _, Map<?, ?> _ ->
          throw new TemplateException(0, kind(value) + " cannot be the key of a dictionary");
      case Boolean b -> b ? 1L : 0L;
      case Double d when d == Math.rint(d) && Math.abs(d) < 1L << 53 -> d.longValue();
      default -> value;
    };
  }

  /** What a loop goes through. */
  static List<Object> items(Object value, Budget budget) {
    List<Object> items =
        switch (value) {
          case List<?> list -> new ArrayList<>(list);
          case Map<?, ?> map -> new ArrayList<>(map.keySet());
          case Undefined _ -> new ArrayList<>();
          case Text text -> Strings.characters(text, budget);
          default -> throw new TemplateException(0, kind(value) + " cannot be gone through");
        };
    budget.steps(items.size());
    return items;
  }

  static long length(Object value) {
    return switch (value) {
      case Text text -> Strings.length(text);
      case Collection<?> items -> items.size();
      case Map<?, ?> map -> map.size();
      case Undefined _ -> 0;
      default -> throw new TemplateException(0, kind(value) + " has no length");
    };
  }

  /** {@code value[key]}. */
  static Object item(Object value, Object key) {
    if (value instanceof Undefined u) {
      throw u.error();
    }
    if (value instanceof List<?> list && number(key) instanceof Long n) {
      long at = n < 0 ? n + list.size() : n;
      return at >= 0 && at < list.size() ? list.get((int) at) : missing(value, key);
    }
    if (value instanceof Text text && number(key) instanceof Long n) {
      int length = Strings.length(text);
      long at = n < 0 ? n + length : n;
      return at >= 0 && at < length
          ? Strings.part(text, (int) at, (int) at + 1)
          : missing(value, key);
    }
    if (value instanceof Map<?, ?> map) {
      Object found = key instanceof List<?> || key instanceof Map<?, ?> ? null : map.get(key(key));
      if (found != null) {
        return found;
      }
    }
    return key instanceof Text name ? attribute(value, name.toString(), true) : missing(value, key);
  }

  /**
   * {@code value.name}: a method before an entry of a dictionary.
   *
   * @param entriesDone whether the entries were looked through already
   */
  static Object attribute(Object value, String name, boolean entriesDone) {
    if (value instanceof Undefined u) {
      throw u.error();
    }
    Methods.Method method = Methods.find(value, name);
    if (method != null) {
      return (Callable) (with, args) -> method.call(with, value, args);
    }
    Object found =
        switch (value) {
          case Map<?, ?> map when !entriesDone -> map.get(Text.of(name));
          case Namespace namespace -> namespace.get(name);
          case Loop loop -> loop.attribute(name);
          default -> null;
        };
    return found != null ? found : missing(value, Text.of(name));
  }

  private static Undefined missing(Object value, Object key) {
    String written = key instanceof Text text ? "'" + text + "'" : String.valueOf(key);
    return new Undefined(written + " of " + kind(value));
  }

  static Object slice(
      Object value, @Nullable Object from, @Nullable Object to, @Nullable Object step) {
    if (value instanceof Undefined u) {
      throw u.error();
    }
    long by = bound(step, 1);
    if (by == 0) {
      throw new TemplateException(0, "a slice cannot have the step 0");
    }
    long length = length(value);
    long first = by > 0 ? clamp(bound(from, 0), length, 0) : clampDown(from, length, length - 1);
    long end = by > 0 ? clamp(bound(to, length), length, 0) : clampDown(to, length, -1);
    if (value instanceof Text text) {
      if (by == 1) {
        return Strings.part(text, (int) first, (int) Math.max(first, end));
      }
      List<Object> characters = Strings.characters(text, new Budget());
      Text.Builder out = new Text.Builder(new Budget());
      for (long i = first; by > 0 ? i < end : i > end; i += by) {
        out.add((Text) characters.get((int) i));
      }
      return out.build();
    }
    if (!(value instanceof List<?> list)) {
      throw new TemplateException(0, kind(value) + " has no slices");
    }
    List<Object> part = new ArrayList<>();
    for (long i = first; by > 0 ? i < end : i > end; i += by) {
      part.add(list.get((int) i));
    }
    return part;
  }

  private static long bound(@Nullable Object value, long fallback) {
    if (value == null || value instanceof None) {
      return fallback;
    }
    if (number(value) instanceof Long n) {
      return Math.clamp(n, -(1L << 40), 1L << 40);
    }
    throw new TemplateException(0, "the ends of a slice must be whole numbers, got " + kind(value));
  }

  private static long clamp(long at, long length, long least) {
    return Math.clamp(at < 0 ? at + length : at, least, length);
  }

  private static long clampDown(@Nullable Object at, long length, long fallback) {
    if (at == null || at instanceof None) {
      return fallback;
    }
    long position = bound(at, 0);
    return Math.clamp(position < 0 ? position + length : position, -1, Math.max(-1, length - 1));
  }

  /** As {@code {{ value }}} writes it. */
  static Text text(Object value, Budget budget) {
    return switch (value) {
      case Text text -> text;
      case Undefined _ -> Text.EMPTY;
      default -> {
        Text.Builder out = new Text.Builder(budget);
        Written.python(value, out, budget);
        yield out.build();
      }
    };
  }
}
