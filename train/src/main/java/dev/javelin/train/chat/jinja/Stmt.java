package dev.javelin.train.chat.jinja;

import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** A statement. */
sealed interface Stmt {
  /** Where it begins in the template. */
  int line();

  record Data(int line, Text text) implements Stmt {}

  record Output(int line, Expr value) implements Stmt {}

  record If(int line, Expr test, List<Stmt> then, List<Stmt> otherwise) implements Stmt {}

  /**
   * @param only the condition behind the iterable
   */
  record For(
      int line,
      List<String> targets,
      Expr in,
      @Nullable Expr only,
      boolean recursive,
      List<Stmt> body,
      List<Stmt> otherwise)
      implements Stmt {}

  record Assign(int line, List<String> targets, Expr value) implements Stmt {}

  record AssignAttribute(int line, String namespace, String attribute, Expr value)
      implements Stmt {}

  /**
   * What the body writes becomes a variable.
   *
   * @param filtered the filters, applied to the variable {@link Parser#CAPTURED}
   */
  record AssignBlock(int line, String target, Expr filtered, List<Stmt> body) implements Stmt {}

  record FilterBlock(int line, Expr filtered, List<Stmt> body) implements Stmt {}

  record Macro(
      int line, String name, List<String> parameters, Map<String, Expr> defaults, List<Stmt> body)
      implements Stmt {}

  /** A call that may call the body back. */
  record CallBlock(int line, Macro caller, Expr.Call call) implements Stmt {}

  record With(int line, List<String> names, List<Expr> values, List<Stmt> body) implements Stmt {}

  /** What a model is to learn to write. */
  record Generation(int line, List<Stmt> body) implements Stmt {}

  record Break(int line) implements Stmt {}

  record Continue(int line) implements Stmt {}
}
