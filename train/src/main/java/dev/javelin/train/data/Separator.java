package dev.javelin.train.data;

import dev.javelin.train.tokenizer.Tokenizer;
import java.util.OptionalInt;
import java.util.function.IntConsumer;

/**
 * What ends a document that stands among others: a token, or a newline where the document has none
 * at its end. It is decided once, when a run first reads its data, and is part of what a checkpoint
 * saves: the tokenizer that a checkpoint brings may know an end token that the first one did not.
 *
 * @param token the id, empty for a newline
 */
public record Separator(OptionalInt token) {
  /** A newline, unless the document ends with one. */
  public static final Separator NEWLINE = new Separator(OptionalInt.empty());

  private static final String NEWLINE_TEXT = "newline";
  private static final String TOKEN_TEXT = "token ";

  public Separator {
    if (token.isPresent() && token.getAsInt() < 0) {
      throw new IllegalArgumentException("a separator must be 0 or more, got " + token);
    }
  }

  /** The token {@code id}. */
  public static Separator token(int id) {
    return new Separator(OptionalInt.of(id));
  }

  /** What a tokenizer suggests: its end-of-text token, or a newline where it has none. */
  public static Separator of(Tokenizer tokenizer) {
    return new Separator(tokenizer.eos());
  }

  /**
   * Reads {@link #toString}'s form.
   *
   * @throws IllegalArgumentException for anything else
   */
  public static Separator parse(String text) {
    if (text.equals(NEWLINE_TEXT)) {
      return NEWLINE;
    }
    if (text.matches(TOKEN_TEXT + "\\d{1,9}")) {
      return token(Integer.parseInt(text.substring(TOKEN_TEXT.length())));
    }
    throw new IllegalArgumentException(
        "a separator must be \"newline\" or \"token ID\", got \"" + text + "\"");
  }

  /** Hands to {@code out} what follows {@code document}. */
  void end(String document, Tokenizer tokenizer, IntConsumer out) {
    if (token.isPresent()) {
      out.accept(token.getAsInt());
    } else if (!document.endsWith("\n")) {
      tokenizer.encode("\n", out);
    }
  }

  /** {@code newline} or {@code token 50256}: the form in files. */
  @Override
  public String toString() {
    return token.isPresent() ? TOKEN_TEXT + token.getAsInt() : NEWLINE_TEXT;
  }
}
