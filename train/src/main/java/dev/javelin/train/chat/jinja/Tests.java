package dev.javelin.train.chat.jinja;

import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.TreeMap;

/** What stands behind {@code is}. */
final class Tests {
  /** A test; those with an argument find it in {@code args}. */
  interface Test {
    boolean holds(Evaluator with, Object value, Args args);
  }

  static final Map<String, Test> ALL = new TreeMap<>();

  private Tests() {}

  private static void plain(String name, java.util.function.Predicate<Object> test) {
    ALL.put(
        name,
        (with, value, args) -> {
          args.only(0);
          return test.test(value);
        });
  }

  private static void ordered(java.util.function.IntPredicate test, String... names) {
    for (String name : names) {
      ALL.put(
          name,
          (with, value, args) ->
              test.test(Values.compare(value, args.only(1).need(0, "other"), with.budget())));
    }
  }

  static {
    plain("defined", value -> !(value instanceof Undefined));
    plain("undefined", value -> value instanceof Undefined);
    plain("none", value -> value instanceof None);
    plain("string", value -> value instanceof Text);
    plain("mapping", value -> value instanceof Map);
    plain("boolean", value -> value instanceof Boolean);
    plain("true", value -> Objects.equals(value, true));
    plain("false", value -> Objects.equals(value, false));
    plain("integer", value -> value instanceof Long);
    plain("float", value -> value instanceof Double);
    plain("number", value -> Values.number(value) != null);
    plain("callable", value -> value instanceof Callable);
    plain("iterable", Tests::isSequence);
    plain("sequence", Tests::isSequence);
    plain("odd", value -> whole(value) % 2 != 0);
    plain("even", value -> whole(value) % 2 == 0);
    plain("lower", value -> hasCase(value, false));
    plain("upper", value -> hasCase(value, true));
    for (String name : List.of("==", "eq", "equalto")) {
      ALL.put(name, Tests::equal);
    }
    ALL.put("ne", (with, value, args) -> !equal(with, value, args));
    ordered(order -> order < 0, "lt", "lessthan");
    ordered(order -> order <= 0, "le");
    ordered(order -> order > 0, "gt", "greaterthan");
    ordered(order -> order >= 0, "ge");
    ALL.put(
        "in",
        (with, value, args) -> Values.contains(args.only(1).need(0, "seq"), value, with.budget()));
    ALL.put(
        "sameas",
        (with, value, args) -> {
          Object other = args.only(1).need(0, "other");
          return value == other
              || value.equals(other) && !(value instanceof List) && !(value instanceof Map);
        });
    ALL.put(
        "divisibleby",
        (with, value, args) -> {
          long by = whole(args.only(1).need(0, "num"));
          if (by == 0) {
            throw new TemplateException(0, "cannot divide by 0");
          }
          return whole(value) % by == 0;
        });
    ALL.put(
        "filter",
        (with, value, args) ->
            value instanceof Text name && Filters.ALL.containsKey(name.toString()));
    ALL.put(
        "test",
        (with, value, args) -> value instanceof Text name && ALL.containsKey(name.toString()));
  }

  private static boolean isSequence(Object value) {
    return value instanceof Text
        || value instanceof List
        || value instanceof Map
        || value instanceof Undefined;
  }

  private static boolean equal(Evaluator with, Object value, Args args) {
    return Values.equal(value, args.only(1).need(0, "other"), with.budget());
  }

  private static long whole(Object value) {
    if (Values.number(value) instanceof Long n) {
      return n;
    }
    throw new TemplateException(0, "must be a whole number, got " + Values.kind(value));
  }

  private static boolean hasCase(Object value, boolean upper) {
    return value instanceof Text text && Methods.hasCase(text.toString(), upper);
  }
}
