package dev.javelin.train.tokenizer;

import dev.javelin.train.tokenizer.oniguruma.OnigPattern;
import java.text.Normalizer;
import java.text.Normalizer.Form;
import java.util.List;
import java.util.function.UnaryOperator;
import org.jspecify.annotations.Nullable;

/**
 * The normalizers of {@code tokenizer.json}: what is done to a text before it is cut into words.
 */
final class Normalization {
  private Normalization() {}

  static UnaryOperator<String> read(@Nullable Json json) {
    if (json == null) {
      return UnaryOperator.identity();
    }
    String type = json.get("type").text();
    return switch (type) {
      case "NFC" -> form(Form.NFC);
      case "NFD" -> form(Form.NFD);
      case "NFKC" -> form(Form.NFKC);
      case "NFKD" -> form(Form.NFKD);
      case "Prepend" -> prepend(json.get("prepend").text());
      case "Replace" -> replace(json);
      case "Sequence" -> sequence(json.get("normalizers").items());
      default ->
          throw json.unsupported(type, "NFC, NFD, NFKC, NFKD, Prepend, Replace and Sequence");
    };
  }

  private static UnaryOperator<String> form(Form form) {
    return text -> Normalizer.isNormalized(text, form) ? text : Normalizer.normalize(text, form);
  }

  private static UnaryOperator<String> prepend(String prefix) {
    return text -> text.isEmpty() ? text : prefix + text;
  }

  /** Also a decoder, of one token. */
  static UnaryOperator<String> replace(Json json) {
    String content = json.get("content").text();
    OnigPattern pattern = PreTokenization.regex(json.get("pattern"));
    return text -> pattern.replace(text, content);
  }

  private static UnaryOperator<String> sequence(List<Json> parts) {
    List<UnaryOperator<String>> steps = parts.stream().map(Normalization::read).toList();
    return text -> {
      for (UnaryOperator<String> step : steps) {
        text = step.apply(text);
      }
      return text;
    };
  }
}
