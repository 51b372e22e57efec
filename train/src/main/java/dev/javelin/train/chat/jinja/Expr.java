package dev.javelin.train.chat.jinja;

import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** An expression. */
sealed interface Expr {

  /** What stands between the parentheses of a call. */
  record Arguments(List<Expr> positional, Map<String, Expr> named) {
    static final Arguments NONE = new Arguments(List.of(), Map.of());
  }

  record Literal(Object value) implements Expr {}

  record Name(String name) implements Expr {}

  record ListOf(List<Expr> items) implements Expr {}

  record DictOf(List<Expr> keys, List<Expr> values) implements Expr {}

  record Attribute(Expr of, String name) implements Expr {}

  record Item(Expr of, Expr key) implements Expr {}

  record Slice(Expr of, @Nullable Expr from, @Nullable Expr to, @Nullable Expr step)
      implements Expr {}

  record Call(Expr function, Arguments arguments, int line) implements Expr {}

  record Filtered(Expr value, String name, Filters.Filter filter, Arguments arguments, int line)
      implements Expr {}

  record Tested(Expr value, String name, Tests.Test test, Arguments arguments, int line)
      implements Expr {}

  record Not(Expr value) implements Expr {}

  record And(Expr left, Expr right) implements Expr {}

  record Or(Expr left, Expr right) implements Expr {}

  /** {@code a < b <= c}. */
  record Compared(Expr first, List<String> operators, List<Expr> others) implements Expr {}

  record Arithmetic(String operator, Expr left, Expr right) implements Expr {}

  record Signed(boolean negative, Expr value) implements Expr {}

  /** {@code a ~ b ~ c}. */
  record Concat(List<Expr> parts) implements Expr {}

  record Conditional(Expr test, Expr then, @Nullable Expr otherwise) implements Expr {}
}
