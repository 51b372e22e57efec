package dev.javelin.train.chat.jinja;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

/** Reads expressions, the loosest binding first: conditions, or, and, not, comparisons, +, ~, *. */
final class ExpressionParser {
  private static final Set<String> COMPARISONS = Set.of("==", "!=", "<", ">", "<=", ">=");
  private static final Set<String> NO_ARGUMENT =
      Set.of("else", "or", "and", "is", "if", "in", "not");

  private final Tokens in;

  ExpressionParser(Tokens in) {
    this.in = in;
  }

  /** An expression, a condition included; several with commas between them are a list. */
  Expr expressions() {
    Expr first = expression();
    if (!in.peek().is(",")) {
      return first;
    }
    List<Expr> all = new ArrayList<>(List.of(first));
    while (in.skip(",")) {
      if (endsExpressions()) {
        break;
      }
      all.add(expression());
    }
    return new Expr.ListOf(all);
  }

  private boolean endsExpressions() {
    Token next = in.peek();
    return next.kind() == Token.Kind.END || next.is(")") || next.is("=");
  }

  Expr expression() {
    in.enter();
    Expr value = or();
    while (in.skipName("if")) {
      Expr test = or();
      value =
          in.skipName("else")
              ? new Expr.Conditional(test, value, expression())
              : new Expr.Conditional(test, value, null);
    }
    in.leave();
    return value;
  }

  /** Without a condition behind it: what a loop goes through. */
  Expr or() {
    Expr left = and();
    while (in.skipName("or")) {
      left = new Expr.Or(left, and());
    }
    return left;
  }

  private Expr and() {
    Expr left = not();
    while (in.skipName("and")) {
      left = new Expr.And(left, not());
    }
    return left;
  }

  private Expr not() {
    if (!in.peek().isName("not")) {
      return compared();
    }
    in.next();
    in.enter();
    Expr value = new Expr.Not(not());
    in.leave();
    return value;
  }

  private Expr compared() {
    Expr first = sum();
    List<String> operators = new ArrayList<>();
    List<Expr> others = new ArrayList<>();
    while (true) {
      Token next = in.peek();
      if (next.kind() == Token.Kind.OPERATOR && COMPARISONS.contains(next.text())) {
        operators.add(in.next().text());
      } else if (in.skipName("in")) {
        operators.add("in");
      } else if (next.isName("not") && in.peekSecond().isName("in")) {
        in.next();
        in.next();
        operators.add("not in");
      } else {
        return operators.isEmpty() ? first : new Expr.Compared(first, operators, others);
      }
      others.add(sum());
    }
  }

  private Expr sum() {
    Expr left = concat();
    while (in.peek().is("+") || in.peek().is("-")) {
      String operator = in.next().text();
      left = new Expr.Arithmetic(operator, left, concat());
    }
    return left;
  }

  private Expr concat() {
    Expr first = product();
    if (!in.peek().is("~")) {
      return first;
    }
    List<Expr> parts = new ArrayList<>(List.of(first));
    while (in.skip("~")) {
      parts.add(product());
    }
    return new Expr.Concat(parts);
  }

  private Expr product() {
    Expr left = power();
    while (in.peek().is("*") || in.peek().is("/") || in.peek().is("//") || in.peek().is("%")) {
      String operator = in.next().text();
      left = new Expr.Arithmetic(operator, left, power());
    }
    return left;
  }

  private Expr power() {
    Expr left = unary(true);
    while (in.skip("**")) {
      left = new Expr.Arithmetic("**", left, unary(true));
    }
    return left;
  }

  private Expr unary(boolean filters) {
    Expr value;
    if (in.peek().is("-") || in.peek().is("+")) {
      boolean negative = in.next().text().equals("-");
      in.enter();
      value = new Expr.Signed(negative, unary(false));
      in.leave();
    } else {
      value = postfix(primary());
    }
    return filters ? filtered(value) : value;
  }

  private Expr primary() {
    Token token = in.next();
    return switch (token.kind()) {
      case NAME ->
          switch (token.text()) {
            case "true", "True" -> new Expr.Literal(true);
            case "false", "False" -> new Expr.Literal(false);
            case "none", "None" -> new Expr.Literal(None.NONE);
            default -> new Expr.Name(token.text());
          };
      case STRING -> {
        StringBuilder whole = new StringBuilder(token.text());
        while (in.peek().kind() == Token.Kind.STRING) {
          whole.append(in.next().text());
        }
        yield new Expr.Literal(Text.of(whole.toString()));
      }
      case INTEGER -> new Expr.Literal(integer(token));
      case FLOAT -> new Expr.Literal(Double.parseDouble(token.text()));
      case OPERATOR ->
          switch (token.text()) {
            case "(" -> parentheses();
            case "[" -> new Expr.ListOf(items("]"));
            case "{" -> dict();
            default -> throw wrong(token);
          };
      case DATA, EXPRESSION, STATEMENT, END, EOF -> throw wrong(token);
    };
  }

  private static TemplateException wrong(Token token) {
    return new TemplateException(token.line(), "expected an expression, got " + token.described());
  }

  private static Long integer(Token token) {
    String digits = token.text();
    try {
      return switch (digits.length() < 2 ? ' ' : Character.toLowerCase(digits.charAt(1))) {
        case 'x' -> Long.parseLong(digits.substring(2), 16);
        case 'o' -> Long.parseLong(digits.substring(2), 8);
        case 'b' -> Long.parseLong(digits.substring(2), 2);
        default -> Long.parseLong(digits);
      };
    } catch (NumberFormatException e) {
      throw new TemplateException(token.line(), "the number " + digits + " is too large");
    }
  }

  private Expr parentheses() {
    if (in.skip(")")) {
      return new Expr.ListOf(List.of());
    }
    Expr value = expressions();
    in.expect(")");
    return value;
  }

  private List<Expr> items(String end) {
    List<Expr> items = new ArrayList<>();
    while (!in.skip(end)) {
      items.add(expression());
      if (!in.peek().is(end)) {
        in.expect(",");
      }
    }
    return items;
  }

  private Expr dict() {
    List<Expr> keys = new ArrayList<>();
    List<Expr> values = new ArrayList<>();
    while (!in.skip("}")) {
      keys.add(expression());
      in.expect(":");
      values.add(expression());
      if (!in.peek().is("}")) {
        in.expect(",");
      }
    }
    return new Expr.DictOf(keys, values);
  }

  private Expr postfix(Expr first) {
    Expr value = first;
    while (true) {
      int line = in.line();
      if (in.skip(".")) {
        Token name = in.next();
        value =
            switch (name.kind()) {
              case NAME -> new Expr.Attribute(value, name.text());
              case INTEGER -> new Expr.Item(value, new Expr.Literal(integer(name)));
              default ->
                  throw new TemplateException(
                      name.line(), "expected a name behind the dot, got " + name.described());
            };
      } else if (in.skip("[")) {
        value = subscript(value);
      } else if (in.skip("(")) {
        value = new Expr.Call(value, arguments(), line);
      } else {
        return value;
      }
    }
  }

  private Expr subscript(Expr of) {
    Expr from = in.peek().is(":") ? null : expression();
    if (in.skip("]")) {
      return new Expr.Item(of, java.util.Objects.requireNonNull(from));
    }
    in.expect(":");
    Expr to = in.peek().is(":") || in.peek().is("]") ? null : expression();
    Expr step = in.skip(":") && !in.peek().is("]") ? expression() : null;
    in.expect("]");
    return new Expr.Slice(of, from, to, step);
  }

  /** Behind the opening parenthesis. */
  private Expr.Arguments arguments() {
    List<Expr> positional = new ArrayList<>();
    Map<String, Expr> named = new LinkedHashMap<>();
    while (!in.skip(")")) {
      if (in.peek().is("*") || in.peek().is("**")) {
        throw new TemplateException(
            in.line(),
            "arguments from a list or a dictionary (" + in.peek().text() + ") are not supported");
      }
      if (in.peek().kind() == Token.Kind.NAME && in.peekSecond().is("=")) {
        String name = in.next().text();
        in.next();
        named.put(name, expression());
      } else if (named.isEmpty()) {
        positional.add(expression());
      } else {
        throw in.unexpected("a named argument behind a named one");
      }
      if (!in.peek().is(")")) {
        in.expect(",");
      }
    }
    return new Expr.Arguments(positional, named);
  }

  /** Filters and tests, from left to right, and calls of what they give. */
  Expr filtered(Expr first) {
    Expr value = first;
    while (true) {
      int line = in.line();
      if (in.skip("|")) {
        value = filter(value);
      } else if (in.skipName("is")) {
        value = test(value);
      } else if (in.skip("(")) {
        value = new Expr.Call(value, arguments(), line);
      } else {
        return value;
      }
    }
  }

  /** Behind the bar. */
  Expr filter(Expr value) {
    Token name = dotted("filter");
    Filters.Filter filter = Filters.ALL.get(name.text());
    if (filter == null) {
      throw new TemplateException(name.line(), "the filter '" + name.text() + "' is not supported");
    }
    Expr.Arguments arguments = in.skip("(") ? arguments() : Expr.Arguments.NONE;
    return new Expr.Filtered(value, name.text(), filter, arguments, name.line());
  }

  private Token dotted(String what) {
    return in.expect(Token.Kind.NAME, "the name of a " + what);
  }

  private Expr test(Expr value) {
    boolean negated = in.skipName("not");
    Token name = dotted("test");
    Tests.Test test = Tests.ALL.get(name.text());
    if (test == null) {
      throw new TemplateException(name.line(), "the test '" + name.text() + "' is not supported");
    }
    Expr.Arguments arguments = Expr.Arguments.NONE;
    if (in.skip("(")) {
      arguments = arguments();
    } else if (beginsArgument(in.peek())) {
      arguments = new Expr.Arguments(List.of(postfix(primary())), Map.of());
    }
    Expr tested = new Expr.Tested(value, name.text(), test, arguments, name.line());
    return negated ? new Expr.Not(tested) : tested;
  }

  private static boolean beginsArgument(Token token) {
    return switch (token.kind()) {
      case NAME -> !NO_ARGUMENT.contains(token.text());
      case STRING, INTEGER, FLOAT -> true;
      case OPERATOR -> token.is("[") || token.is("{");
      case DATA, EXPRESSION, STATEMENT, END, EOF -> false;
    };
  }
}
