package dev.javelin.train.chat.jinja;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.IntPredicate;
import org.jspecify.annotations.Nullable;

/** The methods of Python's strings, lists and dictionaries that change nothing. */
final class Methods {
  /** A method of {@code self}. */
  interface Method {
    Object call(Evaluator with, Object self, Args args);
  }

  private interface OfText {
    Object call(Evaluator with, Text self, Args args);
  }

  private static final Map<String, Method> TEXT = new TreeMap<>();
  private static final Map<String, Method> LIST = new TreeMap<>();
  private static final Map<String, Method> DICT = new TreeMap<>();

  /** Those that would write: they exist, and are refused. */
  private static final List<String> WRITING =
      List.of(
          "append",
          "extend",
          "insert",
          "pop",
          "remove",
          "clear",
          "sort",
          "reverse",
          "update",
          "setdefault",
          "popitem");

  private Methods() {}

  /** The method of that name, null where there is none. */
  static @Nullable Method find(Object self, String name) {
    Map<String, Method> all =
        switch (self) {
          case Text _ -> TEXT;
          case List<?> _ -> LIST;
          case Map<?, ?> _ -> DICT;
          default -> Map.of();
        };
    Method method = all.get(name);
    boolean writes = !(self instanceof Text) && !all.isEmpty() && WRITING.contains(name);
    if (method == null
        && writes
        && !(self instanceof Map<?, ?> map && map.containsKey(Text.of(name)))) {
      return (with, it, args) -> {
        throw new TemplateException(
            0, "'" + name + "' would change " + Values.kind(it) + ", which templates may not");
      };
    }
    return method;
  }

  private static void text(String name, OfText method) {
    TEXT.put(name, (with, self, args) -> method.call(with, (Text) self, args));
  }

  private static void characters(String name, IntPredicate each) {
    text(
        name,
        (with, self, args) -> {
          args.only(0);
          with.budget().characters(self.length());
          return !self.isEmpty() && self.toString().codePoints().allMatch(each);
        });
  }

  static {
    text("strip", (w, s, a) -> Strings.strip(s, a.only(1).get(0, "chars", None.NONE), true, true));
    text(
        "lstrip", (w, s, a) -> Strings.strip(s, a.only(1).get(0, "chars", None.NONE), true, false));
    text(
        "rstrip", (w, s, a) -> Strings.strip(s, a.only(1).get(0, "chars", None.NONE), false, true));
    text("upper", (w, s, a) -> Strings.upper(charged(w, s, a)));
    text("lower", (w, s, a) -> Strings.lower(charged(w, s, a)));
    text("capitalize", (w, s, a) -> Strings.capitalize(charged(w, s, a)));
    text("title", (w, s, a) -> Strings.title(charged(w, s, a)));
    text("split", (w, s, a) -> split(w, s, a, false));
    text("rsplit", (w, s, a) -> split(w, s, a, true));
    text(
        "splitlines",
        (w, s, a) ->
            Strings.lines(
                s, Values.truth(a.only(1, "keepends").get(0, "keepends", false)), w.budget()));
    text(
        "replace",
        (w, s, a) -> {
          a.only(3, "count");
          return Strings.replace(
              s, a.text(0, "old"), a.text(1, "new"), a.integer(2, "count", -1), w.budget());
        });
    text("startswith", (w, s, a) -> anyOf(a, part -> s.toString().startsWith(part)));
    text("endswith", (w, s, a) -> anyOf(a, part -> s.toString().endsWith(part)));
    text("find", (w, s, a) -> place(w, s, a, false));
    text("rfind", (w, s, a) -> place(w, s, a, true));
    text("index", (w, s, a) -> found(place(w, s, a, false)));
    text("rindex", (w, s, a) -> found(place(w, s, a, true)));
    text("count", Methods::count);
    text("join", (w, s, a) -> joined(w, s, a.only(1).need(0, "iterable")));
    text("partition", (w, s, a) -> partition(w, s, a, false));
    text("rpartition", (w, s, a) -> partition(w, s, a, true));
    text(
        "removeprefix",
        (w, s, a) -> {
          Text prefix = a.only(1).text(0, "prefix");
          return s.toString().startsWith(prefix.toString())
              ? s.part(prefix.length(), s.length())
              : s;
        });
    text(
        "removesuffix",
        (w, s, a) -> {
          Text suffix = a.only(1).text(0, "suffix");
          return s.toString().endsWith(suffix.toString())
              ? s.part(0, s.length() - suffix.length())
              : s;
        });
    characters("isdigit", Character::isDigit);
    characters("isnumeric", Character::isDigit);
    characters("isdecimal", Character::isDigit);
    characters("isalpha", Character::isLetter);
    characters("isalnum", c -> Character.isLetterOrDigit(c));
    characters("isspace", c -> c < 0x10000 && Strings.isSpace((char) c));
    text("isupper", (w, s, a) -> hasCase(charged(w, s, a).toString(), true));
    text("islower", (w, s, a) -> hasCase(charged(w, s, a).toString(), false));

    DICT.put("items", (w, self, a) -> pairs(w, a, (Map<?, ?>) self));
    DICT.put("keys", (w, self, a) -> Values.items(plain(a, self), w.budget()));
    DICT.put("copy", (w, self, a) -> plain(a, self));
    DICT.put(
        "values",
        (w, self, a) -> {
          Map<?, ?> map = (Map<?, ?>) plain(a, self);
          w.budget().steps(map.size());
          return new ArrayList<Object>(map.values());
        });
    DICT.put(
        "get",
        (w, self, a) -> {
          Object found = ((Map<?, ?>) self).get(Values.key(a.only(2).need(0, "key")));
          return found != null ? found : a.get(1, "default", None.NONE);
        });

    LIST.put("copy", (w, self, a) -> plain(a, self));
    LIST.put(
        "count",
        (w, self, a) -> {
          Object what = a.only(1).need(0, "value");
          return ((List<?>) self).stream().filter(i -> Values.equal(i, what, w.budget())).count();
        });
    LIST.put(
        "index",
        (w, self, a) -> {
          List<?> list = (List<?>) self;
          Object what = a.only(1).need(0, "value");
          for (int i = 0; i < list.size(); i++) {
            if (Values.equal(list.get(i), what, w.budget())) {
              return (long) i;
            }
          }
          throw new TemplateException(0, "the list does not hold it");
        });
  }

  private static Object plain(Args args, Object self) {
    args.only(0);
    return self;
  }

  private static Object pairs(Evaluator with, Args args, Map<?, ?> map) {
    args.only(0);
    with.budget().steps(map.size());
    return Written.pairs(map);
  }

  private static Text charged(Evaluator with, Text self, Args args) {
    args.only(0);
    with.budget().characters(self.length());
    return self;
  }

  /** Whether all letters that have a case have this one, and there is one. */
  static boolean hasCase(String text, boolean upper) {
    boolean any = false;
    for (int i = 0, c; i < text.length(); i += Character.charCount(c)) {
      c = text.codePointAt(i);
      if (upper ? Character.isLowerCase(c) : Character.isUpperCase(c)) {
        return false;
      }
      any |= upper ? Character.isUpperCase(c) : Character.isLowerCase(c);
    }
    return any;
  }

  private static Object split(Evaluator with, Text self, Args args, boolean right) {
    args.only(2, "sep", "maxsplit");
    Object separator = args.get(0, "sep", None.NONE);
    return Strings.split(self, separator, args.integer(1, "maxsplit", -1), right, with.budget());
  }

  private static boolean anyOf(Args args, java.util.function.Predicate<String> test) {
    Object what = args.only(1).need(0, "prefix");
    List<?> all = what instanceof List<?> list ? list : List.of(what);
    for (Object one : all) {
      if (!(one instanceof Text text)) {
        throw new TemplateException(0, "text must be looked for, got " + Values.kind(one));
      }
      if (test.test(text.toString())) {
        return true;
      }
    }
    return false;
  }

  private static long place(Evaluator with, Text self, Args args, boolean last) {
    Text what = args.only(1).text(0, "sub");
    with.budget().search(self, what);
    String s = self.toString();
    int at = last ? s.lastIndexOf(what.toString()) : s.indexOf(what.toString());
    return at < 0 ? -1 : s.codePointCount(0, at);
  }

  private static long found(long at) {
    if (at < 0) {
      throw new TemplateException(0, "the text does not hold it");
    }
    return at;
  }

  private static Object count(Evaluator with, Text self, Args args) {
    Text what = args.only(1).text(0, "sub");
    with.budget().search(self, what);
    if (what.isEmpty()) {
      return Strings.length(self) + 1L;
    }
    long count = 0;
    String s = self.toString();
    for (int at = s.indexOf(what.toString()); at >= 0; count++) {
      at = s.indexOf(what.toString(), at + what.length());
    }
    return count;
  }

  private static Object joined(Evaluator with, Text self, Object items) {
    Text.Builder out = new Text.Builder(with.budget());
    boolean first = true;
    for (Object item : Values.items(items, with.budget())) {
      if (!(item instanceof Text text)) {
        throw new TemplateException(0, "only text can be joined, got " + Values.kind(item));
      }
      if (!first) {
        out.add(self);
      }
      out.add(text);
      first = false;
    }
    return out.build();
  }

  private static Object partition(Evaluator with, Text self, Args args, boolean last) {
    Text cut = args.only(1).text(0, "sep");
    with.budget().search(self, cut);
    if (cut.isEmpty()) {
      throw new TemplateException(0, "cannot cut at nothing");
    }
    String s = self.toString();
    int at = last ? s.lastIndexOf(cut.toString()) : s.indexOf(cut.toString());
    if (at < 0) {
      return last ? List.of(Text.EMPTY, Text.EMPTY, self) : List.of(self, Text.EMPTY, Text.EMPTY);
    }
    int end = at + cut.length();
    return List.of(self.part(0, at), self.part(at, end), self.part(end, s.length()));
  }
}
