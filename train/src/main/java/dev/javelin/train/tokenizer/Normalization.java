package dev.javelin.train.tokenizer;

import dev.javelin.tensor.io.JsonObject;
import dev.javelin.train.tokenizer.oniguruma.OnigPattern;
import java.text.Normalizer;
import java.text.Normalizer.Form;
import java.util.List;
import java.util.function.UnaryOperator;

/**
 * The normalizers of {@code tokenizer.json}: what is done to a text before it is cut into words.
 */
final class Normalization {
  static final UnaryOperator<String> NFC = form(Form.NFC);

  private Normalization() {}

  static UnaryOperator<String> read(JsonObject parent, String key) {
    return parent.has(key) ? read(parent.object(key)) : UnaryOperator.identity();
  }

  private static UnaryOperator<String> read(JsonObject json) {
    String type = json.text("type");
    return switch (type) {
      case "NFC" -> NFC;
      case "NFD" -> form(Form.NFD);
      case "NFKC" -> form(Form.NFKC);
      case "NFKD" -> form(Form.NFKD);
      case "Prepend" -> prepend(json.text("prepend"));
      case "Replace" -> replace(json);
      case "Sequence" -> sequence(json.objects("normalizers"));
      default ->
          throw TokenizerJson.unsupported(
              json, "type", "NFC, NFD, NFKC, NFKD, Prepend, Replace and Sequence");
    };
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

  private static UnaryOperator<String> sequence(List<JsonObject> parts) {
    List<UnaryOperator<String>> steps = parts.stream().map(Normalization::read).toList();
    return text -> {
      for (UnaryOperator<String> step : steps) {
        text = step.apply(text);
      }
      return text;
    };
  }
}
