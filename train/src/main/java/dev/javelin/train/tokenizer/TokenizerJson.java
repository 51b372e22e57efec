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

  private static final String[] ROOT_KEYS = {
    "truncation",
    "padding",
    "added_tokens",
    "normalizer",
    "pre_tokenizer",
    "post_processor",
    "decoder",
    "model"
  };

  private TokenizerJson() {}

  /**
   * @param more what other files of the directory say
   */
  static PipelineTokenizer.Parts read(Path file, byte[] content, AddedTokensFiles more) {
    JsonObject root = parse(file, content);
    known(root, "version", ROOT_KEYS);
    PreTokenization.Result words = PreTokenization.read(root, "pre_tokenizer");
    ModelJson.Read model = ModelJson.read(root.object("model"), words.byteLevel());
    SequencedMap<String, AddedTokens.Token> added = added(root);
    TokenNames names = model.names();
    added.values().forEach(token -> names.add(token, root, "added_tokens"));
    more.into(names, added);
    UnaryOperator<String> normalizer = Normalization.read(root, "normalizer");
    check(file, added.values(), normalizer);
    rehearse(root, normalizer, words.splitter());
    PipelineTokenizer.Parts parts =
        new PipelineTokenizer.Parts(
            names.list(),
            List.copyOf(added.values()),
            normalizer,
            model.readsBytes() ? words.splitter() : words.symbols(),
            model.model(),
            Decoding.read(root, "decoder"),
            Template.read(root, "post_processor", names.size()));
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
  static void known(JsonObject json, String key, String... keys) {
    for (String name : json.members().keySet()) {
      if (!name.equals(key) && !List.of(keys).contains(name)) {
        throw json.error(Printable.brief(name, 40), "is not a key of tokenizer.json");
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

  /** A component or value that exists in Hugging Face's format and not here. */
  static FileFormatException unsupported(JsonObject json, String key, String supported) {
    return new FileFormatException(
        json.file(),
        json.prefix() + key + " " + JsonObject.brief(json.members().get(key)) + " is not supported",
        "supported: " + supported);
  }
}
