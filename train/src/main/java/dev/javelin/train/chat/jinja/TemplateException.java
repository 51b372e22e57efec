package dev.javelin.train.chat.jinja;

/** A template that cannot be read, or not be rendered with what it was given. */
public final class TemplateException extends RuntimeException {
  private final int line;

  TemplateException(int line, String message) {
    super(message);
    this.line = line;
  }

  /** In the template, from 1; 0 where it is not known. */
  public int line() {
    return line;
  }

  /** The same where the line is known. */
  TemplateException at(int known) {
    return line > 0 ? this : new TemplateException(known, String.valueOf(getMessage()));
  }
}
