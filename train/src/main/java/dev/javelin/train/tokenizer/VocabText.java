package dev.javelin.train.tokenizer;

import dev.javelin.tensor.io.FileFormatException;
import dev.javelin.tensor.io.JsonObject;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SequencedMap;
import org.jspecify.annotations.Nullable;

/**
 * Makes a {@code tokenizer.json} of BERT's {@code vocab.txt}, a token a line, and of what {@code
 * tokenizer_config.json} says: {@code do_lower_case}, {@code strip_accents}, {@code
 * tokenize_chinese_chars}, the names of the special tokens.
 */
final class VocabText {
  static final String NAME = "vocab.txt";
  private static final String REMEDY = "take vocab.txt as it was published";
  private static final List<String> CLASSES =
      List.of("BertTokenizer", "DistilBertTokenizer", "ElectraTokenizer");
  private static final List<String> MODEL_TYPES = List.of("bert", "distilbert", "electra");
  private static final List<String> ROLES = List.of("unk", "sep", "pad", "cls", "mask");

  private VocabText() {}

  /**
   * @param file {@code vocab.txt}
   * @param model {@code config.json}
   */
  static byte[] tokenizerJson(
      Path file, byte[] content, AddedTokensFiles beside, @Nullable JsonObject model) {
    JsonObject config = beside.config();
    requireBert(file, config, model);
    SequencedMap<String, Integer> vocabulary = vocabulary(file, content);
    Map<String, Integer> specials = new LinkedHashMap<>();
    Map<String, String> names = new LinkedHashMap<>();
    for (String role : ROLES) {
      var named = beside.named(role + "_token").iterator();
      String name =
          named.hasNext() ? named.next() : "[" + role.toUpperCase(java.util.Locale.ROOT) + "]";
      names.put(role, name);
      Integer id = vocabulary.get(name);
      if (id != null) {
        specials.put(name, id);
      } else if (!role.equals("pad") && !role.equals("mask")) {
        throw new FileFormatException(file, "has no token " + JsonObject.brief(name), REMEDY);
      }
    }
    DerivedJson json = new DerivedJson();
    specials.forEach(json::special);
    String cls = names.getOrDefault("cls", "");
    String sep = names.getOrDefault("sep", "");
    boolean lower = flag(config, "do_lower_case", true);
    return json.with(
            "normalizer",
            DerivedJson.part(
                "BertNormalizer",
                "clean_text",
                true,
                "handle_chinese_chars",
                flag(config, "tokenize_chinese_chars", true),
                "strip_accents",
                flag(config, "strip_accents", lower),
                "lowercase",
                lower))
        .with("pre_tokenizer", DerivedJson.part("BertPreTokenizer"))
        .with(
            "post_processor",
            DerivedJson.part(
                "BertProcessing",
                "sep",
                List.of(sep, vocabulary.getOrDefault(sep, 0)),
                "cls",
                List.of(cls, vocabulary.getOrDefault(cls, 0))))
        .with("decoder", DerivedJson.part("WordPiece", "prefix", "##", "cleanup", true))
        .with(
            "model",
            DerivedJson.part(
                "WordPiece",
                "unk_token",
                names.getOrDefault("unk", ""),
                "continuing_subword_prefix",
                "##",
                "max_input_chars_per_word",
                100,
                "vocab",
                vocabulary))
        .bytes();
  }

  private static boolean flag(@Nullable JsonObject config, String key, boolean absent) {
    return config == null ? absent : config.flag(key, absent);
  }

  private static void requireBert(
      Path file, @Nullable JsonObject config, @Nullable JsonObject model) {
    String name = config == null ? "" : config.text("tokenizer_class", "");
    String modelType = model == null ? "" : model.text("model_type", "");
    boolean known =
        name.isEmpty()
            ? modelType.isEmpty() || MODEL_TYPES.contains(modelType)
            : CLASSES.contains(name.replaceFirst("Fast$", ""));
    if (!known) {
      throw new FileFormatException(
          name.isEmpty() || config == null ? file : config.file(),
          (name.isEmpty()
                  ? "the model_type " + JsonObject.brief(modelType)
                  : "tokenizer_class " + JsonObject.brief(name))
              + " is not supported for vocab.txt",
          "supported: BertTokenizer, DistilBertTokenizer, ElectraTokenizer; or write a"
              + " tokenizer.json with transformers' save_pretrained");
    }
    if (config != null && !config.flag("do_basic_tokenize", true)) {
      throw config.error("do_basic_tokenize", "is false, which is not supported");
    }
  }

  private static SequencedMap<String, Integer> vocabulary(Path file, byte[] content) {
    String text;
    try {
      text = StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(content)).toString();
    } catch (CharacterCodingException e) {
      throw new FileFormatException(file, "is not UTF-8", REMEDY, e);
    }
    SequencedMap<String, Integer> vocabulary = new LinkedHashMap<>();
    int id = 0;
    for (int from = 0; from < text.length(); id++) {
      int end = text.indexOf('\n', from);
      end = end < 0 ? text.length() : end;
      boolean carriage = end > from && text.charAt(end - 1) == '\r';
      String token = text.substring(from, carriage ? end - 1 : end);
      if (id > TokenizerJson.LARGEST_ID || token.length() > UnigramModel.LONGEST_TOKEN) {
        throw new FileFormatException(
            file,
            "line "
                + (id + 1)
                + " is one too many, or longer than "
                + UnigramModel.LONGEST_TOKEN
                + " characters",
            REMEDY);
      }
      vocabulary.put(token, id); // of two the last is found
      from = end + 1;
    }
    return vocabulary;
  }
}
