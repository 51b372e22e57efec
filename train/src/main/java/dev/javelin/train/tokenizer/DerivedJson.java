package dev.javelin.train.tokenizer;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SequencedMap;
import org.jspecify.annotations.Nullable;

/** Builds the {@code tokenizer.json} of a tokenizer that was written otherwise. */
final class DerivedJson {
  private final SequencedMap<String, @Nullable Object> root = new LinkedHashMap<>();
  private final List<Map<String, @Nullable Object>> added = new ArrayList<>();

  DerivedJson() {
    root.put("version", "1.0");
    root.put("truncation", null);
    root.put("padding", null);
    root.put("added_tokens", added);
    for (String part : List.of("normalizer", "pre_tokenizer", "post_processor", "decoder")) {
      root.put(part, null);
    }
  }

  /**
   * A part with its type.
   *
   * @param keysAndValues in turn
   */
  static SequencedMap<String, @Nullable Object> part(
      String type, @Nullable Object... keysAndValues) {
    SequencedMap<String, @Nullable Object> part = new LinkedHashMap<>();
    part.put("type", type);
    for (int i = 0; i < keysAndValues.length; i += 2) {
      part.put(String.valueOf(keysAndValues[i]), keysAndValues[i + 1]);
    }
    return part;
  }

  DerivedJson with(String section, @Nullable Object part) {
    root.put(section, part);
    return this;
  }

  DerivedJson special(String content, int id) {
    SequencedMap<String, @Nullable Object> token = new LinkedHashMap<>();
    token.put("id", id);
    token.put("content", content);
    for (String no : List.of("single_word", "lstrip", "rstrip", "normalized")) {
      token.put(no, false);
    }
    token.put("special", true);
    added.add(token);
    return this;
  }

  /**
   * A template of the given pieces: {@code [CLS] $A [SEP] $B:1 [SEP]:1}, with the type's number
   * where it is not 0.
   */
  static Map<String, @Nullable Object> template(
      String single, String pair, Map<String, Integer> specials) {
    Map<String, @Nullable Object> tokens = new LinkedHashMap<>();
    specials.forEach(
        (name, id) ->
            tokens.put(name, Map.of("id", name, "ids", List.of(id), "tokens", List.of(name))));
    return part(
        "TemplateProcessing",
        "single",
        pieces(single),
        "pair",
        pieces(pair),
        "special_tokens",
        tokens);
  }

  private static List<Map<String, ?>> pieces(String template) {
    List<Map<String, ?>> pieces = new ArrayList<>();
    for (String piece : template.split(" ")) {
      boolean second = piece.endsWith(":1");
      String name = second ? piece.substring(0, piece.length() - 2) : piece;
      boolean text = name.startsWith("$");
      pieces.add(
          Map.of(
              text ? "Sequence" : "SpecialToken",
              Map.of("id", text ? name.substring(1) : name, "type_id", second ? 1 : 0)));
    }
    return pieces;
  }

  byte[] bytes() {
    return TokenizerJsonWriter.bytes(root);
  }
}
