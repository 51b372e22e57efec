package dev.javelin.train.eval;

import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.regex.Pattern;

/**
 * BLEU of a corpus as sacrebleu computes it where nothing is said: the tokenisation 13a, n-grams up
 * to 4, one reference each, exponential smoothing.
 *
 * <pre>{@code
 * BLEU = bp · exp(¼ Σ ln pₙ),   pₙ = matched n-grams / n-grams of all hypotheses
 * bp   = min(1, exp(1 − reference length / hypothesis length))
 * }</pre>
 *
 * <p>The k-th precision without a match becomes {@code 1 / (2ᵏ · n-grams)}.
 *
 * @param score 0 to 100
 * @param precisions of 1- to 4-grams, in percent
 * @param brevityPenalty bp
 * @param length words of all hypotheses
 * @param referenceLength words of all references
 * @see <a href="https://aclanthology.org/P02-1040">Papineni et al. 2002</a>
 * @see <a href="https://aclanthology.org/W18-6319">Post 2018</a>
 */
public record Bleu(
    double score,
    List<Double> precisions,
    double brevityPenalty,
    long length,
    long referenceLength) {
  private static final int ORDER = 4;

  /** Of a text without outer rules of its own: punctuation and symbols stand alone. */
  private static final Pattern SYMBOL = Pattern.compile("([{-~\\[-` -&(-+:-@/])");

  private static final Pattern MARK_BEHIND_NO_DIGIT = Pattern.compile("([^0-9])([.,])");
  private static final Pattern MARK_BEFORE_NO_DIGIT = Pattern.compile("([.,])([^0-9])");
  private static final Pattern DASH_BEHIND_DIGIT = Pattern.compile("([0-9])(-)");

  /**
   * The score of texts against one reference each.
   *
   * @throws IllegalArgumentException where there are none, or not as many references
   */
  public static Bleu of(List<String> hypotheses, List<String> references) {
    TextScores.requirePairs(hypotheses, references);
    long[] matched = new long[ORDER];
    long[] all = new long[ORDER];
    long length = 0;
    long referenceLength = 0;
    for (int i = 0; i < hypotheses.size(); i++) {
      List<String> words = tokens(hypotheses.get(i));
      List<String> reference = tokens(references.get(i));
      length += words.size();
      referenceLength += reference.size();
      for (int n = 1; n <= ORDER; n++) {
        Map<List<String>, Integer> there = grams(reference, n);
        for (Map.Entry<List<String>, Integer> gram : grams(words, n).entrySet()) {
          all[n - 1] += gram.getValue();
          matched[n - 1] += Math.min(gram.getValue(), there.getOrDefault(gram.getKey(), 0));
        }
      }
    }
    return of(matched, all, length, referenceLength);
  }

  private static Bleu of(long[] matched, long[] all, long length, long referenceLength) {
    Double[] precisions = {0.0, 0.0, 0.0, 0.0};
    double penalty =
        length >= referenceLength
            ? 1
            : length == 0 ? 0 : Math.exp(1 - (double) referenceLength / length);
    double logs = 0;
    double smoothing = 1;
    boolean any = matched[0] > 0; // a longer match holds shorter ones
    for (int n = 0; any && n < ORDER && all[n] > 0; n++) {
      if (matched[n] == 0) {
        smoothing *= 2;
        precisions[n] = 100 / (smoothing * all[n]);
      } else {
        precisions[n] = 100.0 * matched[n] / all[n];
      }
    }
    for (double p : precisions) {
      logs += Math.log(p);
    }
    double score = any ? penalty * Math.exp(logs / ORDER) : 0;
    return new Bleu(score, List.of(precisions), penalty, length, referenceLength);
  }

  /** The words of a text by the rules called 13a, those of the mteval-v13a script. */
  static List<String> tokens(String text) {
    String line =
        text.stripTrailing()
            .replace("<skipped>", "")
            .replace("-\n", "")
            .replace('\n', ' ')
            .replace("&quot;", "\"")
            .replace("&amp;", "&")
            .replace("&lt;", "<")
            .replace("&gt;", ">");
    line = SYMBOL.matcher(" " + line + " ").replaceAll(" $1 ");
    line = MARK_BEHIND_NO_DIGIT.matcher(line).replaceAll("$1 $2 ");
    line = MARK_BEFORE_NO_DIGIT.matcher(line).replaceAll(" $1 $2");
    line = DASH_BEHIND_DIGIT.matcher(line).replaceAll("$1 $2 ");
    return TextScores.words(line);
  }

  private static Map<List<String>, Integer> grams(List<String> words, int n) {
    Map<List<String>, Integer> grams = new HashMap<>();
    for (int i = 0; i + n <= words.size(); i++) {
      grams.merge(words.subList(i, i + n), 1, Integer::sum);
    }
    return grams;
  }

  @Override
  public String toString() {
    return String.format(
        Locale.ROOT,
        "BLEU %.2f (%.1f/%.1f/%.1f/%.1f, brevity penalty %.3f, %d words for %d)",
        score,
        precisions.get(0),
        precisions.get(1),
        precisions.get(2),
        precisions.get(3),
        brevityPenalty,
        length,
        referenceLength);
  }
}
