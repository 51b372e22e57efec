package dev.javelin.train.data;

import dev.javelin.train.tokenizer.Tokenizer;
import java.util.function.IntConsumer;

/**
 * A document to learn from.
 *
 * @param source where it comes from, for messages: {@code docs.jsonl line 7}
 * @param text its characters
 */
public record TextDocument(String source, String text) {

  /** Hands the ids of the text to {@code out}. */
  void encode(Tokenizer tokenizer, IntConsumer out) {
    int half = unpaired();
    if (half >= 0) {
      throw new InputException(
          "%s: character %d is half of a surrogate pair: repair or remove the document"
              .formatted(source, half));
    }
    try {
      tokenizer.encode(text, out);
    } catch (IllegalArgumentException e) {
      throw new InputException(
          source + ": " + e.getMessage() + ": use --tokenizer byte or one made for such text", e);
    }
  }

  /** Where the first half of a surrogate pair stands without the other, or -1. */
  private int unpaired() {
    for (int i = 0; i < text.length(); i++) {
      if (Character.isSurrogate(text.charAt(i))) {
        if (i + 1 == text.length()
            || !Character.isSurrogatePair(text.charAt(i), text.charAt(i + 1))) {
          return i;
        }
        i++;
      }
    }
    return -1;
  }
}
