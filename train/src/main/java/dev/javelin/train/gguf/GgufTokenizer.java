package dev.javelin.train.gguf;

import dev.javelin.tensor.io.Json;
import dev.javelin.tensor.io.JsonObject;
import dev.javelin.tensor.io.JsonRules;
import dev.javelin.train.data.InputException;
import dev.javelin.train.tokenizer.Tokenizer;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * A byte-pair vocabulary in a GGUF file's keys. Byte-level ones become {@code gpt2}, with merges;
 * those with bytes to fall back on {@code llama}, with scores, where the merge that comes first
 * scores highest.
 */
final class GgufTokenizer {
  private static final int NORMAL = 1;
  private static final int UNKNOWN = 2;
  private static final int CONTROL = 3;
  private static final int USER_DEFINED = 4;
  private static final int UNUSED = 5;
  private static final int BYTE = 6;

  private static final Pattern BYTE_TOKEN = Pattern.compile("<0x[0-9A-F]{2}>");
  private static final float UNMERGED = -1e9f;

  private GgufTokenizer() {}

  /**
   * @param vocab of the model, at least that of the tokenizer
   * @param notes is told what cannot be said exactly
   */
  static void describe(Tokenizer tokenizer, int vocab, GgufFile file, Consumer<String> notes) {
    byte[] bytes = tokenizer.files().get("tokenizer.json");
    if (bytes == null) {
      throw new InputException("--gguf needs a model whose tokenizer has a tokenizer.json");
    }
    JsonObject json =
        Json.parse(Path.of("tokenizer.json"), ByteBuffer.wrap(bytes), JsonRules.TOKENIZER);
    JsonObject model = json.object("model");
    if (!model.text("type", "BPE").equals("BPE")) {
      throw new InputException(
          "--gguf is not supported for tokenizers of the kind %s: only for BPE"
              .formatted(model.text("type")));
    }
    String[] tokens = new String[vocab];
    int[] types = new int[vocab];
    Arrays.fill(types, UNUSED);
    JsonObject vocabulary = model.object("vocab");
    for (String token : vocabulary.members().keySet()) {
      set(tokens, types, vocabulary.integer(token, 0, vocab - 1), token, NORMAL);
    }
    boolean fallback = model.flag("byte_fallback", false);
    for (int i = 0; fallback && i < vocab; i++) {
      if (tokens[i] != null && BYTE_TOKEN.matcher(tokens[i]).matches()) {
        types[i] = BYTE;
      }
    }
    tokenizer.specialTokens().forEach((token, id) -> set(tokens, types, id, token, CONTROL));
    if (json.has("added_tokens")) {
      for (JsonObject added : json.objects("added_tokens")) {
        int id = added.integer("id", 0, vocab - 1);
        int type = added.flag("special", false) ? CONTROL : USER_DEFINED;
        set(tokens, types, id, added.text("content"), type);
      }
    }
    if (model.has("unk_token") && vocabulary.has(model.text("unk_token"))) {
      int id = vocabulary.integer(model.text("unk_token"), 0, vocab - 1);
      types[id] = UNKNOWN;
      file.put("tokenizer.ggml.unknown_token_id", id);
    }
    for (int i = 0; i < vocab; i++) {
      if (tokens[i] == null) {
        tokens[i] = "[PAD" + i + "]";
      }
    }
    List<String[]> merges = merges(model);
    file.put("tokenizer.ggml.model", fallback ? "llama" : "gpt2");
    file.put("tokenizer.ggml.pre", fallback ? "default" : splitter(json, notes));
    file.put("tokenizer.ggml.tokens", List.of(tokens));
    if (fallback) {
      file.put("tokenizer.ggml.scores", scores(tokens, types, merges));
    } else {
      file.put("tokenizer.ggml.merges", merges.stream().map(m -> m[0] + " " + m[1]).toList());
    }
    file.put("tokenizer.ggml.token_type", types);
    tokenizer.bos().ifPresent(id -> file.put("tokenizer.ggml.bos_token_id", id));
    tokenizer.eos().ifPresent(id -> file.put("tokenizer.ggml.eos_token_id", id));
    int[] prompt = tokenizer.encodePrompt("a");
    file.put(
        "tokenizer.ggml.add_bos_token",
        tokenizer.bos().isPresent() && prompt[0] == tokenizer.bos().getAsInt());
    file.put(
        "tokenizer.ggml.add_eos_token",
        tokenizer.eos().isPresent() && prompt[prompt.length - 1] == tokenizer.eos().getAsInt());
    if (fallback) {
      int first = tokenizer.encode("a")[0];
      file.put("tokenizer.ggml.add_space_prefix", tokens[first].startsWith("▁"));
    }
  }

  private static void set(@Nullable String[] tokens, int[] types, int id, String token, int type) {
    tokens[id] = token;
    types[id] = type;
  }

  private static List<String[]> merges(JsonObject model) {
    List<String[]> merges = new ArrayList<>();
    for (Object merge : model.array("merges")) {
      if (merge instanceof List<?> pair) {
        merges.add(new String[] {(String) pair.get(0), (String) pair.get(1)});
      } else {
        merges.add(String.valueOf(merge).split(" ", 2));
      }
    }
    return merges;
  }

  private static float[] scores(String[] tokens, int[] types, List<String[]> merges) {
    Map<String, Integer> ranks = new HashMap<>();
    for (int i = 0; i < merges.size(); i++) {
      ranks.putIfAbsent(merges.get(i)[0] + merges.get(i)[1], i);
    }
    float[] scores = new float[tokens.length];
    for (int i = 0; i < tokens.length; i++) {
      Integer rank = ranks.get(tokens[i]);
      scores[i] = types[i] != NORMAL ? 0 : rank == null ? UNMERGED : -rank;
    }
    return scores;
  }

  /** What llama.cpp calls the pattern that cuts words: it knows them by name only. */
  private static String splitter(JsonObject json, Consumer<String> notes) {
    String text =
        json.has("pre_tokenizer") ? Json.writeCompact(json.members().get("pre_tokenizer")) : "";
    if (text.contains("\\\\p{N}{1,3}") && text.contains("(?i:'s|'t|'re|'ve|'m|'ll|'d)")) {
      return "llama-bpe";
    }
    if (text.contains("(?i:'s|'t|'re|'ve|'m|'ll|'d)") && text.contains("|\\\\p{N}|")) {
      return "qwen2";
    }
    if (!text.contains("Split") && text.contains("ByteLevel")) {
      return "gpt-2";
    }
    notes.accept(
        "llama.cpp has no name for this tokenizer's split pattern: the file says \"default\", so ids may differ there");
    return "default";
  }
}
