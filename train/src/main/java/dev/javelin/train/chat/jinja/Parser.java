package dev.javelin.train.chat.jinja;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

/** Reads the statements of a template. */
final class Parser {
  /** The variable that filters of a block are applied to; no template can name it. */
  static final String CAPTURED = " captured";

  private final Tokens in;
  private final ExpressionParser expressions;
  private int loops;

  private Parser(List<Token> tokens) {
    in = new Tokens(tokens);
    expressions = new ExpressionParser(in);
  }

  static List<Stmt> parse(String template) {
    Parser parser = new Parser(Lexer.tokens(template));
    List<Stmt> all = parser.body(Set.of());
    Token rest = parser.in.peek();
    if (rest.kind() != Token.Kind.EOF) {
      throw new TemplateException(
          rest.line(), "'" + parser.in.peekSecond().text() + "' ends nothing");
    }
    return all;
  }

  /** Up to a statement of one of these names, which stays, or to the end of the template. */
  private List<Stmt> body(Set<String> ends) {
    in.enter();
    List<Stmt> body = new ArrayList<>();
    while (true) {
      Token token = in.peek();
      switch (token.kind()) {
        case DATA -> {
          in.next();
          body.add(new Stmt.Data(token.line(), Text.of(token.text())));
        }
        case EXPRESSION -> {
          in.next();
          body.add(new Stmt.Output(token.line(), expressions.expressions()));
          in.end();
        }
        case STATEMENT -> {
          String name = in.peekSecond().text();
          if (ends.contains(name)
              || name.startsWith("end")
              || name.equals("else")
              || name.equals("elif")) {
            in.leave();
            return body;
          }
          in.next();
          body.add(statement(in.expect(Token.Kind.NAME, "the name of a statement")));
        }
        case EOF -> {
          in.leave();
          return body;
        }
        case END, NAME, STRING, INTEGER, FLOAT, OPERATOR -> throw in.unexpected("text or a tag");
      }
    }
  }

  /** Passes over {@code {% name}, which must come now. */
  private void close(String name, Token opened) {
    if (in.peek().kind() != Token.Kind.STATEMENT || !in.peekSecond().isName(name)) {
      throw new TemplateException(
          opened.line(), "'" + opened.text() + "' has no '" + name + "'" + instead());
    }
    in.next();
    in.next();
  }

  private String instead() {
    return in.peek().kind() == Token.Kind.STATEMENT
        ? ", but '%s' in line %d".formatted(in.peekSecond().text(), in.line())
        : "";
  }

  private List<Stmt> bodyTo(String end, Token opened) {
    in.end();
    List<Stmt> body = body(Set.of(end));
    close(end, opened);
    if (end.equals("endmacro") || end.equals("endcall")) { // the name may stand once more
      if (in.peek().kind() == Token.Kind.NAME) {
        in.next();
      }
    }
    in.end();
    return body;
  }

  private Stmt statement(Token name) {
    return switch (name.text()) {
      case "if" -> branch(name);
      case "for" -> loop(name);
      case "set" -> assignment(name);
      case "macro" -> macro(name);
      case "call" -> call(name);
      case "filter" -> {
        Expr filtered = filters(expressions.filter(new Expr.Name(CAPTURED)));
        yield new Stmt.FilterBlock(name.line(), filtered, bodyTo("endfilter", name));
      }
      case "with" -> with(name);
      case "generation" -> new Stmt.Generation(name.line(), bodyTo("endgeneration", name));
      case "break", "continue" -> {
        in.end();
        if (loops == 0) {
          throw new TemplateException(name.line(), "'" + name.text() + "' stands in no loop");
        }
        yield name.text().equals("break")
            ? new Stmt.Break(name.line())
            : new Stmt.Continue(name.line());
      }
      default ->
          throw new TemplateException(
              name.line(), "the statement '" + name.text() + "' is not supported");
    };
  }

  private Stmt branch(Token opened) {
    Expr test = expressions.expressions();
    in.end();
    List<Stmt> then = body(Set.of("elif", "else", "endif"));
    List<Stmt> otherwise = List.of();
    Token next = in.peekSecond();
    if (in.peek().kind() == Token.Kind.STATEMENT && next.isName("elif")) {
      in.next();
      in.next();
      in.enter();
      otherwise = List.of(branch(new Token(opened.kind(), opened.text(), next.line())));
      in.leave();
      return new Stmt.If(opened.line(), test, then, otherwise);
    }
    if (in.peek().kind() == Token.Kind.STATEMENT && next.isName("else")) {
      in.next();
      in.next();
      in.end();
      otherwise = body(Set.of("endif"));
    }
    close("endif", opened);
    in.end();
    return new Stmt.If(opened.line(), test, then, otherwise);
  }

  private Stmt loop(Token opened) {
    List<String> targets = targets();
    in.expectName("in");
    Expr through = expressions.or();
    if (in.peek().is(",")) {
      List<Expr> items = new ArrayList<>(List.of(through));
      while (in.skip(",")) {
        items.add(expressions.or());
      }
      through = new Expr.ListOf(items);
    }
    Expr only = in.skipName("if") ? expressions.expression() : null;
    boolean recursive = in.skipName("recursive");
    in.end();
    loops++;
    List<Stmt> body = body(Set.of("else", "endfor"));
    loops--;
    List<Stmt> otherwise = List.of();
    if (in.peek().kind() == Token.Kind.STATEMENT && in.peekSecond().isName("else")) {
      in.next();
      in.next();
      in.end();
      otherwise = body(Set.of("endfor"));
    }
    close("endfor", opened);
    in.end();
    return new Stmt.For(opened.line(), targets, through, only, recursive, body, otherwise);
  }

  /** One name or several. */
  private List<String> targets() {
    boolean inParentheses = in.skip("(");
    List<String> names = new ArrayList<>();
    do {
      if (in.peek().kind() != Token.Kind.NAME && !names.isEmpty()) {
        break;
      }
      names.add(target());
    } while (in.skip(","));
    if (inParentheses) {
      in.expect(")");
    }
    return names;
  }

  private String target() {
    Token name = in.expect(Token.Kind.NAME, "the name of a variable");
    if (Set.of("true", "True", "false", "False", "none", "None", "loop").contains(name.text())) {
      throw new TemplateException(name.line(), "'" + name.text() + "' cannot be assigned to");
    }
    return name.text();
  }

  private Stmt assignment(Token opened) {
    if (in.peekSecond().is(".")) {
      String namespace = in.expect(Token.Kind.NAME, "the name of a namespace").text();
      in.next();
      String attribute = in.expect(Token.Kind.NAME, "the name of an attribute").text();
      in.expect("=");
      Expr value = expressions.expressions();
      in.end();
      return new Stmt.AssignAttribute(opened.line(), namespace, attribute, value);
    }
    List<String> targets = targets();
    if (in.skip("=")) {
      Expr value = expressions.expressions();
      in.end();
      return new Stmt.Assign(opened.line(), targets, value);
    }
    if (targets.size() > 1) {
      throw in.unexpected("'='");
    }
    Expr filtered = filters(new Expr.Name(CAPTURED));
    return new Stmt.AssignBlock(
        opened.line(), targets.getFirst(), filtered, bodyTo("endset", opened));
  }

  private Expr filters(Expr first) {
    Expr value = first;
    while (in.skip("|")) {
      value = expressions.filter(value);
    }
    return value;
  }

  private Stmt.Macro macro(Token opened) {
    String name = target();
    return signature(name, opened, "endmacro");
  }

  private Stmt.Macro signature(String name, Token opened, String end) {
    List<String> parameters = new ArrayList<>();
    Map<String, Expr> defaults = new LinkedHashMap<>();
    in.expect("(");
    parameters(parameters, defaults);
    return block(name, opened, end, parameters, defaults);
  }

  private void parameters(List<String> parameters, Map<String, Expr> defaults) {
    while (!in.skip(")")) {
      String parameter = target();
      parameters.add(parameter);
      if (in.skip("=")) {
        defaults.put(parameter, expressions.expression());
      } else if (!defaults.isEmpty()) {
        throw in.unexpected("a default value: the parameter before has one");
      }
      if (!in.peek().is(")")) {
        in.expect(",");
      }
    }
  }

  private Stmt.Macro block(
      String name, Token opened, String end, List<String> parameters, Map<String, Expr> defaults) {
    int outer = loops; // a loop around the macro is none inside
    loops = 0;
    List<Stmt> body = bodyTo(end, opened);
    loops = outer;
    return new Stmt.Macro(opened.line(), name, parameters, defaults, body);
  }

  private Stmt call(Token opened) {
    List<String> parameters = new ArrayList<>();
    Map<String, Expr> defaults = new LinkedHashMap<>();
    if (in.skip("(")) {
      parameters(parameters, defaults);
    }
    if (!(expressions.expression() instanceof Expr.Call call)) {
      throw new TemplateException(opened.line(), "'call' must call something");
    }
    return new Stmt.CallBlock(
        opened.line(), block("caller", opened, "endcall", parameters, defaults), call);
  }

  private Stmt with(Token opened) {
    List<String> names = new ArrayList<>();
    List<Expr> values = new ArrayList<>();
    while (in.peek().kind() == Token.Kind.NAME) {
      names.add(target());
      in.expect("=");
      values.add(expressions.expression());
      if (!in.skip(",")) {
        break;
      }
    }
    return new Stmt.With(opened.line(), names, values, bodyTo("endwith", opened));
  }
}
