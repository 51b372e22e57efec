package dev.javelin.train.chat.jinja;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** Gives expressions their values; one rendering, one thread. */
final class Evaluator {
  private final Budget budget;

  Evaluator(Budget budget) {
    this.budget = budget;
  }

  Budget budget() {
    return budget;
  }

  Object value(Expr expression, Scope scope) {
    budget.step();
    budget.enter();
    Object value =
        switch (expression) {
          case Expr.Literal(Object constant) -> constant;
          case Expr.Name(String name) -> scope.get(name);
          case Expr.ListOf(List<Expr> items) -> values(items, scope);
          case Expr.DictOf dict -> dict(dict, scope);
          case Expr.Attribute(Expr of, String name) ->
              Values.attribute(value(of, scope), name, false);
          case Expr.Item(Expr of, Expr key) -> Values.item(value(of, scope), value(key, scope));
          case Expr.Slice slice -> slice(slice, scope);
          case Expr.Call call -> called(call, scope, Map.of());
          case Expr.Filtered f -> {
            Object of = value(f.value(), scope);
            Args args = args(f.arguments(), scope);
            try {
              yield f.filter().apply(this, of, args);
            } catch (TemplateException e) {
              throw named("the filter '" + f.name() + "': ", e, f.line());
            }
          }
          case Expr.Tested t -> {
            Object of = value(t.value(), scope);
            Args args = args(t.arguments(), scope);
            try {
              yield t.test().holds(this, of, args);
            } catch (TemplateException e) {
              throw named("the test '" + t.name() + "': ", e, t.line());
            }
          }
          case Expr.Not(Expr of) -> !truth(of, scope);
          case Expr.And(Expr left, Expr right) -> {
            Object first = value(left, scope);
            yield Values.truth(first) ? value(right, scope) : first;
          }
          case Expr.Or(Expr left, Expr right) -> {
            Object first = value(left, scope);
            yield Values.truth(first) ? first : value(right, scope);
          }
          case Expr.Compared compared -> compared(compared, scope);
          case Expr.Arithmetic(String operator, Expr left, Expr right) ->
              Numbers.arithmetic(operator, value(left, scope), value(right, scope), budget);
          case Expr.Signed(boolean negative, Expr of) -> Numbers.signed(negative, value(of, scope));
          case Expr.Concat(List<Expr> parts) ->
              Filters.join(this, values(parts, scope), Text.EMPTY);
          case Expr.Conditional c ->
              truth(c.test(), scope)
                  ? value(c.then(), scope)
                  : c.otherwise() == null
                      ? new Undefined("what stands before 'if'")
                      : value(c.otherwise(), scope);
        };
    budget.leave();
    return value;
  }

  /** An error that already says its line was made deeper, and says what it is about. */
  private static TemplateException named(String what, TemplateException e, int line) {
    return e.line() > 0 ? e : new TemplateException(line, what + e.getMessage());
  }

  boolean truth(Expr expression, Scope scope) {
    return Values.truth(value(expression, scope));
  }

  private List<Object> values(List<Expr> expressions, Scope scope) {
    List<Object> values = new ArrayList<>(expressions.size());
    for (Expr expression : expressions) {
      values.add(value(expression, scope));
    }
    return values;
  }

  private Object dict(Expr.DictOf dict, Scope scope) {
    Map<Object, Object> entries = new LinkedHashMap<>();
    for (int i = 0; i < dict.keys().size(); i++) {
      entries.put(Values.key(value(dict.keys().get(i), scope)), value(dict.values().get(i), scope));
    }
    return entries;
  }

  private Object slice(Expr.Slice slice, Scope scope) {
    Object of = value(slice.of(), scope);
    Object from = slice.from() == null ? null : value(slice.from(), scope);
    Object to = slice.to() == null ? null : value(slice.to(), scope);
    Object step = slice.step() == null ? null : value(slice.step(), scope);
    if (!(of instanceof Undefined)) {
      budget.steps(of instanceof Text ? 1 : Values.length(of));
      budget.characters(of instanceof Text text ? text.length() : 0);
    }
    return Values.slice(of, from, to, step);
  }

  private Object compared(Expr.Compared compared, Scope scope) {
    Object left = value(compared.first(), scope);
    for (int i = 0; i < compared.operators().size(); i++) {
      Object right = value(compared.others().get(i), scope);
      boolean holds =
          switch (compared.operators().get(i)) {
            case "==" -> Values.equal(left, right, budget);
            case "!=" -> !Values.equal(left, right, budget);
            case "<" -> Values.compare(left, right, budget) < 0;
            case "<=" -> Values.compare(left, right, budget) <= 0;
            case ">" -> Values.compare(left, right, budget) > 0;
            case ">=" -> Values.compare(left, right, budget) >= 0;
            case "in" -> Values.contains(right, left, budget);
            case "not in" -> !Values.contains(right, left, budget);
            default -> throw new IllegalStateException(compared.operators().get(i));
          };
      if (!holds) {
        return false;
      }
      left = right;
    }
    return true;
  }

  private Args args(Expr.Arguments arguments, Scope scope) {
    if (arguments.positional().isEmpty() && arguments.named().isEmpty()) {
      return Args.NONE;
    }
    Map<String, Object> named = new LinkedHashMap<>();
    List<Object> positional = values(arguments.positional(), scope);
    arguments.named().forEach((name, value) -> named.put(name, value(value, scope)));
    return new Args(positional, named);
  }

  /**
   * @param more named arguments beside those that are written
   */
  Object called(Expr.Call call, Scope scope, Map<String, Object> more) {
    Object function = value(call.function(), scope);
    Args args = args(call.arguments(), scope);
    if (!more.isEmpty()) {
      Map<String, Object> named = new LinkedHashMap<>(args.named());
      named.putAll(more);
      args = new Args(args.positional(), named);
    }
    String name =
        switch (call.function()) {
          case Expr.Name(String of) -> of;
          case Expr.Attribute(Expr _, String of) -> of;
          default -> "what is called";
        };
    try {
      if (function instanceof Callable callable) {
        return callable.call(this, args);
      }
      if (function instanceof Undefined u) {
        throw u.error();
      }
      throw new TemplateException(0, Values.kind(function) + " cannot be called");
    } catch (TemplateException e) {
      throw name.equals(Template.RAISE) ? e.at(call.line()) : named(name + ": ", e, call.line());
    }
  }
}
