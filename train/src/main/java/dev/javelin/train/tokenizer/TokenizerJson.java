package dev.javelin.train.tokenizer;

import dev.javelin.tensor.io.FileFormatException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Reads Hugging Face's {@code tokenizer.json}. What it does not know it refuses by name, because a
 * tokenizer that is almost right trains a wrong model in silence.
 */
final class TokenizerJson {
  /** Far above any vocabulary in use; keeps a damaged id from asking for gigabytes. */
  static final int LARGEST_ID = (1 << 24) - 1;

  private TokenizerJson() {}

  static BpeTokenizer.Parts read(Path file, byte[] content) {
    Json root = Json.parse(file, content);
    PreTokenization.Result words = PreTokenization.read(root.find("pre_tokenizer"));
    Json model = root.get("model");
    Map<String, Integer> vocabulary = vocabulary(model.get("vocab"));
    List<AddedTokens.Token> added = added(root.find("added_tokens"));
    List<Integer> prefix = new ArrayList<>();
    List<Integer> suffix = new ArrayList<>();
    template(root.find("post_processor"), prefix, suffix);
    return new BpeTokenizer.Parts(
        names(vocabulary, added),
        added,
        Normalization.read(root.find("normalizer")),
        words.splitter(),
        model(model, vocabulary, words.byteLevel()),
        Decoding.read(root.find("decoder")),
        prefix,
        suffix);
  }

  static Map<String, Integer> vocabulary(Json json) {
    Map<String, Integer> vocabulary = new HashMap<>();
    json.fields((token, id) -> vocabulary.put(token, checked(id)));
    if (vocabulary.isEmpty()) {
      throw json.bad("has no tokens");
    }
    return vocabulary;
  }

  private static int checked(Json json) {
    int id = json.id();
    if (id > LARGEST_ID) {
      throw json.expected("a token id up to " + LARGEST_ID);
    }
    return id;
  }

  static List<@Nullable String> names(
      Map<String, Integer> vocabulary, List<AddedTokens.Token> added) {
    int size = 0;
    for (int id : vocabulary.values()) {
      size = Math.max(size, id + 1);
    }
    for (AddedTokens.Token token : added) {
      size = Math.max(size, token.id() + 1);
    }
    String[] names = new String[size];
    vocabulary.forEach((token, id) -> names[id] = token);
    added.forEach(token -> names[token.id()] = token.content());
    return java.util.Arrays.asList(names);
  }

  private static BpeModel model(Json json, Map<String, Integer> vocabulary, boolean byteLevel) {
    String type = json.text("type", "BPE");
    if (!type.equals("BPE")) {
      throw json.unsupported(type, "BPE");
    }
    for (String key : List.of("continuing_subword_prefix", "end_of_word_suffix")) {
      if (!json.text(key, "").isEmpty()) {
        throw json.unsupported(key + " \"" + json.text(key, "") + "\"", "none");
      }
    }
    Json dropout = json.find("dropout");
    if (dropout != null && dropout.node().asDouble() != 0) {
      throw json.unsupported("dropout " + dropout.node(), "none");
    }
    Json unknown = json.find("unk_token");
    Integer unknownId = unknown == null ? Integer.valueOf(-1) : vocabulary.get(unknown.text());
    if (unknown != null && unknownId == null) {
      throw unknown.bad("\"" + unknown.text() + "\" is not in the vocabulary");
    }
    BpeModel.Options options =
        new BpeModel.Options(
            byteLevel,
            unknownId == null ? -1 : unknownId,
            json.flag("fuse_unk", false),
            json.flag("byte_fallback", false),
            json.flag("ignore_merges", false));
    Json merges = json.get("merges");
    LongIntMap ranks = new LongIntMap(merges.size());
    int[] merged = new int[merges.size()];
    for (int rank = 0; rank < merged.length; rank++) {
      Json merge = merges.item(rank);
      String[] halves = halves(merge);
      Integer left = vocabulary.get(halves[0]);
      Integer right = vocabulary.get(halves[1]);
      Integer joined = vocabulary.get(halves[0] + halves[1]);
      if (left == null || right == null || joined == null) {
        throw merge.bad(
            "joins \"" + halves[0] + "\" and \"" + halves[1] + "\", not all in the vocabulary");
      }
      ranks.put(BpeModel.pair(left, right), rank);
      merged[rank] = joined;
    }
    return new BpeModel(vocabulary, ranks, merged, options);
  }

  /** A merge is {@code "a b"} or {@code ["a", "b"]}. */
  private static String[] halves(Json merge) {
    if (merge.node().isTextual()) {
      String[] halves = merge.text().split(" ", -1);
      if (halves.length == 2) {
        return halves;
      }
    } else if (merge.size() == 2) {
      return new String[] {merge.item(0).text(), merge.item(1).text()};
    }
    throw merge.expected("a pair of tokens");
  }

  private static List<AddedTokens.Token> added(@Nullable Json json) {
    List<AddedTokens.Token> added = new ArrayList<>();
    for (Json item : json == null ? List.<Json>of() : json.items()) {
      boolean special = item.flag("special", false);
      String content = item.get("content").text();
      if (content.isEmpty()) {
        throw item.bad("has an empty content");
      }
      added.add(
          new AddedTokens.Token(
              checked(item.get("id")),
              content,
              special,
              item.flag("normalized", !special),
              item.flag("single_word", false),
              item.flag("lstrip", false),
              item.flag("rstrip", false)));
    }
    return added;
  }

  /** Adds what the post-processor puts around one text. */
  private static void template(@Nullable Json json, List<Integer> prefix, List<Integer> suffix) {
    if (json == null) {
      return;
    }
    String type = json.get("type").text();
    switch (type) {
      case "ByteLevel" -> {} // offsets only
      case "Sequence" ->
          json.get("processors").items().forEach(part -> template(part, prefix, suffix));
      case "TemplateProcessing" -> single(json, prefix, suffix);
      default -> throw json.unsupported(type, "ByteLevel, TemplateProcessing and Sequence");
    }
  }

  private static void single(Json json, List<Integer> prefix, List<Integer> suffix) {
    Json specials = json.get("special_tokens");
    List<Integer> before = new ArrayList<>();
    List<Integer> behind = new ArrayList<>();
    boolean afterText = false;
    for (Json part : json.get("single").items()) {
      Json special = part.find("SpecialToken");
      if (special == null) {
        if (!part.get("Sequence").get("id").text().equals("A") || afterText) {
          throw part.unsupported("as a template", "one text A with special tokens around it");
        }
        afterText = true;
      } else {
        List<Integer> side = afterText ? behind : before;
        Json ids = specials.get(special.get("id").text()).get("ids");
        ids.items().forEach(id -> side.add(checked(id)));
      }
    }
    prefix.addAll(0, before);
    suffix.addAll(behind);
  }

  /** The complaint about a directory that has no tokenizer. */
  static FileFormatException missing(Path directory, String found) {
    return new FileFormatException(
        directory,
        "holds " + found + ": neither tokenizer.json nor vocab.json with merges.txt",
        "write one with transformers' save_pretrained, or name byte, char or another directory");
  }
}
