package dev.javelin.train.eval;

import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * chrF2 of a corpus as sacrebleu computes it where nothing is said: n-grams of 1 to 6 characters
 * without white space, recall twice as heavy as precision, one reference each. Precision and recall
 * are means over the lengths n that both texts have.
 *
 * <pre>{@code chrF2 = 100 · 5·P·R / (4·P + R)}</pre>
 *
 * @see <a href="https://aclanthology.org/W15-3049">Popović 2015</a>
 */
public final class Chrf {
  private static final int ORDER = 6;
  private static final double BETA_SQUARED = 4;

  private Chrf() {}

  /**
   * The score of texts against one reference each, 0 to 100.
   *
   * @throws IllegalArgumentException where there are none, or not as many references
   */
  public static double of(List<String> hypotheses, List<String> references) {
    TextScores.requirePairs(hypotheses, references);
    long[] matched = new long[ORDER];
    long[] all = new long[ORDER];
    long[] wanted = new long[ORDER];
    for (int i = 0; i < hypotheses.size(); i++) {
      int[] text = characters(hypotheses.get(i));
      int[] reference = characters(references.get(i));
      for (int n = 1; n <= ORDER; n++) {
        if (reference.length < n) {
          continue; // then the text's n-grams do not count either
        }
        Map<String, Integer> there = grams(reference, n);
        for (Map.Entry<String, Integer> gram : grams(text, n).entrySet()) {
          matched[n - 1] += Math.min(gram.getValue(), there.getOrDefault(gram.getKey(), 0));
        }
        all[n - 1] += Math.max(0, text.length - n + 1);
        wanted[n - 1] += reference.length - n + 1;
      }
    }
    double precision = 0;
    double recall = 0;
    int orders = 0;
    for (int n = 0; n < ORDER; n++) {
      if (all[n] > 0 && wanted[n] > 0) {
        precision += (double) matched[n] / all[n];
        recall += (double) matched[n] / wanted[n];
        orders++;
      }
    }
    if (precision + recall == 0) {
      return 0;
    }
    precision /= orders;
    recall /= orders;
    return 100 * (1 + BETA_SQUARED) * precision * recall / (BETA_SQUARED * precision + recall);
  }

  private static int[] characters(String text) {
    return String.join("", TextScores.words(text)).codePoints().toArray();
  }

  private static Map<String, Integer> grams(int[] characters, int n) {
    Map<String, Integer> grams = new HashMap<>();
    for (int i = 0; i + n <= characters.length; i++) {
      grams.merge(new String(characters, i, n), 1, Integer::sum);
    }
    return grams;
  }
}
