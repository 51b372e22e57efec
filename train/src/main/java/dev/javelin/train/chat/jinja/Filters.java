package dev.javelin.train.chat.jinja;

import java.util.ArrayList;
import java.util.Collections;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;

/** What stands behind the bar. */
final class Filters {
  /** A filter of {@code value}. */
  interface Filter {
    Object apply(Evaluator with, Object value, Args args);
  }

  static final Map<String, Filter> ALL = new TreeMap<>();

  private Filters() {}

  private interface OfText {
    Object apply(Evaluator with, Text value, Args args);
  }

  private interface OfItems {
    Object apply(Evaluator with, List<Object> items, Args args);
  }

  private static void text(String name, OfText filter) {
    ALL.put(
        name,
        (with, value, args) -> {
          Text text = Values.text(value, with.budget());
          with.budget().characters(text.length());
          return filter.apply(with, text, args);
        });
  }

  private static void items(String name, OfItems filter) {
    ALL.put(
        name, (with, value, args) -> filter.apply(with, Values.items(value, with.budget()), args));
  }

  static {
    text(
        "trim",
        (w, s, a) -> Strings.strip(s, a.only(1, "chars").get(0, "chars", None.NONE), true, true));
    text("upper", (w, s, a) -> Strings.upper(s));
    text("lower", (w, s, a) -> Strings.lower(s));
    text("capitalize", (w, s, a) -> Strings.capitalize(s));
    text("title", (w, s, a) -> Strings.title(s));
    text("string", (w, s, a) -> s);
    text("safe", (w, s, a) -> s);
    text(
        "replace",
        (w, s, a) -> {
          a.only(3, "old", "new", "count");
          return Strings.replace(
              s, a.text(0, "old"), a.text(1, "new"), a.integer(2, "count", -1), w.budget());
        });
    text("indent", Filters::indent);
    for (String name : List.of("length", "count")) {
      ALL.put(name, (w, value, a) -> Values.length(value));
    }
    for (String name : List.of("default", "d")) {
      ALL.put(
          name,
          (w, value, a) -> {
            a.only(2, "default_value", "boolean");
            boolean falseToo = Values.truth(a.get(1, "boolean", false));
            boolean missing = value instanceof Undefined || falseToo && !Values.truth(value);
            return missing ? a.get(0, "default_value", Text.EMPTY) : value;
          });
    }
    ALL.put("tojson", Filters::json);
    ALL.put("int", (w, value, a) -> Numbers.whole(value, a.only(2, "default", "base")));
    ALL.put("float", (w, value, a) -> Numbers.fraction(value, a.only(1, "default")));
    ALL.put("abs", (w, value, a) -> Numbers.absolute(value));
    ALL.put("round", (w, value, a) -> Numbers.rounded(value, a.only(2, "precision", "method")));
    ALL.put(
        "attr",
        (w, value, a) -> Values.attribute(value, a.only(1).text(0, "name").toString(), true));
    ALL.put(
        "items",
        (w, value, a) -> {
          if (value instanceof Map<?, ?> map) {
            w.budget().steps(map.size());
            return Written.pairs(map);
          }
          if (value instanceof Undefined) {
            return List.of();
          }
          throw new TemplateException(0, "must be a dictionary, got " + Values.kind(value));
        });
    ALL.put("dictsort", Filters::dictSort);
    ALL.put(
        "reverse",
        (w, value, a) -> {
          List<Object> items = Values.items(value, w.budget());
          Collections.reverse(items);
          return value instanceof Text ? join(w, items, Text.EMPTY) : items;
        });
    items("list", (w, items, a) -> items);
    items(
        "first",
        (w, items, a) ->
            items.isEmpty() ? new Undefined("the first of nothing") : items.getFirst());
    items(
        "last",
        (w, items, a) -> items.isEmpty() ? new Undefined("the last of nothing") : items.getLast());
    items(
        "join",
        (w, items, a) -> {
          a.only(2, "d", "attribute");
          Object between = a.get(0, "d", Text.EMPTY);
          List<Object> parts =
              a.has(1, "attribute") ? attributes(items, a.get(1, "attribute", None.NONE)) : items;
          return join(w, parts, Values.text(between, w.budget()));
        });
    items("map", Filters::map);
    items("select", (w, items, a) -> chosen(w, items, a, false, true));
    items("reject", (w, items, a) -> chosen(w, items, a, false, false));
    items("selectattr", (w, items, a) -> chosen(w, items, a, true, true));
    items("rejectattr", (w, items, a) -> chosen(w, items, a, true, false));
    items("sort", Filters::sort);
    items("unique", Filters::unique);
    items(
        "sum",
        (w, items, a) -> {
          a.only(2, "attribute", "start");
          Object sum = a.get(1, "start", 0L);
          Object of = a.get(0, "attribute", None.NONE);
          for (Object item : of instanceof None ? items : attributes(items, of)) {
            sum = Numbers.arithmetic("+", sum, item, w.budget());
          }
          return sum;
        });
    items("min", (w, items, a) -> extreme(w, items, a, 1));
    items("max", (w, items, a) -> extreme(w, items, a, -1));
  }

  private static Object json(Evaluator with, Object value, Args args) {
    args.only(4, "ensure_ascii", "indent", "separators", "sort_keys");
    boolean ascii = Values.truth(args.get(0, "ensure_ascii", false));
    Object indent = args.get(1, "indent", None.NONE);
    String step =
        switch (indent) {
          case None _ -> null;
          case Text text -> text.toString();
          default -> " ".repeat(Math.clamp(args.integer(1, "indent", 0), 0, 64));
        };
    String comma = step == null ? ", " : ",";
    String colon = ": ";
    if (args.get(2, "separators", None.NONE) instanceof List<?> pair
        && pair.size() == 2
        && pair.get(0) instanceof Text item
        && pair.get(1) instanceof Text key) {
      comma = item.toString();
      colon = key.toString();
    }
    boolean sorted = Values.truth(args.get(3, "sort_keys", false));
    Text.Builder out = new Text.Builder(with.budget());
    new Written.Json(ascii, step, comma, colon, sorted).write(value, "\n", out, with.budget());
    return out.build();
  }

  private static Object indent(Evaluator with, Text text, Args args) {
    args.only(3, "width", "first", "blank");
    Text width =
        args.get(0, "width", 4L) instanceof Text given
            ? given
            : Text.of(" ".repeat(Math.clamp(args.integer(0, "width", 4), 0, 1000)));
    boolean first = Values.truth(args.get(1, "first", false));
    boolean blank = Values.truth(args.get(2, "blank", false));
    List<Object> lines = Strings.lines(text, true, with.budget());
    Text.Builder out = new Text.Builder(with.budget());
    for (int i = 0; i < lines.size(); i++) {
      Text line = (Text) lines.get(i);
      boolean empty = Strings.strip(line, Text.of("\r\n"), false, true).isEmpty();
      if (i == 0 ? first : blank || !empty) {
        out.add(width);
      }
      out.add(line);
    }
    return out.build();
  }

  static Text join(Evaluator with, List<Object> items, Text between) {
    Text.Builder out = new Text.Builder(with.budget());
    for (int i = 0; i < items.size(); i++) {
      if (i > 0) {
        out.add(between);
      }
      out.add(Values.text(items.get(i), with.budget()));
    }
    return out.build();
  }

  /** {@code a.b.0} of a value. */
  private static Object attribute(Object value, Object path) {
    if (path instanceof Long) {
      return Values.item(value, path);
    }
    if (!(path instanceof Text names)) {
      throw new TemplateException(0, "an attribute must be named, got " + Values.kind(path));
    }
    Object found = value;
    for (String name : names.toString().split("\\.", -1)) {
      found =
          name.matches("\\d{1,9}")
              ? Values.item(found, Long.parseLong(name))
              : Values.item(found, Text.of(name));
    }
    return found;
  }

  private static List<Object> attributes(List<Object> items, Object path) {
    List<Object> values = new ArrayList<>(items.size());
    items.forEach(item -> values.add(attribute(item, path)));
    return values;
  }

  private static Object map(Evaluator with, List<Object> items, Args args) {
    if (args.positional().isEmpty()) {
      args.only(0, "attribute", "default");
      Object path = args.need(0, "attribute");
      List<Object> values = new ArrayList<>();
      for (Object item : items) {
        Object value = attribute(item, path);
        values.add(
            value instanceof Undefined ? args.named().getOrDefault("default", value) : value);
      }
      return values;
    }
    String name = args.text(0, "name").toString();
    Filter filter = ALL.get(name);
    if (filter == null) {
      throw new TemplateException(0, "the filter '" + name + "' is not supported");
    }
    List<Object> values = new ArrayList<>();
    items.forEach(item -> values.add(filter.apply(with, item, args.rest(1))));
    return values;
  }

  private static Object chosen(
      Evaluator with, List<Object> items, Args args, boolean byAttribute, boolean wanted) {
    int from = byAttribute ? 1 : 0;
    Tests.Test test = (w, value, a) -> Values.truth(value);
    if (args.has(from, "")) {
      String name = args.text(from, "test").toString();
      test = Tests.ALL.get(name);
      if (test == null) {
        throw new TemplateException(0, "the test '" + name + "' is not supported");
      }
    }
    Args rest = args.rest(from + 1);
    List<Object> kept = new ArrayList<>();
    for (Object item : items) {
      Object value = byAttribute ? attribute(item, args.need(0, "attribute")) : item;
      if (test.holds(with, value, rest) == wanted) {
        kept.add(item);
      }
    }
    return kept;
  }

  /** Text in lower case unless case counts. */
  private static Object folded(Object value, boolean caseCounts) {
    return value instanceof Text text && !caseCounts ? Strings.lower(text) : value;
  }

  private static Comparator<Object> order(Evaluator with, boolean caseCounts) {
    return (a, b) -> Values.compare(folded(a, caseCounts), folded(b, caseCounts), with.budget());
  }

  private static Object sort(Evaluator with, List<Object> items, Args args) {
    args.only(3, "reverse", "case_sensitive", "attribute");
    boolean caseCounts = Values.truth(args.get(1, "case_sensitive", false));
    Object path = args.get(2, "attribute", None.NONE);
    Comparator<Object> order =
        (a, b) ->
            order(with, caseCounts)
                .compare(
                    path instanceof None ? a : attribute(a, path),
                    path instanceof None ? b : attribute(b, path));
    items.sort(Values.truth(args.get(0, "reverse", false)) ? order.reversed() : order);
    return items;
  }

  private static Object dictSort(Evaluator with, Object value, Args args) {
    args.only(3, "case_sensitive", "by", "reverse");
    if (!(value instanceof Map<?, ?> map)) {
      throw new TemplateException(0, "must be a dictionary, got " + Values.kind(value));
    }
    with.budget().steps(map.size());
    boolean caseCounts = Values.truth(args.get(0, "case_sensitive", false));
    int by = args.get(1, "by", Text.of("key")).equals(Text.of("value")) ? 1 : 0;
    Comparator<Object> order =
        (a, b) -> order(with, caseCounts).compare(((List<?>) a).get(by), ((List<?>) b).get(by));
    List<Object> pairs = Written.pairs(map);
    pairs.sort(Values.truth(args.get(2, "reverse", false)) ? order.reversed() : order);
    return pairs;
  }

  private static Object unique(Evaluator with, List<Object> items, Args args) {
    args.only(2, "case_sensitive", "attribute");
    boolean caseCounts = Values.truth(args.get(0, "case_sensitive", false));
    Object path = args.get(1, "attribute", None.NONE);
    Set<Object> seen = new LinkedHashSet<>();
    List<Object> kept = new ArrayList<>();
    for (Object item : items) {
      Object key = path instanceof None ? item : attribute(item, path);
      if (seen.add(Values.key(folded(key, caseCounts)))) {
        kept.add(item);
      }
    }
    return kept;
  }

  private static Object extreme(Evaluator with, List<Object> items, Args args, int sign) {
    args.only(2, "case_sensitive", "attribute");
    boolean caseCounts = Values.truth(args.get(0, "case_sensitive", false));
    Object path = args.get(1, "attribute", None.NONE);
    Map<String, Object> best = new LinkedHashMap<>();
    for (Object item : items) {
      Object key = path instanceof None ? item : attribute(item, path);
      if (best.isEmpty() || sign * order(with, caseCounts).compare(key, best.get("key")) < 0) {
        best.put("key", key);
        best.put("item", item);
      }
    }
    return best.getOrDefault("item", new Undefined("the least or most of nothing"));
  }
}
