package dev.javelin.train.chat.jinja;

import java.time.LocalDateTime;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Supplier;

/** A template that was read. Immutable; threads may share it. */
public final class Template {
  /** What a template calls to refuse a conversation. */
  static final String RAISE = "raise_exception";

  private static final int LONGEST = 1 << 20;
  private static final int LONGEST_RANGE = 100_000;

  private final List<Stmt> statements;
  private final boolean marksGeneration;

  private Template(List<Stmt> statements, boolean marksGeneration) {
    this.statements = statements;
    this.marksGeneration = marksGeneration;
  }

  /**
   * Reads a template.
   *
   * @throws TemplateException where it is no template, or one that needs more of Jinja than is here
   */
  public static Template parse(String source) {
    if (source.length() > LONGEST) {
      throw new TemplateException(1, "is longer than " + LONGEST + " characters");
    }
    return new Template(
        Parser.parse(source), source.matches("(?s).*\\{%[-+]?\\s*generation\\s*[-+]?%}.*"));
  }

  /** Whether it says itself, in generation blocks, what a model is to learn. */
  public boolean marksGeneration() {
    return marksGeneration;
  }

  /**
   * Renders it.
   *
   * @param given variables as {@link dev.javelin.tensor.io.Json} reads values, whose text is marked
   *     as data; or {@link Text} as it is
   * @param now what {@code strftime_now} writes
   * @throws TemplateException where the template refuses, does what is not defined, or uses more
   *     than the budget
   */
  public Text render(Map<String, ?> given, Supplier<LocalDateTime> now, Budget budget) {
    Scope globals = new Scope(null);
    globals.set(RAISE, raise());
    globals.set("strftime_now", strftime(now));
    globals.set("namespace", (Callable) Template::namespace);
    globals.set("dict", (Callable) (with, args) -> dict(args));
    globals.set("range", (Callable) Template::range);
    Scope scope = new Scope(globals);
    given.forEach((name, value) -> scope.set(name, Values.ofJson(value)));
    try {
      return new Renderer(budget).render(statements, scope);
    } catch (TemplateException e) {
      budget.reset();
      throw e;
    }
  }

  private static Callable raise() {
    return (with, args) -> {
      throw new TemplateException(
          0, Values.text(args.need(0, "message"), with.budget()).toString());
    };
  }

  private static Callable strftime(Supplier<LocalDateTime> now) {
    return (with, args) ->
        Text.of(Strftime.format(now.get(), args.only(1).text(0, "format").toString()));
  }

  private static Object namespace(Evaluator with, Args args) {
    Namespace namespace = new Namespace();
    if (!args.positional().isEmpty() && args.positional().getFirst() instanceof Map<?, ?> map) {
      map.forEach((key, value) -> namespace.set(key.toString(), value));
    }
    args.named().forEach(namespace::set);
    return namespace;
  }

  private static Object dict(Args args) {
    Map<Object, Object> entries = new LinkedHashMap<>();
    if (!args.positional().isEmpty() && args.positional().getFirst() instanceof Map<?, ?> map) {
      entries.putAll(map);
    }
    args.named().forEach((name, value) -> entries.put(Text.of(name), value));
    return entries;
  }

  private static Object range(Evaluator with, Args args) {
    args.only(3);
    args.need(0, "stop");
    boolean one = args.positional().size() == 1;
    long from = one ? 0 : args.integer(0, "start", 0);
    long to = args.integer(one ? 0 : 1, "stop", 0);
    long step = args.integer(2, "step", 1);
    if (step == 0) {
      throw new TemplateException(0, "a range cannot have the step 0");
    }
    long count = Math.max(0, Math.ceilDiv(to - from, step));
    if (count > LONGEST_RANGE) {
      throw new TemplateException(0, "a range has " + LONGEST_RANGE + " numbers at most");
    }
    with.budget().steps(count);
    return java.util.stream.LongStream.range(0, count)
        .mapToObj(i -> (Object) (from + i * step))
        .toList();
  }
}
