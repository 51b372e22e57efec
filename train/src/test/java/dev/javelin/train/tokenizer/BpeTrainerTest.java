package dev.javelin.train.tokenizer;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.JsonNode;
import dev.javelin.tensor.io.Json;
import dev.javelin.tensor.io.JsonObject;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

class BpeTrainerTest {
  private static final List<String> END = List.of("<|endoftext|>");

  private static List<String> merges(Tokenizer tokenizer) {
    JsonObject root =
        Json.parse(
            java.nio.file.Path.of("tokenizer.json"),
            java.nio.ByteBuffer.wrap(
                Objects.requireNonNull(tokenizer.files().get("tokenizer.json"))));
    List<String> merges = new ArrayList<>();
    for (Object merge : root.object("model").array("merges")) {
      List<?> pair = (List<?>) Objects.requireNonNull(merge);
      merges.add(pair.get(0) + " " + pair.get(1));
    }
    return merges;
  }

  @Test
  void learnsTheReferencesMerges() throws IOException {
    JsonNode expected = SharedFiles.json(SharedFiles.golden("bpe_training.json"));
    String text = SharedFiles.text("tinyshakespeare.txt").substring(0, 100_000);
    Tokenizer trained =
        BpeTrainer.train(Stream.of(text), expected.get("vocab_size").intValue(), END);
    List<String> merges = new ArrayList<>();
    expected
        .get("merges")
        .forEach(pair -> merges.add(pair.get(0).textValue() + " " + pair.get(1).textValue()));
    assertThat(merges(trained)).isEqualTo(merges);
    assertThat(trained.vocabSize()).isEqualTo(512);
    assertThat(trained.eos()).hasValue(0);
    for (JsonNode c : expected.get("encodings")) {
      String sample = c.get("text").textValue();
      assertThat(trained.encode(sample)).isEqualTo(SharedFiles.ids(c.get("ids")));
      assertThat(trained.decode(trained.encode(sample))).isEqualTo(sample);
    }
  }

  /** Recounts every pair before every merge. */
  private static List<String> plainMerges(List<String> texts, int merges) {
    List<List<Integer>> words = new ArrayList<>();
    Map<String, Integer> ids = new HashMap<>();
    List<String> names = new ArrayList<>();
    byte[] bytes = new byte[256];
    for (int b = 0; b < 256; b++) {
      bytes[b] = (byte) b;
    }
    ByteSymbols.of(bytes).chars().sorted().forEach(c -> names.add(String.valueOf((char) c)));
    names.forEach(name -> ids.put(name, ids.size()));
    for (String text : texts) {
      var matches = PreTokenization.GPT2.matches(text);
      while (matches.find()) {
        String symbols =
            ByteSymbols.of(
                text.substring(matches.start(), matches.end())
                    .getBytes(java.nio.charset.StandardCharsets.UTF_8));
        words.add(
            new ArrayList<>(
                symbols.chars().mapToObj(c -> ids.get(String.valueOf((char) c))).toList()));
      }
    }
    List<String> learned = new ArrayList<>();
    while (learned.size() < merges) {
      Map<List<Integer>, Integer> counts = new HashMap<>();
      for (List<Integer> word : words) {
        for (int i = 0; i + 1 < word.size(); i++) {
          counts.merge(List.copyOf(word.subList(i, i + 2)), 1, Integer::sum);
        }
      }
      var best =
          counts.entrySet().stream()
              .filter(e -> e.getValue() >= 2)
              .min(
                  Comparator.<Map.Entry<List<Integer>, Integer>>comparingInt(e -> -e.getValue())
                      .thenComparing(e -> e.getKey().get(0))
                      .thenComparing(e -> e.getKey().get(1)));
      if (best.isEmpty()) {
        return learned;
      }
      int left = best.get().getKey().get(0);
      int right = best.get().getKey().get(1);
      String joined = names.get(left) + names.get(right);
      learned.add(names.get(left) + " " + names.get(right));
      if (ids.putIfAbsent(joined, names.size()) == null) {
        names.add(joined);
      }
      for (List<Integer> word : words) {
        for (int i = 0; i + 1 < word.size(); i++) {
          if (word.get(i) == left && word.get(i + 1) == right) {
            word.set(i, ids.get(joined));
            word.remove(i + 1);
          }
        }
      }
    }
    return learned;
  }

  @Test
  void incrementalCountsEqualRecounting() {
    for (long seed = 1; seed <= 20; seed++) {
      Random random = new Random(seed);
      StringBuilder text = new StringBuilder();
      for (int i = 0; i < 400; i++) {
        text.append("aaabbcé ".charAt(random.nextInt(8)));
      }
      int vocabSize = 256 + 60;
      Tokenizer trained = BpeTrainer.train(Stream.of(text.toString()), vocabSize, List.of());
      List<String> learned = merges(trained);
      assertThat(learned)
          .as("seed " + seed)
          .isEqualTo(plainMerges(List.of(text.toString()), learned.size()));
    }
  }

  @Test
  void stopsWhereNoPairOccursTwice() {
    Tokenizer trained = BpeTrainer.train(Stream.of("ab ab"), 1000, List.of());
    assertThat(merges(trained)).containsExactly("a b");
    assertThat(trained.vocabSize()).isEqualTo(257);
  }

  @Test
  void refusesAVocabularyWithoutRoomForTheBytes() {
    assertThatThrownBy(() -> BpeTrainer.train(Stream.of("ab"), 256, END))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("at least 257");
    assertThatThrownBy(() -> BpeTrainer.train(Stream.of(""), 300, END))
        .hasMessageContaining("needs a text");
  }
}
