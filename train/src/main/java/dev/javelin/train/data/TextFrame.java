package dev.javelin.train.data;

import dev.javelin.train.tokenizer.Tokenizer;
import java.util.Arrays;

/**
 * What a tokenizer puts around a text, {@code [CLS] … [SEP]} for instance, so that a text can be
 * cut and still stands in it.
 *
 * @param before ids before the text
 * @param behind ids behind it
 */
public record TextFrame(int[] before, int[] behind) {
  private static final String PROBE = "a";

  /** That of a tokenizer, by what it makes of a letter; empty where that cannot be told. */
  public static TextFrame of(Tokenizer tokenizer) {
    int[] body;
    try {
      body = tokenizer.encode(PROBE);
    } catch (IllegalArgumentException e) { // a vocabulary of characters without it
      return new TextFrame(new int[0], new int[0]);
    }
    int[] whole = tokenizer.encodePrompt(PROBE);
    for (int from = 0; from + body.length <= whole.length; from++) {
      int to = from + body.length;
      if (Arrays.equals(Arrays.copyOfRange(whole, from, to), body)) {
        return new TextFrame(
            Arrays.copyOf(whole, from), Arrays.copyOfRange(whole, to, whole.length));
      }
    }
    return new TextFrame(new int[0], new int[0]);
  }

  /** How many ids it adds. */
  public int length() {
    return before.length + behind.length;
  }
}
