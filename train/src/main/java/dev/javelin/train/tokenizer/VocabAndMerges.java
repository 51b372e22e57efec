package dev.javelin.train.tokenizer;

import dev.javelin.tensor.io.FileFormatException;
import dev.javelin.tensor.io.JsonObject;
import dev.javelin.train.tokenizer.oniguruma.OnigPattern;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.SequencedMap;
import java.util.function.UnaryOperator;
import org.jspecify.annotations.Nullable;

/**
 * Reads {@code vocab.json} with {@code merges.txt}, which leave the rest to a tokenizer's class:
 * how a text is normalised and cut into words. {@code tokenizer_class} of {@code
 * tokenizer_config.json} names the class, without it {@code model_type} of {@code config.json};
 * where neither file is there it is GPT-2's.
 */
final class VocabAndMerges {
  private static final String END_OF_TEXT = "<|endoftext|>";

  /** Qwen2's words. */
  private static final String QWEN2 =
      "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*"
          + "|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";

  /** The classes whose rules are known. */
  enum Kind {
    GPT2(
        "GPT2Tokenizer",
        List.of("GPT2TokenizerFast", "CodeGenTokenizer", "CodeGenTokenizerFast"),
        List.of("gpt2")),
    GPT_NEOX("GPTNeoXTokenizer", List.of("GPTNeoXTokenizerFast"), List.of("gpt_neox")),
    QWEN2(
        "Qwen2Tokenizer",
        List.of("Qwen2TokenizerFast"),
        List.of("qwen2", "qwen2_moe", "qwen3", "qwen3_moe"));

    private final String className;
    private final List<String> aliases;
    private final List<String> modelTypes;

    Kind(String className, List<String> aliases, List<String> modelTypes) {
      this.className = className;
      this.aliases = aliases;
      this.modelTypes = modelTypes;
    }

    String className() {
      return className;
    }

    private OnigPattern words() {
      return this == QWEN2 ? OnigPattern.compile(VocabAndMerges.QWEN2) : PreTokenization.GPT2;
    }

    private UnaryOperator<String> normalizer() {
      return this == GPT2 ? UnaryOperator.identity() : Normalization.NFC;
    }
  }

  private VocabAndMerges() {}

  static Kind kind(Path directory, @Nullable JsonObject config, @Nullable JsonObject model) {
    String className = config == null ? "" : config.text("tokenizer_class", "");
    String modelType = model == null ? "" : model.text("model_type", "");
    if (className.isEmpty() && modelType.isEmpty()) {
      return Kind.GPT2;
    }
    for (Kind kind : Kind.values()) {
      if (className.isEmpty()
          ? kind.modelTypes.contains(modelType)
          : kind.className.equals(className) || kind.aliases.contains(className)) {
        return kind;
      }
    }
    if (config != null && !className.isEmpty()) {
      throw new FileFormatException(
          config.file(),
          "tokenizer_class "
              + JsonObject.brief(className)
              + " is not supported for vocab.json with merges.txt",
          "supported: GPT2Tokenizer, CodeGenTokenizer, GPTNeoXTokenizer, Qwen2Tokenizer; or write"
              + " a tokenizer.json with transformers' save_pretrained");
    }
    throw new FileFormatException(
        directory,
        "has vocab.json with merges.txt, but nothing says how a text is cut into words: no"
            + " tokenizer_class, and the model_type of config.json is "
            + JsonObject.brief(modelType),
        "add tokenizer_config.json with \"tokenizer_class\": \"GPT2Tokenizer\", or whose it is");
  }

  static PipelineTokenizer.Parts read(
      Path file, SequencedMap<String, byte[]> files, Kind kind, AddedTokensFiles beside) {
    Path vocabFile = file.resolveSibling("vocab.json");
    JsonObject vocab =
        TokenizerJson.parse(vocabFile, Objects.requireNonNull(files.get("vocab.json")));
    Map<String, Integer> vocabulary = TokenizerJson.vocabulary(vocab);
    SequencedMap<String, AddedTokens.Token> added = new LinkedHashMap<>();
    Integer endOfText = vocabulary.get(END_OF_TEXT);
    if (endOfText != null) {
      added.put(END_OF_TEXT, AddedTokens.Token.special(endOfText, END_OF_TEXT));
    }
    TokenNames names = new TokenNames(vocabulary);
    beside.into(names, added);
    TokenizerJson.check(vocabFile, added.values(), kind.normalizer());
    BpeModel model = merges(file.resolveSibling("merges.txt"), vocabulary, files.get("merges.txt"));
    int missing = model.missingByte();
    if (missing >= 0) {
      throw new FileFormatException(
          vocabFile,
          "has no token for byte 0x%02X (%s)".formatted(missing, ByteSymbols.symbol(missing)),
          "take vocab.json and merges.txt as they were published");
    }
    JsonObject config = beside.config();
    boolean prefixSpace = config != null && config.flag("add_prefix_space", false);
    return new PipelineTokenizer.Parts(
        names.list(),
        List.copyOf(added.values()),
        kind.normalizer(),
        PreTokenization.byteLevelWords(kind.words(), prefixSpace),
        model,
        Decoding.BYTES,
        Template.around(end(config, beside, names, "bos"), end(config, beside, names, "eos")));
  }

  private static BpeModel merges(
      Path file, Map<String, Integer> vocabulary, byte @Nullable [] content) {
    String text;
    try {
      text =
          StandardCharsets.UTF_8
              .newDecoder()
              .decode(ByteBuffer.wrap(Objects.requireNonNull(content)))
              .toString();
    } catch (CharacterCodingException e) {
      throw new FileFormatException(file, "is not UTF-8", "take merges.txt as it was published", e);
    }
    List<String> lines =
        text.lines().filter(line -> !line.isEmpty() && !line.startsWith("#version")).toList();
    Merges merges = new Merges(vocabulary, lines.size(), "");
    for (String line : lines) {
      int space = line.indexOf(' ');
      if (space < 0 || !merges.add(line.substring(0, space), line.substring(space + 1))) {
        throw new FileFormatException(
            file,
            JsonObject.brief(line) + " is not a pair of tokens of vocab.json",
            "take vocab.json and merges.txt of the same tokenizer");
      }
    }
    return merges.model(BpeModel.Options.BYTES);
  }

  /** The token that begins or ends a prompt, where the configuration asks for it. */
  private static @Nullable Integer end(
      @Nullable JsonObject config, AddedTokensFiles beside, TokenNames names, String which) {
    if (config == null || !config.flag("add_" + which + "_token", false)) {
      return null;
    }
    var named = beside.named(which + "_token").iterator();
    Integer id = names.id(named.hasNext() ? named.next() : END_OF_TEXT);
    if (id == null) {
      throw config.error("add_" + which + "_token", "is true, but there is no " + which + "_token");
    }
    return id;
  }

  /**
   * Some classes set the template and the leading space of {@code tokenizer.json} anew from their
   * configuration, not all versions of transformers in the same way: where the two disagree that is
   * refused.
   */
  static void checkTemplate(
      JsonObject config, PipelineTokenizer.Parts parts, @Nullable Boolean prefixSpace) {
    String className = config.text("tokenizer_class", "").replaceFirst("Fast$", "");
    if (List.of("LlamaTokenizer", "GemmaTokenizer").contains(className)) {
      agree(config, "add_bos_token", parts.template().begins(), "post_processor");
      agree(config, "add_eos_token", parts.template().ends(), "post_processor");
    }
    if (prefixSpace != null
        && List.of("GPT2Tokenizer", "Qwen2Tokenizer", "GPTNeoXTokenizer").contains(className)) {
      agree(config, "add_prefix_space", prefixSpace, "pre_tokenizer");
    }
  }

  private static void agree(JsonObject config, String key, boolean json, String part) {
    if (config.flag(key, json) != json) {
      throw config.error(
          key, "is " + !json + ", but the " + part + " of tokenizer.json says otherwise");
    }
  }
}
