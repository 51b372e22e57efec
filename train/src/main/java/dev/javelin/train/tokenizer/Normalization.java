package dev.javelin.train.tokenizer;

import dev.javelin.tensor.io.JsonObject;
import dev.javelin.train.tokenizer.oniguruma.OnigPattern;
import java.text.Normalizer;
import java.text.Normalizer.Form;
import java.util.ArrayList;
import java.util.List;
import java.util.function.UnaryOperator;

/**
 * The normalizers of {@code tokenizer.json}: what is done to a text before it is cut into words.
 */
final class Normalization {
  static final UnaryOperator<String> NFC = form(Form.NFC);

  private Normalization() {}

  static UnaryOperator<String> read(JsonObject parent, String key) {
    if (!parent.has(key)) {
      return UnaryOperator.identity();
    }
    List<UnaryOperator<String>> steps = new ArrayList<>();
    read(parent.object(key), steps);
    return steps.size() == 1 ? steps.getFirst() : sequence(steps);
  }

  /** Appends what {@code json} does; a sequence in a sequence is one sequence. */
  private static void read(JsonObject json, List<UnaryOperator<String>> steps) {
    switch (json.text("type")) {
      case "NFC" -> steps.add(NFC);
      case "NFD" -> steps.add(form(Form.NFD));
      case "NFKC" -> steps.add(form(Form.NFKC));
      case "NFKD" -> steps.add(form(Form.NFKD));
      case "Prepend" -> steps.add(prepend(json.text("prepend")));
      case "Replace" -> steps.add(replace(json));
      case "Sequence" -> json.objects("normalizers").forEach(part -> read(part, steps));
      default ->
          throw TokenizerJson.unsupported(
              json, "type", "NFC, NFD, NFKC, NFKD, Prepend, Replace and Sequence");
    }
  }

  private static UnaryOperator<String> form(Form form) {
    return text -> Normalizer.isNormalized(text, form) ? text : Normalizer.normalize(text, form);
  }

  private static UnaryOperator<String> prepend(String prefix) {
    return text -> text.isEmpty() ? text : prefix + text;
  }

  /** Also a decoder, of one token. */
  static UnaryOperator<String> replace(JsonObject json) {
    String content = json.text("content");
    OnigPattern pattern = PreTokenization.regex(json.object("pattern"));
    return text -> pattern.replace(text, content);
  }

  private static UnaryOperator<String> sequence(List<UnaryOperator<String>> steps) {
    return text -> {
      String result = text;
      for (UnaryOperator<String> step : steps) {
        result = step.apply(result);
        bounded(text.length(), result.length());
      }
      return result;
    };
  }

  /**
   * Steps in a row may each make a text longer, and all of them more than fits into memory.
   *
   * @throws IllegalArgumentException where {@code after} is more than sixteen times {@code before}
   *     and a million
   */
  static void bounded(long before, long after) {
    if (after > 16 * before + 1_000_000) {
      throw new IllegalArgumentException(
          "the tokenizer's steps make " + after + " characters of " + before);
    }
  }
}
