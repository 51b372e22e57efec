package dev.javelin.train.tokenizer;

import java.util.Map;
import java.util.function.IntConsumer;

/** Cuts a word into tokens. Immutable but for caches, and shared by threads. */
sealed interface Model
    permits BpeModel, SentencePieceBpe, UnigramModel, WordPieceModel, WordLevelModel {

  /**
   * Hands the ids of {@code word} to {@code out}, in time linear in its length but for logarithms.
   *
   * @throws IllegalArgumentException for what the vocabulary cannot express
   */
  void encode(String word, IntConsumer out);

  /** What {@link #encode} throws for a character. */
  static IllegalArgumentException unknown(int codePoint, int vocabulary) {
    return new IllegalArgumentException(
        String.format(
            "character '%s' (U+%04X) is not in the vocabulary of %d tokens",
            Character.toString(codePoint), codePoint, vocabulary));
  }

  /** The name of byte {@code b} where bytes stand for unknown characters. */
  static String byteToken(int b) {
    return String.format("<0x%02X>", b);
  }

  /** The ids of all {@link #byteToken}s, -1 for one that is missing. */
  static int[] byteTokens(Map<String, Integer> vocabulary) {
    int[] ids = new int[256];
    for (int b = 0; b < 256; b++) {
      ids[b] = vocabulary.getOrDefault(byteToken(b), -1);
    }
    return ids;
  }
}
