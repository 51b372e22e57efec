package dev.javelin.train.tokenizer;

import dev.javelin.tensor.io.JsonObject;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** The models of {@code tokenizer.json}. */
final class ModelJson {
  /** Of a prefix or a suffix, which each character of a text may carry. */
  private static final int LONGEST_AFFIX = 64;

  private ModelJson() {}

  /**
   * A model that was read.
   *
   * @param names of its tokens
   * @param readsBytes words are handed to it as text whose bytes are its symbols
   */
  record Read(Model model, TokenNames names, boolean readsBytes) {}

  /**
   * @param byteLevel whether the pre-tokenizer ends with words that are read as bytes
   */
  static Read read(JsonObject json, boolean byteLevel) {
    return switch (type(json)) {
      case "BPE" -> bytePairs(json, byteLevel);
      case "WordPiece" -> wordPiece(json);
      case "WordLevel" -> wordLevel(json);
      case "Unigram" -> unigram(json);
      default ->
          throw TokenizerJson.unsupported(json, "type", "BPE, WordPiece, WordLevel and Unigram");
    };
  }

  /** Files of 2020 do not name it. */
  private static String type(JsonObject json) {
    if (json.has("type") || json.has("merges")) {
      return json.text("type", "BPE");
    }
    return json.has("continuing_subword_prefix")
        ? "WordPiece"
        : json.members().get("vocab") instanceof List ? "Unigram" : "WordLevel";
  }

  /** The id of the unknown token, or -1. */
  private static int unknown(JsonObject json, Map<String, Integer> vocabulary) {
    if (!json.has("unk_token")) {
      return -1;
    }
    Integer id = vocabulary.get(json.text("unk_token"));
    if (id == null) {
      throw json.error(
          "unk_token", JsonObject.brief(json.text("unk_token")) + " is not in the vocabulary");
    }
    return id;
  }

  private static Read bytePairs(JsonObject json, boolean byteLevel) {
    TokenizerJson.known(
        json,
        "type",
        "dropout",
        "unk_token",
        "continuing_subword_prefix",
        "end_of_word_suffix",
        "fuse_unk",
        "byte_fallback",
        "ignore_merges",
        "vocab",
        "merges");
    if (json.number("dropout", 0) != 0) {
      throw TokenizerJson.unsupported(json, "dropout", "none, so that a text has one encoding");
    }
    Map<String, Integer> vocabulary = TokenizerJson.vocabulary(json.object("vocab"));
    String prefix = affix(json, "continuing_subword_prefix");
    String suffix = affix(json, "end_of_word_suffix");
    int unknown = unknown(json, vocabulary);
    boolean bytes =
        byteLevel
            && prefix.isEmpty()
            && suffix.isEmpty()
            && (unknown < 0 || ByteSymbols.allIn(vocabulary.keySet()));
    List<@Nullable Object> written = json.array("merges");
    Merges merges = new Merges(vocabulary, written.size(), prefix);
    for (int i = 0; i < written.size(); i++) {
      String[] halves = halves(written.get(i));
      if (halves == null) {
        throw json.error(
            "merges[" + i + "]", "must be two tokens, got " + JsonObject.brief(written.get(i)));
      }
      if (!merges.add(halves[0], halves[1])) {
        throw json.error(
            "merges[" + i + "]",
            "joins "
                + JsonObject.brief(halves[0])
                + " and "
                + JsonObject.brief(halves[1])
                + ", not all in the vocabulary");
      }
    }
    BpeModel model =
        merges.model(
            new BpeModel.Options(
                bytes,
                unknown,
                json.flag("fuse_unk", false),
                json.flag("byte_fallback", false),
                json.flag("ignore_merges", false),
                prefix,
                suffix));
    int missing = model.missingByte();
    if (missing >= 0) {
      throw json.error(
          "vocab",
          "has no token for byte 0x%02X (%s), and there is no unk_token"
              .formatted(missing, ByteSymbols.symbol(missing)));
    }
    return new Read(model, new TokenNames(vocabulary), bytes);
  }

  private static String affix(JsonObject json, String key) {
    String affix = json.text(key, "");
    if (affix.length() > LONGEST_AFFIX) {
      throw json.error(key, "is longer than " + LONGEST_AFFIX + " characters");
    }
    return affix;
  }

  /** A merge is {@code "a b"} or {@code ["a", "b"]}. */
  private static String @Nullable [] halves(@Nullable Object merge) {
    if (merge instanceof String text) {
      int space = text.indexOf(' ');
      return space < 0 || text.indexOf(' ', space + 1) >= 0
          ? null
          : new String[] {text.substring(0, space), text.substring(space + 1)};
    }
    return merge instanceof List<?> pair
            && pair.size() == 2
            && pair.get(0) instanceof String left
            && pair.get(1) instanceof String right
        ? new String[] {left, right}
        : null;
  }

  private static Read wordPiece(JsonObject json) {
    TokenizerJson.known(
        json,
        "type",
        "unk_token",
        "continuing_subword_prefix",
        "max_input_chars_per_word",
        "vocab");
    Map<String, Integer> vocabulary = TokenizerJson.vocabulary(json.object("vocab"));
    for (String token : vocabulary.keySet()) {
      requireLength(json, "vocab", token);
    }
    Model model =
        new WordPieceModel(
            vocabulary,
            unknown(json, vocabulary),
            json.text("continuing_subword_prefix", "##"),
            json.integer("max_input_chars_per_word", 0, Integer.MAX_VALUE, 100));
    return new Read(model, new TokenNames(vocabulary), false);
  }

  private static Read wordLevel(JsonObject json) {
    TokenizerJson.known(json, "type", "unk_token", "vocab");
    Map<String, Integer> vocabulary = TokenizerJson.vocabulary(json.object("vocab"));
    Model model = new WordLevelModel(vocabulary, unknown(json, vocabulary));
    return new Read(model, new TokenNames(vocabulary), false);
  }

  /** What a position of a text costs is bounded by the longest token. */
  private static void requireLength(JsonObject json, String key, String token) {
    if (token.length() > UnigramModel.LONGEST_TOKEN) {
      throw json.error(
          key,
          "has a token of more than "
              + UnigramModel.LONGEST_TOKEN
              + " characters: "
              + JsonObject.brief(token));
    }
  }

  private static Read unigram(JsonObject json) {
    TokenizerJson.known(json, "type", "unk_id", "vocab", "byte_fallback");
    List<@Nullable Object> written = json.array("vocab");
    if (written.isEmpty() || written.size() > TokenizerJson.LARGEST_ID) {
      throw json.error("vocab", "must have from 1 to " + TokenizerJson.LARGEST_ID + " tokens");
    }
    String[] names = new String[written.size()];
    double[] scores = new double[names.length];
    double lowest = Double.POSITIVE_INFINITY;
    Map<String, Integer> vocabulary = HashMap.newHashMap(names.length);
    for (int id = 0; id < names.length; id++) {
      if (!(written.get(id) instanceof List<?> pair
          && pair.size() == 2
          && pair.get(0) instanceof String token
          && pair.get(1) instanceof Number score
          && Double.isFinite(score.doubleValue()))) {
        throw json.error(
            "vocab[" + id + "]",
            "must be a token and its score, got " + JsonObject.brief(written.get(id)));
      }
      requireLength(json, "vocab[" + id + "]", token);
      names[id] = token;
      scores[id] = score.doubleValue();
      lowest = Math.min(lowest, scores[id]);
      vocabulary.put(token, id); // of two with one text the last is found
    }
    Trie tokens = new Trie(names.length);
    vocabulary.forEach(
        (token, id) -> {
          if (!token.isEmpty()) {
            tokens.put(token, id);
          }
        });
    int unknown = json.has("unk_id") ? json.integer("unk_id", 0, names.length - 1) : -1;
    boolean bytes = json.flag("byte_fallback", false);
    Model model =
        new UnigramModel(
            tokens,
            scores,
            new UnigramModel.Options(
                unknown, bytes ? Model.byteTokens(vocabulary) : null, lowest, false));
    return new Read(model, new TokenNames(vocabulary, names), false);
  }
}
