package dev.javelin.train.tokenizer;

import dev.javelin.tensor.io.JsonObject;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.SequencedMap;
import java.util.Set;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/**
 * What the files beside a tokenizer say about added tokens, in transformers' order: {@code
 * added_tokens_decoder} of {@code tokenizer_config.json} gives ids and properties, {@code
 * added_tokens.json} ids; then tokens that either file names for a role ({@code eos_token} …) are
 * special.
 *
 * @param config {@code tokenizer_config.json}
 * @param addedTokens {@code added_tokens.json}
 * @param specialTokens {@code special_tokens_map.json}
 */
record AddedTokensFiles(
    @Nullable JsonObject config,
    @Nullable JsonObject addedTokens,
    @Nullable JsonObject specialTokens) {
  private static final List<String> ROLES =
      List.of(
          "bos_token",
          "eos_token",
          "unk_token",
          "sep_token",
          "pad_token",
          "cls_token",
          "mask_token");
  private static final List<String> LISTS =
      List.of("additional_special_tokens", "extra_special_tokens");

  static final AddedTokensFiles NONE = new AddedTokensFiles(null, null, null);

  /**
   * Adds these tokens to those of the tokenizer.
   *
   * @param added by content
   */
  void into(TokenNames names, SequencedMap<String, AddedTokens.Token> added) {
    if (config != null && config.has("added_tokens_decoder")) {
      decoder(config.object("added_tokens_decoder"), names, added);
    } else if (addedTokens != null) {
      for (String content : addedTokens.members().keySet()) {
        int id = addedTokens.integer(content, 0, TokenizerJson.LARGEST_ID);
        if (content.isEmpty()) {
          throw addedTokens.error("\"\"", "is an empty token");
        }
        var token = new AddedTokens.Token(id, content, false, true, false, false, false);
        names.add(token, addedTokens, JsonObject.brief(content));
        added.putIfAbsent(content, token);
      }
    }
    for (JsonObject file : files()) {
      for (String role : ROLES) {
        special(file, role, named(file, role), names, added);
      }
      for (String list : LISTS) {
        for (String content : listed(file, list)) {
          special(file, list, content, names, added);
        }
      }
    }
  }

  private static void decoder(
      JsonObject decoder, TokenNames names, SequencedMap<String, AddedTokens.Token> added) {
    Map<Integer, AddedTokens.Token> byId = new TreeMap<>();
    for (String key : decoder.members().keySet()) {
      int id;
      try {
        id = Integer.parseInt(key);
      } catch (NumberFormatException e) {
        id = -1;
      }
      if (id < 0 || id > TokenizerJson.LARGEST_ID) {
        throw decoder.error(
            JsonObject.brief(key), "is not a token id up to " + TokenizerJson.LARGEST_ID);
      }
      AddedTokens.Token token = TokenizerJson.added(decoder.object(key), id);
      names.add(token, decoder, key);
      byId.put(id, token);
    }
    byId.values().forEach(token -> added.put(token.content(), token));
  }

  private static void special(
      JsonObject file,
      String key,
      @Nullable String content,
      TokenNames names,
      SequencedMap<String, AddedTokens.Token> added) {
    if (content == null) {
      return;
    }
    Integer id = names.id(content);
    if (id == null) {
      throw file.error(key, JsonObject.brief(content) + " is not in the vocabulary");
    }
    AddedTokens.Token known = added.get(content);
    if (known == null) {
      added.put(content, AddedTokens.Token.special(id, content));
    } else if (!known.special()) {
      added.put(
          content,
          new AddedTokens.Token(
              id,
              content,
              true,
              known.normalized(),
              known.singleWord(),
              known.lstrip(),
              known.rstrip()));
    }
  }

  private List<JsonObject> files() {
    List<JsonObject> files = new ArrayList<>();
    if (specialTokens != null) {
      files.add(specialTokens);
    }
    if (config != null) {
      files.add(config);
    }
    return files;
  }

  /** The token that a file names for a role, as text or as an object with {@code content}. */
  private static @Nullable String named(JsonObject file, String role) {
    return file.has(role) ? content(file, role, file.members().get(role)) : null;
  }

  private static String content(JsonObject file, String key, @Nullable Object value) {
    Object content = value instanceof Map<?, ?> token ? token.get("content") : value;
    if (content instanceof String text && !text.isEmpty()) {
      return text;
    }
    throw file.error(key, "must be a token, got " + JsonObject.brief(value));
  }

  private static List<String> listed(JsonObject file, String key) {
    List<String> contents = new ArrayList<>();
    Object value = file.members().get(key);
    if (value instanceof List<?> list) {
      list.forEach(item -> contents.add(content(file, key, item)));
    } else if (value instanceof Map<?, ?> map) { // by a name of their own
      map.values().forEach(item -> contents.add(content(file, key, item)));
    } else if (value != null) {
      throw file.error(key, "must be a list of tokens, got " + JsonObject.brief(value));
    }
    return contents;
  }

  /** The tokens that the files name for a role; what counts first comes first. */
  Set<String> named(String role) {
    Set<String> all = new LinkedHashSet<>();
    for (JsonObject file : files()) {
      String content = named(file, role);
      if (content != null) {
        all.add(content);
      }
    }
    return all;
  }
}
