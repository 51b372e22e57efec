package dev.javelin.train.tokenizer;

import dev.javelin.tensor.io.Json;
import dev.javelin.tensor.io.JsonObject;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.function.UnaryOperator;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/** The words that a vocabulary is learned from: cut as the tokenizer that is to come cuts them. */
final class TrainingWords {
  private TrainingWords() {}

  /**
   * How often each word occurs, in the order in which they are met.
   *
   * @param parts {@code normalizer} and {@code pre_tokenizer} as {@code tokenizer.json} has them
   * @throws IllegalArgumentException where there are none
   */
  static Map<String, long[]> count(Stream<String> texts, Map<String, @Nullable Object> parts) {
    JsonObject json =
        Json.parse(Path.of("tokenizer.json"), ByteBuffer.wrap(TokenizerJsonWriter.bytes(parts)));
    UnaryOperator<String> normalizer = Normalization.read(json, "normalizer");
    PreTokenization.Splitter splitter = PreTokenization.read(json, "pre_tokenizer").splitter();
    Map<String, long[]> words = new LinkedHashMap<>();
    texts.forEach(
        text ->
            splitter.split(
                normalizer.apply(text),
                true,
                (word, first) -> words.computeIfAbsent(word, k -> new long[1])[0]++));
    words.remove("");
    if (words.isEmpty()) {
      throw new IllegalArgumentException("a vocabulary needs a text, got none");
    }
    return words;
  }
}
