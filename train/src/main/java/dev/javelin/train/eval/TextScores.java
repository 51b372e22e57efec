package dev.javelin.train.eval;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SequencedMap;
import java.util.function.ToDoubleBiFunction;
import java.util.stream.Stream;

/**
 * Scores of generated texts against references, by name; all in percent.
 *
 * <p>{@code exact} is the part of texts that equal their reference but for white space at the ends.
 */
public final class TextScores {
  private static final SequencedMap<String, ToDoubleBiFunction<List<String>, List<String>>> ALL =
      new LinkedHashMap<>();

  static {
    ALL.put("exact", TextScores::exact);
    ALL.put("bleu", (texts, references) -> Bleu.of(texts, references).score());
    ALL.put("chrf", Chrf::of);
    ALL.put("rouge1", (texts, references) -> rouge(1, texts, references));
    ALL.put("rouge2", (texts, references) -> rouge(2, texts, references));
    ALL.put("rougeL", (texts, references) -> rouge(0, texts, references));
  }

  private TextScores() {}

  /** The names of all scores. */
  public static List<String> names() {
    return List.copyOf(ALL.keySet());
  }

  /**
   * Some scores, in the order in which they are named; {@code rouge} stands for its three.
   *
   * @throws IllegalArgumentException for a name that is none, and for texts without references
   */
  public static SequencedMap<String, Double> of(
      List<String> names, List<String> texts, List<String> references) {
    requirePairs(texts, references);
    SequencedMap<String, Double> scores = new LinkedHashMap<>();
    for (String name : names) {
      List<String> each =
          name.equals("rouge") ? List.of("rouge1", "rouge2", "rougeL") : List.of(name);
      for (String one : each) {
        ToDoubleBiFunction<List<String>, List<String>> score = ALL.get(one);
        if (score == null) {
          throw new IllegalArgumentException(
              "there is no score %s: choose of %s, rouge"
                  .formatted(name, String.join(", ", ALL.keySet())));
        }
        scores.put(one, score.applyAsDouble(texts, references));
      }
    }
    return scores;
  }

  /** The part of texts that equal their reference, white space at the ends left out. */
  public static double exact(List<String> texts, List<String> references) {
    requirePairs(texts, references);
    int equal = 0;
    for (int i = 0; i < texts.size(); i++) {
      equal += texts.get(i).strip().equals(references.get(i).strip()) ? 1 : 0;
    }
    return 100.0 * equal / texts.size();
  }

  /** n = 0 for the longest common subsequence. */
  private static double rouge(int n, List<String> texts, List<String> references) {
    List<Rouge> scores = new ArrayList<>();
    for (int i = 0; i < texts.size(); i++) {
      String text = texts.get(i);
      String reference = references.get(i);
      scores.add(n == 0 ? Rouge.longest(text, reference) : Rouge.n(n, text, reference));
    }
    return Rouge.mean(scores);
  }

  static void requirePairs(List<String> texts, List<String> references) {
    if (texts.isEmpty() || texts.size() != references.size()) {
      throw new IllegalArgumentException(
          "%d texts need as many references, at least one, got %d"
              .formatted(texts.size(), references.size()));
    }
  }

  /** What stands between white space, of any kind in Unicode. */
  static List<String> words(String text) {
    return Stream.of(text.split("(?U)[\\s\\x1c-\\x1f\\x85]+"))
        .filter(word -> !word.isEmpty())
        .toList();
  }

  /** {@code {"bleu":…,"chrf":…}} */
  public static String json(Map<String, Double> scores) {
    List<String> parts = new ArrayList<>();
    scores.forEach((name, value) -> parts.add("\"" + name + "\":" + value));
    return "{" + String.join(",", parts) + "}";
  }
}
