package dev.javelin.train.chat.jinja;

/**
 * A piece of a template.
 *
 * @param text of a string what it means, of everything else how it is written
 * @param line where it begins, from 1
 */
record Token(Kind kind, String text, int line) {
  enum Kind {
    DATA,
    EXPRESSION,
    STATEMENT,
    /** Of an expression or a statement. */
    END,
    NAME,
    STRING,
    INTEGER,
    FLOAT,
    OPERATOR,
    /** Of the template. */
    EOF
  }

  boolean is(String operator) {
    return kind == Kind.OPERATOR && text.equals(operator);
  }

  boolean isName(String name) {
    return kind == Kind.NAME && text.equals(name);
  }

  String described() {
    return switch (kind) {
      case END -> "the end of the tag";
      case EOF -> "the end of the template";
      case DATA -> "text";
      case EXPRESSION, STATEMENT -> "a tag";
      case STRING -> "a string";
      case NAME, INTEGER, FLOAT, OPERATOR -> "'" + text + "'";
    };
  }
}
