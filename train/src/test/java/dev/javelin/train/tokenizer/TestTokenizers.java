package dev.javelin.train.tokenizer;

import dev.javelin.tensor.io.Json;
import java.nio.charset.StandardCharsets;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SequencedMap;

/** Small tokenizers, written as files. */
final class TestTokenizers {
  private TestTokenizers() {}

  /** A token for each byte, its id the byte, and more behind them, written as byte symbols. */
  static SequencedMap<String, Integer> bytes(String... more) {
    SequencedMap<String, Integer> vocabulary = new LinkedHashMap<>();
    for (int b = 0; b < 256; b++) {
      vocabulary.put(String.valueOf(ByteSymbols.symbol(b)), b);
    }
    for (String token : more) {
      vocabulary.put(token, vocabulary.size());
    }
    return vocabulary;
  }

  /** An added token of {@code tokenizer.json}, all properties false but those named. */
  static Map<String, Object> added(int id, String content, String... properties) {
    Map<String, Object> token = new LinkedHashMap<>();
    token.put("id", id);
    token.put("content", content);
    for (String key : List.of("single_word", "lstrip", "rstrip", "normalized", "special")) {
      token.put(key, List.of(properties).contains(key));
    }
    return token;
  }

  /** A byte-level {@code tokenizer.json} with GPT-2's words and no merges. */
  static String byteLevel(List<Map<String, Object>> added) {
    Map<String, Object> byteLevel =
        Map.of("type", "ByteLevel", "add_prefix_space", false, "use_regex", true);
    return Json.write(
        Map.of(
            "added_tokens",
            added,
            "pre_tokenizer",
            byteLevel,
            "decoder",
            byteLevel,
            "model",
            Map.of("type", "BPE", "vocab", bytes(), "merges", List.of())));
  }

  /** Reads a {@code tokenizer.json}. */
  static Tokenizer parse(String json) {
    SequencedMap<String, byte[]> files = new LinkedHashMap<>();
    files.put("tokenizer.json", json.getBytes(StandardCharsets.UTF_8));
    return TokenizerFiles.parse(files);
  }
}
