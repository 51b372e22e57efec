package dev.javelin.train.chat.jinja;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Cuts a template into tokens. White space around tags goes as transformers wants it: the line end
 * behind a statement or a comment, and the blanks that lead a line up to one, are no part of the
 * text; a minus takes all white space along, a plus leaves it.
 */
final class Lexer {
  private static final Pattern RAW_BEGIN = Pattern.compile("([-+]?)\\s*raw\\s*([-+]?)%}");
  private static final Pattern RAW_END = Pattern.compile("\\{%([-+]?)\\s*endraw\\s*([-+]?)%}");
  private static final Pattern NUMBER =
      Pattern.compile(
          "0[xX](?:_?[0-9a-fA-F])++|0[oO](?:_?[0-7])++|0[bB](?:_?[01])++"
              + "|\\d(?:_?\\d)*+(?:\\.\\d(?:_?\\d)*+)?(?:[eE][-+]?\\d(?:_?\\d)*+)?");
  private static final List<String> OPERATORS =
      List.of(
          "==", "!=", ">=", "<=", "//", "**", "+", "-", "*", "/", "%", "~", "(", ")", "[", "]", "{",
          "}", "<", ">", "=", ".", ":", "|", ",");

  private final String source;
  private final List<Token> tokens = new ArrayList<>();
  private int at;
  private int line = 1;
  private int counted;

  private Lexer(String source) {
    this.source = source;
  }

  static List<Token> tokens(String template) {
    String lines = template.replace("\r\n", "\n").replace('\r', '\n');
    Lexer lexer = new Lexer(lines.endsWith("\n") ? lines.substring(0, lines.length() - 1) : lines);
    lexer.run();
    return List.copyOf(lexer.tokens);
  }

  private int line(int position) {
    for (; counted < position; counted++) {
      line += source.charAt(counted) == '\n' ? 1 : 0;
    }
    return line;
  }

  private TemplateException error(String message) {
    return new TemplateException(line(Math.min(at, source.length())), message);
  }

  private void add(Token.Kind kind, String text, int position) {
    tokens.add(new Token(kind, text, line(position)));
  }

  private void run() {
    boolean lineStart = true;
    while (at < source.length()) {
      int begin = tag(at);
      if (begin < 0) {
        add(Token.Kind.DATA, source.substring(at), at);
        at = source.length();
        break;
      }
      char kind = source.charAt(begin + 1);
      char sign = begin + 2 < source.length() ? source.charAt(begin + 2) : ' ';
      int end = textEnd(at, begin, kind, sign, lineStart);
      if (end > at) {
        add(Token.Kind.DATA, source.substring(at, end), at);
      }
      at = begin + 2;
      switch (kind) {
        case '#' -> comment();
        case '%' -> {
          Matcher raw = RAW_BEGIN.matcher(source).region(at, source.length());
          if (raw.lookingAt()) {
            raw(raw);
          } else {
            tag(Token.Kind.STATEMENT, "%}", sign);
          }
        }
        default -> tag(Token.Kind.EXPRESSION, "}}", sign);
      }
      lineStart = source.charAt(at - 1) == '\n';
    }
    add(Token.Kind.EOF, "", source.length());
  }

  /** Where the next tag begins, or -1. */
  private int tag(int from) {
    for (int i = source.indexOf('{', from); i >= 0; i = source.indexOf('{', i + 1)) {
      if (i + 1 < source.length() && "{%#".indexOf(source.charAt(i + 1)) >= 0) {
        return i;
      }
    }
    return -1;
  }

  /** Where the text before a tag ends. */
  private int textEnd(int from, int begin, char kind, char sign, boolean lineStart) {
    int end = begin;
    if (sign == '-') {
      while (end > from && Strings.isSpace(source.charAt(end - 1))) {
        end--;
      }
    } else if (sign != '+' && kind != '{') {
      while (end > from
          && source.charAt(end - 1) != '\n'
          && Strings.isSpace(source.charAt(end - 1))) {
        end--;
      }
      boolean leads = end > from ? source.charAt(end - 1) == '\n' : lineStart;
      return leads ? end : begin;
    }
    return end;
  }

  /** Passes over a tag's last characters and the white space that goes with them. */
  private void closed(char sign, boolean trims) {
    if (sign == '-') {
      while (at < source.length() && Strings.isSpace(source.charAt(at))) {
        at++;
      }
    } else if (sign != '+' && trims && at < source.length() && source.charAt(at) == '\n') {
      at++;
    }
  }

  private void comment() {
    int end = source.indexOf("#}", at);
    if (end < 0) {
      throw error("a comment has no end");
    }
    char sign = end > at ? source.charAt(end - 1) : ' ';
    at = end + 2;
    closed(sign, true);
  }

  private void raw(Matcher begin) {
    at = begin.end();
    closed(begin.group(2).isEmpty() ? ' ' : begin.group(2).charAt(0), true);
    Matcher end = RAW_END.matcher(source);
    if (!end.find(at)) {
      throw error("'raw' has no 'endraw'");
    }
    char sign = end.group(1).isEmpty() ? ' ' : end.group(1).charAt(0);
    int textEnd = textEnd(at, end.start(), '%', sign, source.charAt(at - 1) == '\n');
    if (textEnd > at) {
      add(Token.Kind.DATA, source.substring(at, textEnd), at);
    }
    at = end.end();
    closed(end.group(2).isEmpty() ? ' ' : end.group(2).charAt(0), true);
  }

  private void tag(Token.Kind kind, String end, char sign) {
    add(kind, "", at);
    at += sign == '-' || sign == '+' ? 1 : 0;
    Deque<Character> open = new ArrayDeque<>();
    while (true) {
      while (at < source.length() && Strings.isSpace(source.charAt(at))) {
        at++;
      }
      if (at == source.length()) {
        throw error("a tag has no end: expected " + end);
      }
      if (open.isEmpty()) {
        char last = source.charAt(at);
        boolean signed = (last == '-' || last == '+') && source.startsWith(end, at + 1);
        if (signed || source.startsWith(end, at)) {
          add(Token.Kind.END, "", at);
          at += end.length() + (signed ? 1 : 0);
          closed(signed ? last : ' ', kind == Token.Kind.STATEMENT);
          return;
        }
      }
      token(open);
    }
  }

  private void token(Deque<Character> open) {
    char c = source.charAt(at);
    if (c == '\'' || c == '"') {
      string(c);
    } else if (c >= '0' && c <= '9') {
      number();
    } else if (Character.isUnicodeIdentifierStart(c) || c == '_') {
      int start = at;
      while (at < source.length() && Character.isUnicodeIdentifierPart(source.charAt(at))) {
        at++;
      }
      add(Token.Kind.NAME, source.substring(start, at), start);
    } else {
      String operator =
          OPERATORS.stream()
              .filter(o -> source.startsWith(o, at))
              .findFirst()
              .orElseThrow(
                  () ->
                      error(
                          "the character '"
                              + Character.toString(source.codePointAt(at))
                              + "' is not part of an expression"));
      switch (c) {
        case '(' -> open.push(')');
        case '[' -> open.push(']');
        case '{' -> open.push('}');
        case ')', ']', '}' -> {
          if (open.isEmpty() || open.pop() != c) {
            throw error("'" + c + "' closes nothing");
          }
        }
        default -> {}
      }
      add(Token.Kind.OPERATOR, operator, at);
      at += operator.length();
    }
  }

  private void number() {
    Matcher number = NUMBER.matcher(source).region(at, source.length());
    if (!number.lookingAt()) {
      throw error("a number is expected");
    }
    String digits = number.group().replace("_", "");
    boolean whole = digits.matches("0[xXoObB].*|\\d+");
    add(whole ? Token.Kind.INTEGER : Token.Kind.FLOAT, digits, at);
    at = number.end();
  }

  private void string(char quote) {
    int start = at++;
    StringBuilder value = new StringBuilder();
    while (at < source.length() && source.charAt(at) != quote) {
      char c = source.charAt(at++);
      if (c == '\\' && at < source.length()) {
        escape(value);
      } else {
        value.append(c);
      }
    }
    if (at >= source.length()) {
      at = start;
      throw error("a string has no end");
    }
    at++;
    add(Token.Kind.STRING, value.toString(), start);
  }

  /** As Python reads them. */
  private void escape(StringBuilder value) {
    char c = source.charAt(at++);
    switch (c) {
      case '\n' -> {}
      case 'n' -> value.append('\n');
      case 't' -> value.append('\t');
      case 'r' -> value.append('\r');
      case 'a' -> value.append('\u0007');
      case 'b' -> value.append('\b');
      case 'f' -> value.append('\f');
      case 'v' -> value.append('\u000B');
      case '\\', '\'', '"' -> value.append(c);
      case 'x' -> value.appendCodePoint(code(2, 16));
      case 'u' -> value.appendCodePoint(code(4, 16));
      case 'U' -> value.appendCodePoint(code(8, 16));
      case '0', '1', '2', '3', '4', '5', '6', '7' -> {
        int end = --at;
        while (end < source.length()
            && end < at + 3
            && "01234567".indexOf(source.charAt(end)) >= 0) {
          end++;
        }
        value.appendCodePoint(code(end - at, 8));
      }
      default -> value.append('\\').append(c);
    }
  }

  private int code(int digits, int radix) {
    int code = 0;
    for (int i = 0; i < digits; i++, at++) {
      int digit = at < source.length() ? Character.digit(source.charAt(at), radix) : -1;
      if (digit < 0 || code > Character.MAX_CODE_POINT / radix) {
        throw error("an escape in a string is not whole");
      }
      code = code * radix + digit;
    }
    if (code > Character.MAX_CODE_POINT || Character.getType(code) == Character.SURROGATE) {
      throw error("an escape in a string is no character");
    }
    return code;
  }
}
