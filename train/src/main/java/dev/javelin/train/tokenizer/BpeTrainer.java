package dev.javelin.train.tokenizer;

import java.nio.charset.StandardCharsets;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SequencedMap;
import java.util.stream.Stream;

/**
 * Learns a byte-level vocabulary: cut the texts into GPT-2's words, then again and again make a
 * token of the most frequent pair of neighbours; of equals, of the pair with the smaller (left id,
 * right id). Ids: special tokens, the 256 byte symbols by their character, then one per merge. The
 * result equals that of Hugging Face's {@code BpeTrainer} with {@code min_frequency = 2}.
 *
 * @see <a href="https://arxiv.org/abs/1508.07909">Sennrich, Haddow, Birch 2016</a>
 */
public final class BpeTrainer {
  private static final long MIN_FREQUENCY = 2;

  private BpeTrainer() {}

  /**
   * A tokenizer of at most {@code vocabSize} tokens; fewer where no pair is left that occurs twice.
   *
   * @param specials special tokens, ids from 0; the first ends a text
   * @throws IllegalArgumentException where {@code vocabSize} has no room for the bytes and
   *     specials, or the texts are empty
   */
  public static Tokenizer train(Stream<String> texts, int vocabSize, List<String> specials) {
    if (vocabSize < 256 + specials.size()) {
      throw new IllegalArgumentException(
          "vocabulary size must be at least "
              + (256 + specials.size())
              + " (256 bytes and "
              + specials.size()
              + " special tokens), got "
              + vocabSize);
    }
    Map<String, long[]> words = new LinkedHashMap<>();
    var splitter = PreTokenization.words(PreTokenization.GPT2);
    texts.forEach(
        text ->
            splitter.split(
                text, true, (word, first) -> words.computeIfAbsent(word, k -> new long[1])[0]++));
    if (words.isEmpty()) {
      throw new IllegalArgumentException("a vocabulary needs a text, got none");
    }
    MergeLearner learner = new MergeLearner(MIN_FREQUENCY, String::concat);
    specials.forEach(learner::token);
    byte[] bytes = new byte[256];
    for (int b = 0; b < 256; b++) {
      bytes[b] = (byte) b;
    }
    ByteSymbols.of(bytes).chars().sorted().forEach(c -> learner.token(symbol(c)));
    int[][] cut =
        words.keySet().stream()
            .map(
                word ->
                    ByteSymbols.of(word.getBytes(StandardCharsets.UTF_8))
                        .chars()
                        .map(c -> learner.id(symbol(c)))
                        .toArray())
            .toArray(int[][]::new);
    learner.learn(cut, words.values().stream().mapToLong(n -> n[0]).toArray(), vocabSize);
    return tokenizer(learner, specials);
  }

  private static String symbol(int c) {
    return String.valueOf((char) c);
  }

  private static Tokenizer tokenizer(MergeLearner learner, List<String> specials) {
    SequencedMap<String, Integer> vocabulary = new LinkedHashMap<>();
    SequencedMap<String, Integer> special = new LinkedHashMap<>();
    learner.tokens().forEach(token -> vocabulary.put(token, vocabulary.size()));
    specials.forEach(name -> special.put(name, vocabulary.get(name)));
    return TokenizerFiles.parse(
        TokenizerJsonWriter.byteLevel(vocabulary, learner.merges(), special, true));
  }
}
