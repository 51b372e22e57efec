package dev.javelin.train.chat.jinja;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/** Runs statements; one rendering, one thread. */
final class Renderer {
  private enum Flow {
    ON,
    BREAK,
    CONTINUE
  }

  private final Budget budget;
  private final Evaluator evaluator;

  Renderer(Budget budget) {
    this.budget = budget;
    this.evaluator = new Evaluator(budget);
  }

  Text render(List<Stmt> statements, Scope scope) {
    Text.Builder out = new Text.Builder(budget);
    run(statements, scope, out);
    return out.build();
  }

  private Flow run(List<Stmt> statements, Scope scope, Text.Builder out) {
    for (Stmt statement : statements) {
      try {
        budget.step();
        budget.enter();
        Flow flow = run(statement, scope, out);
        budget.leave();
        if (flow != Flow.ON) {
          return flow;
        }
      } catch (TemplateException e) {
        throw e.at(statement.line());
      }
    }
    return Flow.ON;
  }

  private Flow run(Stmt statement, Scope scope, Text.Builder out) {
    switch (statement) {
      case Stmt.Data(int _, Text text) -> out.add(text);
      case Stmt.Output(int _, Expr value) ->
          out.add(Values.text(evaluator.value(value, scope), budget));
      case Stmt.If branch -> {
        return run(
            evaluator.truth(branch.test(), scope) ? branch.then() : branch.otherwise(), scope, out);
      }
      case Stmt.For loop -> {
        return loop(loop, evaluator.value(loop.in(), scope), scope, out, 0);
      }
      case Stmt.Assign(int _, List<String> targets, Expr value) ->
          assign(targets, evaluator.value(value, scope), scope);
      case Stmt.AssignAttribute(int _, String name, String attribute, Expr value) -> {
        if (!(scope.get(name) instanceof Namespace namespace)) {
          throw new TemplateException(0, "'" + name + "' is no namespace");
        }
        namespace.set(attribute, evaluator.value(value, scope));
      }
      case Stmt.AssignBlock(int _, String target, Expr filtered, List<Stmt> body) ->
          scope.set(target, captured(filtered, body, scope));
      case Stmt.FilterBlock(int _, Expr filtered, List<Stmt> body) ->
          out.add(Values.text(captured(filtered, body, scope), budget));
      case Stmt.Macro macro -> scope.set(macro.name(), function(macro, scope));
      case Stmt.CallBlock(int _, Stmt.Macro caller, Expr.Call call) -> {
        Map<String, Object> back = Map.of("caller", function(caller, scope));
        out.add(Values.text(evaluator.called(call, scope, back), budget));
      }
      case Stmt.With with -> {
        Scope inner = new Scope(scope);
        for (int i = 0; i < with.names().size(); i++) {
          inner.set(with.names().get(i), evaluator.value(with.values().get(i), scope));
        }
        return run(with.body(), inner, out);
      }
      case Stmt.Generation(int _, List<Stmt> body) ->
          out.add(render(body, new Scope(scope)).with(Text.GENERATED));
      case Stmt.Break _ -> {
        return Flow.BREAK;
      }
      case Stmt.Continue _ -> {
        return Flow.CONTINUE;
      }
    }
    return Flow.ON;
  }

  private Object captured(Expr filtered, List<Stmt> body, Scope scope) {
    Scope inner = new Scope(scope);
    Text text = render(body, inner);
    inner.set(Parser.CAPTURED, text);
    return evaluator.value(filtered, inner);
  }

  private void assign(List<String> targets, Object value, Scope scope) {
    if (targets.size() == 1) {
      scope.set(targets.getFirst(), value);
      return;
    }
    List<Object> parts = Values.items(value, budget);
    if (parts.size() != targets.size()) {
      throw new TemplateException(
          0, "%d values for %d variables".formatted(parts.size(), targets.size()));
    }
    for (int i = 0; i < parts.size(); i++) {
      scope.set(targets.get(i), parts.get(i));
    }
  }

  private Flow loop(Stmt.For loop, Object through, Scope scope, Text.Builder out, int depth) {
    List<Object> items = Values.items(through, budget);
    if (loop.only() != null) {
      List<Object> kept = new ArrayList<>();
      for (Object item : items) {
        Scope inner = new Scope(scope);
        assign(loop.targets(), item, inner);
        if (evaluator.truth(loop.only(), inner)) {
          kept.add(item);
        }
      }
      items = kept;
    }
    if (items.isEmpty()) {
      return run(loop.otherwise(), scope, out);
    }
    Callable again =
        !loop.recursive()
            ? null
            : (with, args) -> {
              Text.Builder part = new Text.Builder(budget);
              loop(loop, args.only(1).need(0, "iterable"), scope, part, depth + 1);
              return part.build();
            };
    Loop itself = new Loop(items, depth, again);
    for (Object item : items) {
      budget.step();
      Scope inner = new Scope(scope);
      itself.advance();
      inner.set("loop", itself);
      assign(loop.targets(), item, inner);
      if (run(loop.body(), inner, out) == Flow.BREAK) {
        break;
      }
    }
    return Flow.ON;
  }

  private Callable function(Stmt.Macro macro, Scope scope) {
    return (with, args) -> {
      budget.enter();
      Scope inner = new Scope(scope);
      List<String> parameters = macro.parameters();
      args.only(parameters.size(), names(parameters));
      for (int i = 0; i < parameters.size(); i++) {
        String name = parameters.get(i);
        Expr fallback = macro.defaults().get(name);
        Object value =
            args.has(i, name)
                ? args.get(i, name, None.NONE)
                : fallback == null
                    ? new Undefined("the parameter '" + name + "'")
                    : evaluator.value(fallback, inner);
        inner.set(name, value);
      }
      Object caller = args.named().get("caller");
      if (caller != null) {
        inner.set("caller", caller);
      }
      Text text = render(macro.body(), inner);
      budget.leave();
      return text;
    };
  }

  private static String[] names(List<String> parameters) {
    List<String> names = new ArrayList<>(parameters);
    names.add("caller");
    return names.toArray(new String[0]);
  }
}
