package dev.javelin.train.tokenizer;

import dev.javelin.tensor.io.FileFormatException;
import dev.javelin.tensor.io.Json;
import dev.javelin.tensor.io.JsonObject;
import dev.javelin.tensor.io.JsonRules;
import dev.javelin.tensor.io.Printable;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SequencedMap;
import java.util.Set;
import java.util.function.UnaryOperator;
import org.jspecify.annotations.Nullable;

/**
 * Reads Hugging Face's {@code tokenizer.json}. What it does not know it refuses by name, because a
 * tokenizer that is almost right trains a wrong model in silence.
 */
final class TokenizerJson {
  /** Far above any vocabulary in use; keeps a damaged id from asking for gigabytes. */
  static final int LARGEST_ID = (1 << 22) - 1;

  /** Of all added tokens together; the automaton that finds them takes some 40 bytes for each. */
  private static final int MOST_CHARACTERS = 1_000_000;

  private static final Set<String> ROOT_KEYS =
      Set.of(
          "version",
          "truncation",
          "padding",
          "added_tokens",
          "normalizer",
          "pre_tokenizer",
          "post_processor",
          "decoder",
          "model");

  private static final Set<String> MODEL_KEYS =
      Set.of(
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

  private TokenizerJson() {}

  /**
   * @param more what other files of the directory say
   */
  static BpeTokenizer.Parts read(Path file, byte[] content, AddedTokensFiles more) {
    JsonObject root = parse(file, content);
    known(root, ROOT_KEYS);
    PreTokenization.Result words = PreTokenization.read(root, "pre_tokenizer");
    if (!words.byteLevel() && root.has("decoder") && decodesBytes(root.object("decoder"))) {
      throw root.error("pre_tokenizer", "must be ByteLevel, as the decoder is");
    }
    JsonObject model = root.object("model");
    Map<String, Integer> vocabulary = vocabulary(model.object("vocab"));
    SequencedMap<String, AddedTokens.Token> added = added(root);
    TokenNames names = new TokenNames(vocabulary);
    added.values().forEach(token -> names.add(token, root, "added_tokens"));
    more.into(names, added);
    UnaryOperator<String> normalizer = Normalization.read(root, "normalizer");
    check(file, added.values(), normalizer);
    rehearse(root, normalizer, words.splitter());
    List<Integer> prefix = new ArrayList<>();
    List<Integer> suffix = new ArrayList<>();
    if (root.has("post_processor")) {
      template(root.object("post_processor"), names.size(), prefix, suffix);
    }
    BpeTokenizer.Parts parts =
        new BpeTokenizer.Parts(
            names.list(),
            List.copyOf(added.values()),
            normalizer,
            words.splitter(),
            model(model, vocabulary, words.byteLevel()),
            Decoding.read(root, "decoder"),
            prefix,
            suffix);
    if (more.config() != null) {
      VocabAndMerges.checkTemplate(more.config(), parts, prefixSpace(root, "pre_tokenizer"));
    }
    return parts;
  }

  static JsonObject parse(Path file, byte[] content) {
    return Json.parse(file, ByteBuffer.wrap(content), JsonRules.TOKENIZER);
  }

  static Map<String, Integer> vocabulary(JsonObject json) {
    Map<String, Integer> vocabulary = HashMap.newHashMap(json.members().size());
    for (String token : json.members().keySet()) {
      vocabulary.put(token, json.integer(token, 0, LARGEST_ID));
    }
    if (vocabulary.isEmpty()) {
      throw new FileFormatException(
          json.file(), json.prefix() + " has no tokens", JsonRules.TOKENIZER.remedy());
    }
    return vocabulary;
  }

  /** A misspelt key would change the ids in silence. */
  private static void known(JsonObject json, Set<String> keys) {
    for (String key : json.members().keySet()) {
      if (!keys.contains(key)) {
        throw json.error(Printable.brief(key, 40), "is not a key of tokenizer.json");
      }
    }
  }

  /** A tokenizer that fails on any text is refused now, not when it is used. */
  private static void rehearse(
      JsonObject root, UnaryOperator<String> normalizer, PreTokenization.Splitter words) {
    String key = "normalizer";
    try {
      String text = normalizer.apply("In 2024, it's a  test.\n");
      key = "pre_tokenizer";
      words.split(text, true, (word, first) -> {});
    } catch (IllegalArgumentException e) {
      throw root.error(key, "cannot be used: " + e.getMessage());
    }
  }

  /** Whether ByteLevel puts a space before a text; null where there is no ByteLevel. */
  private static @Nullable Boolean prefixSpace(JsonObject parent, String key) {
    if (!parent.has(key)) {
      return null;
    }
    List<JsonObject> steps = new ArrayList<>(List.of(parent.object(key)));
    if (steps.getFirst().has("pretokenizers")) {
      steps.addAll(steps.getFirst().objects("pretokenizers"));
    }
    return steps.stream()
        .filter(step -> step.text("type").equals("ByteLevel"))
        .map(step -> step.flag("add_prefix_space", true))
        .findFirst()
        .orElse(null);
  }

  private static boolean decodesBytes(JsonObject decoder) {
    return decoder.text("type", "").equals("ByteLevel");
  }

  /** What added tokens are searched for must be something, and of bounded size. */
  static void check(
      Path file, Collection<AddedTokens.Token> added, UnaryOperator<String> normalizer) {
    long characters = 0;
    for (AddedTokens.Token token : added) {
      String sought = token.content();
      try {
        sought = token.normalized() ? normalizer.apply(sought) : sought;
      } catch (IllegalArgumentException e) {
        sought = "";
      }
      characters += sought.length();
      if (sought.isEmpty() || characters > MOST_CHARACTERS) {
        throw new FileFormatException(
            file,
            "the added token "
                + JsonObject.brief(token.content())
                + (sought.isEmpty()
                    ? " is empty after normalization"
                    : " and those before it have more than " + MOST_CHARACTERS + " characters"),
            JsonRules.TOKENIZER.remedy());
      }
    }
  }

  private static BpeModel model(
      JsonObject json, Map<String, Integer> vocabulary, boolean byteLevel) {
    known(json, MODEL_KEYS);
    if (!json.text("type", "BPE").equals("BPE")) {
      throw unsupported(json, "type", "BPE");
    }
    for (String key : List.of("continuing_subword_prefix", "end_of_word_suffix")) {
      if (!json.text(key, "").isEmpty()) {
        throw unsupported(json, key, "none");
      }
    }
    if (json.number("dropout", 0) != 0) {
      throw unsupported(json, "dropout", "none");
    }
    Integer unknown = -1;
    if (json.has("unk_token")) {
      unknown = vocabulary.get(json.text("unk_token"));
      if (unknown == null) {
        throw json.error(
            "unk_token", JsonObject.brief(json.text("unk_token")) + " is not in the vocabulary");
      }
    }
    List<@Nullable Object> written = json.array("merges");
    Merges merges = new Merges(vocabulary, written.size());
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
    BpeModel.Options options =
        new BpeModel.Options(
            byteLevel,
            unknown,
            json.flag("fuse_unk", false),
            json.flag("byte_fallback", false),
            json.flag("ignore_merges", false));
    BpeModel model = merges.model(options);
    int missing = model.missingByte();
    if (missing >= 0) {
      throw json.error(
          "vocab",
          "has no token for byte 0x%02X (%s), and there is no unk_token"
              .formatted(missing, ByteSymbols.symbol(missing)));
    }
    return model;
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

  private static SequencedMap<String, AddedTokens.Token> added(JsonObject root) {
    SequencedMap<String, AddedTokens.Token> added = new LinkedHashMap<>();
    if (root.has("added_tokens")) {
      for (JsonObject item : root.objects("added_tokens")) {
        AddedTokens.Token token = added(item, item.integer("id", 0, LARGEST_ID));
        if (added.put(token.content(), token) != null) {
          throw item.error("content", JsonObject.brief(token.content()) + " occurs twice");
        }
      }
    }
    return added;
  }

  static AddedTokens.Token added(JsonObject item, int id) {
    boolean special = item.flag("special", false);
    String content = item.text("content");
    if (content.isEmpty()) {
      throw item.error("content", "is empty");
    }
    return new AddedTokens.Token(
        id,
        content,
        special,
        item.flag("normalized", !special),
        item.flag("single_word", false),
        item.flag("lstrip", false),
        item.flag("rstrip", false));
  }

  /** Adds what the post-processor puts around one text. */
  private static void template(
      JsonObject json, int vocabSize, List<Integer> prefix, List<Integer> suffix) {
    switch (json.text("type")) {
      case "ByteLevel" -> {} // offsets only
      case "Sequence" ->
          json.objects("processors").forEach(part -> template(part, vocabSize, prefix, suffix));
      case "TemplateProcessing" -> single(json, vocabSize, prefix, suffix);
      default -> throw unsupported(json, "type", "ByteLevel, TemplateProcessing and Sequence");
    }
  }

  private static void single(
      JsonObject json, int vocabSize, List<Integer> prefix, List<Integer> suffix) {
    List<Integer> before = new ArrayList<>();
    List<Integer> behind = new ArrayList<>();
    boolean afterText = false;
    for (JsonObject part : json.objects("single")) {
      if (part.has("SpecialToken")) {
        List<Integer> side = afterText ? behind : before;
        String name = part.object("SpecialToken").text("id");
        JsonObject special = json.object("special_tokens").object(name);
        for (Object id : special.array("ids")) {
          if (!(id instanceof Long n) || n < 0 || n >= vocabSize) {
            throw special.error(
                "ids", "must be ids below " + vocabSize + ", got " + JsonObject.brief(id));
          }
          side.add(n.intValue());
        }
      } else {
        if (!part.object("Sequence").text("id").equals("A") || afterText) {
          throw part.error(
              "Sequence", "is not supported: one text A with special tokens around it");
        }
        afterText = true;
      }
    }
    if (!afterText) {
      throw json.error("single", "has no place for the text");
    }
    prefix.addAll(0, before);
    suffix.addAll(behind);
  }

  /** A component or value that exists in Hugging Face's format and not here. */
  static FileFormatException unsupported(JsonObject json, String key, String supported) {
    return new FileFormatException(
        json.file(),
        json.prefix() + key + " " + JsonObject.brief(json.members().get(key)) + " is not supported",
        "supported: " + supported);
  }
}
