package dev.javelin.train.tokenizer;

import java.util.Map;
import java.util.function.IntConsumer;

/**
 * A word is one token.
 *
 * @param unknown for a word that is none, or -1
 */
record WordLevelModel(Map<String, Integer> vocabulary, int unknown) implements Model {
  @Override
  public void encode(String word, IntConsumer out) {
    if (!word.isEmpty()) {
      int id = vocabulary.getOrDefault(word, unknown);
      if (id < 0) {
        throw Model.unknown(word.codePointAt(0), vocabulary.size());
      }
      out.accept(id);
    }
  }
}
