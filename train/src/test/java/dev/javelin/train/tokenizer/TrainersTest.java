package dev.javelin.train.tokenizer;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

class TrainersTest {
  private static final List<String> TEXT =
      List.of(
          "the cat sat on the mat and the cat ate",
          "the other cats sat together on other mats",
          "there is a theatre near the lake, isn't there?");

  /** Learned again by counting everything anew for each token. */
  @Test
  void wordPieceJoinsTheMostFrequentPair() {
    Tokenizer tokenizer = WordPieceTrainer.train(TEXT.stream(), 62, true);
    List<List<String>> words = new ArrayList<>();
    for (String text : TEXT) {
      for (String word : text.split(" |(?=[,'?])|(?<=')")) {
        List<String> symbols = new ArrayList<>();
        for (int i = 0; i < word.length(); i++) {
          symbols.add((i > 0 ? "##" : "") + word.charAt(i));
        }
        words.add(symbols);
      }
    }
    List<String> vocabulary =
        new ArrayList<>(List.of("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"));
    String.join("", TEXT)
        .chars()
        .filter(c -> c != ' ')
        .distinct()
        .sorted()
        .forEach(c -> vocabulary.add(String.valueOf((char) c)));
    words.stream()
        .flatMap(List::stream)
        .filter(t -> t.startsWith("##"))
        .distinct()
        .sorted()
        .forEach(vocabulary::add);
    while (vocabulary.size() < 62) {
      Map<List<Integer>, Integer> counts = new HashMap<>();
      for (List<String> w : words) {
        for (int i = 0; i + 1 < w.size(); i++) {
          counts.merge(
              List.of(vocabulary.indexOf(w.get(i)), vocabulary.indexOf(w.get(i + 1))),
              1,
              Integer::sum);
        }
      }
      List<Integer> best =
          counts.entrySet().stream()
              .min(
                  Map.Entry.<List<Integer>, Integer>comparingByValue()
                      .reversed()
                      .thenComparing(e -> e.getKey().get(0))
                      .thenComparing(e -> e.getKey().get(1)))
              .orElseThrow()
              .getKey();
      String left = vocabulary.get(best.get(0));
      String right = vocabulary.get(best.get(1));
      String joined = left + right.substring(2);
      vocabulary.add(joined);
      for (List<String> w : words) {
        for (int i = 0; i + 1 < w.size(); i++) {
          if (w.get(i).equals(left) && w.get(i + 1).equals(right)) {
            w.set(i, joined);
            w.remove(i + 1);
          }
        }
      }
    }
    assertThat(vocabulary.stream().distinct().toList()).isEqualTo(vocabulary);
    assertThat(tokenizer.vocabSize()).isEqualTo(62);
    assertThat(IntStream.range(0, 62).mapToObj(i -> name(tokenizer, i)).toList())
        .isEqualTo(vocabulary);
  }

  private static String name(Tokenizer tokenizer, int id) {
    String json = new String(file(tokenizer), java.nio.charset.StandardCharsets.UTF_8);
    var found =
        java.util.regex.Pattern.compile("\"((?:[^\"\\\\]|\\\\.)*)\": " + id + ",?\\s*\\n")
            .matcher(json.substring(json.indexOf("\"vocab\"")));
    assertThat(found.find()).isTrue();
    return found.group(1);
  }

  private static byte[] file(Tokenizer tokenizer) {
    return java.util.Objects.requireNonNull(tokenizer.files().get("tokenizer.json"));
  }

  @Test
  void wordPieceIsReadAsBertReadsIt() {
    Tokenizer tokenizer = WordPieceTrainer.train(TEXT.stream(), 62, true);
    assertThat(tokenizer.decode(tokenizer.encode("The CÂT sat."), false))
        .isEqualTo("the cat sat [UNK]");
    int[] prompt = tokenizer.encodePrompt("the cat");
    assertThat(prompt[0]).isEqualTo(2);
    assertThat(prompt[prompt.length - 1]).isEqualTo(3);
  }

  /** Expected counts and likelihoods by writing out all cuts of every word. */
  @Test
  void unigramFindsTheLikeliestCutAndKeepsFewPieces() {
    Map<String, long[]> words = new LinkedHashMap<>();
    for (String text : TEXT) {
      for (String word : text.split("(?= )")) {
        words.computeIfAbsent(word.replace(' ', '▁'), k -> new long[1])[0]++;
      }
    }
    List<UnigramLearner.Piece> pieces = UnigramLearner.learn(words, Set.of(), 40);
    assertThat(pieces).hasSizeLessThanOrEqualTo(40);
    Map<String, Double> scores =
        pieces.stream()
            .collect(Collectors.toMap(UnigramLearner.Piece::text, UnigramLearner.Piece::score));
    String all = String.join("", words.keySet());
    assertThat(scores.keySet())
        .containsAll(all.codePoints().mapToObj(Character::toString).toList());
    assertThat(scores).containsKey("▁the");
    double sum = scores.values().stream().mapToDouble(Math::exp).sum();
    assertThat(sum).isBetween(0.5, 1.0); // digamma takes from each, and the last cut from the whole
    Tokenizer tokenizer =
        UnigramTrainer.train(TEXT.stream(), 160 + 256 + 2, List.of("<|endoftext|>"));
    for (String text : TEXT) {
      int[] ids = tokenizer.encode(text);
      assertThat(tokenizer.decode(ids)).isEqualTo(text);
      assertThat(ids.length).isLessThan(text.length() * 2 / 3);
    }
    assertThat(tokenizer.decode(tokenizer.encode("<|endoftext|><0x41>")))
        .isEqualTo("<|endoftext|><0x41>");
    assertThat(tokenizer.encode("<|endoftext|><0x41>").length).isGreaterThanOrEqualTo(15);
    assertThat(tokenizer.eos()).hasValue(0);
  }

  @Test
  void expectedCountsAreThoseOfAllCuts() {
    List<UnigramLearner.Piece> pieces =
        List.of(
            new UnigramLearner.Piece("a", Math.log(0.2)),
            new UnigramLearner.Piece("b", Math.log(0.3)),
            new UnigramLearner.Piece("ab", Math.log(0.4)),
            new UnigramLearner.Piece("ba", Math.log(0.1)));
    Map<String, long[]> words = new LinkedHashMap<>();
    words.put("abab", new long[] {3});
    words.put("baab", new long[] {2});
    double[] expected = new double[4];
    words.forEach(
        (word, count) -> {
          List<List<Integer>> cuts = new ArrayList<>();
          cut(word, pieces, new ArrayList<>(), cuts);
          double all = cuts.stream().mapToDouble(c -> probability(c, pieces)).sum();
          for (List<Integer> c : cuts) {
            c.forEach(id -> expected[id] += count[0] * probability(c, pieces) / all);
          }
        });
    double[] found = UnigramLearner.expected(pieces, words);
    for (int i = 0; i < 4; i++) {
      assertThat(found[i]).isCloseTo(expected[i], within(1e-12));
    }
  }

  private static double probability(List<Integer> cut, List<UnigramLearner.Piece> pieces) {
    return cut.stream()
        .mapToDouble(id -> Math.exp(pieces.get(id).score()))
        .reduce(1, (x, y) -> x * y);
  }

  private static void cut(
      String rest,
      List<UnigramLearner.Piece> pieces,
      List<Integer> before,
      List<List<Integer>> cuts) {
    if (rest.isEmpty()) {
      cuts.add(before);
    }
    for (int i = 0; i < pieces.size(); i++) {
      String text = pieces.get(i).text();
      if (rest.startsWith(text)) {
        List<Integer> longer = new ArrayList<>(before);
        longer.add(i);
        cut(rest.substring(text.length()), pieces, longer, cuts);
      }
    }
  }

  @Test
  void digammaIsTheDerivativeOfLogGamma() {
    assertThat(UnigramLearner.digamma(1)).isCloseTo(-0.5772156649015329, within(1e-9));
    assertThat(UnigramLearner.digamma(0.5))
        .isCloseTo(-0.5772156649015329 - 2 * Math.log(2), within(1e-9));
    assertThat(UnigramLearner.digamma(10.5) - UnigramLearner.digamma(9.5))
        .isCloseTo(1 / 9.5, within(1e-9));
  }

  @Test
  void everyTextComesBackFromUnigram() {
    Tokenizer tokenizer = UnigramTrainer.train(TEXT.stream(), 400, List.of("<|endoftext|>"));
    Random random = new Random(3);
    for (int i = 0; i < 300; i++) {
      String text =
          random
              .ints(random.nextInt(30), 0, 0x11000)
              .filter(c -> c < 0xd800 || c > 0xdfff)
              .filter(c -> c != '▁')
              .map(c -> random.nextInt(3) > 0 ? "the cat\n ".charAt(c % 9) : c)
              .mapToObj(Character::toString)
              .collect(Collectors.joining());
      assertThat(tokenizer.decode(tokenizer.encode(text))).isEqualTo(text);
    }
  }

  @Test
  void theSameTextsGiveTheSameVocabulary() {
    byte[] first = file(UnigramTrainer.train(TEXT.stream(), 410, List.of("<s>")));
    assertThat(Arrays.equals(first, file(UnigramTrainer.train(TEXT.stream(), 410, List.of("<s>")))))
        .isTrue();
  }

  @Test
  void tooSmallAVocabularyIsRefused() {
    assertThatThrownBy(() -> WordPieceTrainer.train(TEXT.stream(), 20, false))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("characters, first and following ones apart");
    assertThatThrownBy(() -> UnigramTrainer.train(TEXT.stream(), 320, List.of()))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("which has room for 63");
    assertThatThrownBy(() -> UnigramTrainer.train(Stream.of(""), 500, List.of()))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("needs a text");
  }
}
