package dev.javelin.train.tokenizer;

import dev.javelin.tensor.io.Json;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.SequencedMap;
import org.jspecify.annotations.Nullable;

/** Writes {@code tokenizer.json} and {@code tokenizer_config.json} as Hugging Face reads them. */
final class TokenizerJsonWriter {
  private TokenizerJsonWriter() {}

  /**
   * A byte-level vocabulary.
   *
   * @param tokens in the order of their ids, as {@link ByteSymbols}
   * @param merges pairs of tokens, the first to be joined first
   * @param specials with their ids; the first one ends a text
   * @param words cut the text into GPT-2's words
   */
  static SequencedMap<String, byte[]> byteLevel(
      SequencedMap<String, Integer> tokens,
      List<String[]> merges,
      SequencedMap<String, Integer> specials,
      boolean words) {
    Map<String, @Nullable Object> split = new LinkedHashMap<>();
    split.put("type", "ByteLevel");
    split.put("add_prefix_space", false);
    split.put("trim_offsets", true);
    split.put("use_regex", words);
    return files(tokens, merges, specials, split, split);
  }

  /** A vocabulary of single characters. */
  static SequencedMap<String, byte[]> characters(SequencedMap<String, Integer> tokens) {
    return files(tokens, List.of(), new LinkedHashMap<>(), null, Map.of("type", "Fuse"));
  }

  private static SequencedMap<String, byte[]> files(
      SequencedMap<String, Integer> tokens,
      List<String[]> merges,
      SequencedMap<String, Integer> specials,
      @Nullable Map<String, @Nullable Object> preTokenizer,
      Map<String, ? extends @Nullable Object> decoder) {
    Map<String, @Nullable Object> model = new LinkedHashMap<>();
    model.put("type", "BPE");
    for (String none :
        List.of("dropout", "unk_token", "continuing_subword_prefix", "end_of_word_suffix")) {
      model.put(none, null);
    }
    for (String no : List.of("fuse_unk", "byte_fallback", "ignore_merges")) {
      model.put(no, false);
    }
    model.put("vocab", tokens);
    model.put("merges", merges.stream().map(List::of).toList());
    Map<String, @Nullable Object> root = root();
    root.put("added_tokens", added(List.copyOf(specials.keySet()), specials));
    root.put("pre_tokenizer", preTokenizer);
    root.put("decoder", decoder);
    root.put("model", model);
    Map<String, @Nullable Object> config = config();
    if (!specials.isEmpty()) {
      config.put("eos_token", specials.firstEntry().getKey());
    }
    return files(root, config);
  }

  /** {@code tokenizer.json} in its usual order, without parts. */
  static Map<String, @Nullable Object> root() {
    Map<String, @Nullable Object> root = new LinkedHashMap<>();
    root.put("version", "1.0");
    for (String part :
        List.of(
            "truncation",
            "padding",
            "added_tokens",
            "normalizer",
            "pre_tokenizer",
            "post_processor",
            "decoder",
            "model")) {
      root.put(part, null);
    }
    return root;
  }

  /** {@code tokenizer_config.json} of a tokenizer that {@code tokenizer.json} says whole. */
  static Map<String, @Nullable Object> config() {
    Map<String, @Nullable Object> config = new LinkedHashMap<>();
    config.put("tokenizer_class", "PreTrainedTokenizerFast");
    config.put("clean_up_tokenization_spaces", false);
    return config;
  }

  static SequencedMap<String, byte[]> files(
      Map<String, @Nullable Object> root, Map<String, @Nullable Object> config) {
    SequencedMap<String, byte[]> files = new LinkedHashMap<>();
    files.put("tokenizer.json", bytes(root));
    files.put("tokenizer_config.json", bytes(config));
    return files;
  }

  /** Special tokens with their ids. */
  static List<Object> added(List<String> specials, Map<String, Integer> ids) {
    List<Object> added = new ArrayList<>();
    specials.forEach(
        content -> added.add(special(content, Objects.requireNonNull(ids.get(content)))));
    return added;
  }

  private static Map<String, @Nullable Object> special(String content, int id) {
    Map<String, @Nullable Object> token = new LinkedHashMap<>();
    token.put("id", id);
    token.put("content", content);
    for (String no : List.of("single_word", "lstrip", "rstrip", "normalized")) {
      token.put(no, false);
    }
    token.put("special", true);
    return token;
  }

  static byte[] bytes(Map<String, @Nullable Object> json) {
    return Json.write(json).getBytes(StandardCharsets.UTF_8);
  }
}
