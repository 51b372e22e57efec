package dev.javelin.train.chat.jinja;

import java.util.List;

/** Tokens on their way through the parser. */
final class Tokens {
  private static final int DEEPEST = 100;

  private final List<Token> tokens;
  private int at;
  private int depth;

  Tokens(List<Token> tokens) {
    this.tokens = tokens;
  }

  Token peek() {
    return tokens.get(at);
  }

  Token peekSecond() {
    return tokens.get(Math.min(at + 1, tokens.size() - 1));
  }

  Token next() {
    Token token = tokens.get(at);
    at = Math.min(at + 1, tokens.size() - 1);
    return token;
  }

  int line() {
    return peek().line();
  }

  boolean skip(String operator) {
    if (peek().is(operator)) {
      next();
      return true;
    }
    return false;
  }

  boolean skipName(String name) {
    if (peek().isName(name)) {
      next();
      return true;
    }
    return false;
  }

  void expect(String operator) {
    if (!skip(operator)) {
      throw unexpected("'" + operator + "'");
    }
  }

  void expectName(String name) {
    if (!skipName(name)) {
      throw unexpected("'" + name + "'");
    }
  }

  Token expect(Token.Kind kind, String what) {
    if (peek().kind() != kind) {
      throw unexpected(what);
    }
    return next();
  }

  void end() {
    expect(Token.Kind.END, "the end of the tag");
  }

  TemplateException unexpected(String wanted) {
    return new TemplateException(line(), "expected " + wanted + ", got " + peek().described());
  }

  void enter() {
    if (++depth > DEEPEST) {
      throw new TemplateException(line(), "nests more than " + DEEPEST + " deep");
    }
  }

  void leave() {
    depth--;
  }
}
