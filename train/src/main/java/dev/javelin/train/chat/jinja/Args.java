package dev.javelin.train.chat.jinja;

import java.util.List;
import java.util.Map;

/** What a function, filter or test is called with. */
record Args(List<Object> positional, Map<String, Object> named) {
  static final Args NONE = new Args(List.of(), Map.of());

  static Args of(Object... values) {
    return new Args(List.of(values), Map.of());
  }

  /** The argument at a place or of a name. */
  Object get(int at, String name, Object fallback) {
    return at < positional.size() ? positional.get(at) : named.getOrDefault(name, fallback);
  }

  boolean has(int at, String name) {
    return at < positional.size() || named.containsKey(name);
  }

  Object need(int at, String name) {
    if (!has(at, name)) {
      throw new TemplateException(0, "lacks the argument '" + name + "'");
    }
    return get(at, name, None.NONE);
  }

  /** A whole number. */
  int integer(int at, String name, int fallback) {
    return switch (get(at, name, (long) fallback)) {
      case Long n when n >= -Integer.MAX_VALUE && n <= Integer.MAX_VALUE -> n.intValue();
      case Boolean b -> b ? 1 : 0;
      case None _ -> fallback;
      case Object other ->
          throw new TemplateException(
              0, "'" + name + "' must be a whole number, got " + Values.kind(other));
    };
  }

  Text text(int at, String name) {
    return text(at, name, need(at, name));
  }

  Text text(int at, String name, Object fallback) {
    Object value = get(at, name, fallback);
    if (value instanceof Text text) {
      return text;
    }
    throw new TemplateException(0, "'" + name + "' must be text, got " + Values.kind(value));
  }

  /** Refuses more than {@code most} arguments in order, and any that is not among the names. */
  Args only(int most, String... names) {
    if (positional.size() > most) {
      throw new TemplateException(
          0, "takes %d arguments at most, got %d".formatted(most, positional.size()));
    }
    for (String name : named.keySet()) {
      if (!List.of(names).contains(name)) {
        throw new TemplateException(0, "has no argument '" + name + "'");
      }
    }
    return this;
  }

  /** Without the first {@code count}. */
  Args rest(int count) {
    return new Args(
        positional.subList(Math.min(count, positional.size()), positional.size()), named);
  }
}
