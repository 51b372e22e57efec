package dev.javelin.bench;

import dev.javelin.train.data.DefaultText;
import dev.javelin.train.data.TextDocument;
import dev.javelin.train.tokenizer.BpeTrainer;
import dev.javelin.train.tokenizer.ByteTokenizer;
import dev.javelin.train.tokenizer.Tokenizer;
import dev.javelin.train.tokenizer.UnigramTrainer;
import dev.javelin.train.tokenizer.WordPieceTrainer;
import java.util.List;
import java.util.stream.Stream;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Setup;

/**
 * 100,000 characters of English encoded by one thread, with vocabularies learnt from the same text.
 * Tokenizers keep words that they have seen, so this is the time of words that come again.
 */
public class TokenizerBenchmark extends Timed {
  private static final int CHARACTERS = 100_000;
  private static final int VOCABULARY = 2048;

  @Param({"byte", "bpe", "wordpiece", "unigram"})
  public String tokenizer;

  private int tokens;

  @Setup
  public void learn() {
    String text = text().substring(0, CHARACTERS);
    Stream<String> texts = text.lines();
    Tokenizer learnt =
        switch (tokenizer) {
          case "byte" -> new ByteTokenizer();
          case "bpe" -> BpeTrainer.train(texts, VOCABULARY, List.of());
          case "wordpiece" -> WordPieceTrainer.train(texts, VOCABULARY, true);
          case "unigram" -> UnigramTrainer.train(texts, VOCABULARY, List.of());
          default -> throw new IllegalArgumentException("no such tokenizer: " + tokenizer);
        };
    time(() -> learnt.encode(text, _ -> tokens++));
  }

  private static String text() {
    try (Stream<TextDocument> documents = DefaultText.load().documents()) {
      return documents.findFirst().orElseThrow().text();
    }
  }
}
