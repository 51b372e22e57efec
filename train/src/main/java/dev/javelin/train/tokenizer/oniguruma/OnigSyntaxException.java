package dev.javelin.train.tokenizer.oniguruma;

/** A pattern that is none, or uses what is not supported; the message names it. */
public final class OnigSyntaxException extends IllegalArgumentException {
  private static final long serialVersionUID = 1;

  OnigSyntaxException(String what) {
    super(what);
  }
}
