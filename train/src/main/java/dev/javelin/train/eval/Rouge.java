package dev.javelin.train.eval;

import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.stream.Stream;

/**
 * ROUGE of one text against its reference, as the package rouge_score computes it without stemming:
 * words are runs of a to z and digits of the text in lower case.
 *
 * @param precision matched, of the text's
 * @param recall matched, of the reference's
 * @see <a href="https://aclanthology.org/W04-1013">Lin 2004</a>
 */
public record Rouge(double precision, double recall) {

  /** {@code 2·P·R / (P + R)}; 0 where both are. */
  public double f1() {
    double sum = precision + recall;
    return sum == 0 ? 0 : 2 * precision * recall / sum;
  }

  /** ROUGE-N: runs of n words. */
  public static Rouge n(int n, String text, String reference) {
    Map<List<String>, Integer> got = grams(words(text), n);
    Map<List<String>, Integer> wanted = grams(words(reference), n);
    long matched = 0;
    for (Map.Entry<List<String>, Integer> gram : got.entrySet()) {
      matched += Math.min(gram.getValue(), wanted.getOrDefault(gram.getKey(), 0));
    }
    return of(matched, sum(got), sum(wanted));
  }

  /** ROUGE-L: the longest common subsequence of words. */
  public static Rouge longest(String text, String reference) {
    List<String> got = words(text);
    List<String> wanted = words(reference);
    int[] best = new int[wanted.size() + 1];
    for (String word : got) {
      int diagonal = 0;
      for (int j = 1; j < best.length; j++) {
        int above = best[j];
        best[j] = word.equals(wanted.get(j - 1)) ? diagonal + 1 : Math.max(above, best[j - 1]);
        diagonal = above;
      }
    }
    return of(best[best.length - 1], got.size(), wanted.size());
  }

  private static Rouge of(double matched, double got, double wanted) {
    return new Rouge(matched / Math.max(1, got), matched / Math.max(1, wanted));
  }

  private static long sum(Map<List<String>, Integer> grams) {
    return grams.values().stream().mapToLong(n -> n).sum();
  }

  private static List<String> words(String text) {
    return Stream.of(text.toLowerCase(Locale.ROOT).split("[^a-z0-9]+"))
        .filter(word -> !word.isEmpty())
        .toList();
  }

  private static Map<List<String>, Integer> grams(List<String> words, int n) {
    Map<List<String>, Integer> grams = new HashMap<>();
    for (int i = 0; i + n <= words.size(); i++) {
      grams.merge(words.subList(i, i + n), 1, Integer::sum);
    }
    return grams;
  }

  /** The mean F1 of several texts, in percent. */
  static double mean(List<Rouge> scores) {
    return 100
        * Arrays.stream(scores.stream().mapToDouble(Rouge::f1).toArray()).average().orElse(0);
  }
}
