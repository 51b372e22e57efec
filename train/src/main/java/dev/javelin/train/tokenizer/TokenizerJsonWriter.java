package dev.javelin.train.tokenizer;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.UncheckedIOException;
import java.util.LinkedHashMap;
import java.util.List;
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
    ObjectNode split =
        Json.MAPPER
            .createObjectNode()
            .put("type", "ByteLevel")
            .put("add_prefix_space", false)
            .put("trim_offsets", true)
            .put("use_regex", words);
    return files(tokens, merges, specials, split, split.deepCopy());
  }

  /** A vocabulary of single characters. */
  static SequencedMap<String, byte[]> characters(SequencedMap<String, Integer> tokens) {
    ObjectNode fuse = Json.MAPPER.createObjectNode().put("type", "Fuse");
    return files(tokens, List.of(), new LinkedHashMap<>(), null, fuse);
  }

  private static SequencedMap<String, byte[]> files(
      SequencedMap<String, Integer> tokens,
      List<String[]> merges,
      SequencedMap<String, Integer> specials,
      @Nullable ObjectNode preTokenizer,
      ObjectNode decoder) {
    ObjectNode root = Json.MAPPER.createObjectNode().put("version", "1.0");
    root.putNull("truncation").putNull("padding");
    ArrayNode added = root.putArray("added_tokens");
    specials.forEach(
        (content, id) ->
            added
                .addObject()
                .put("id", id)
                .put("content", content)
                .put("single_word", false)
                .put("lstrip", false)
                .put("rstrip", false)
                .put("normalized", false)
                .put("special", true));
    root.putNull("normalizer").set("pre_tokenizer", preTokenizer);
    root.putNull("post_processor").set("decoder", decoder);
    ObjectNode model = root.putObject("model").put("type", "BPE");
    model.putNull("dropout").putNull("unk_token");
    model.putNull("continuing_subword_prefix").putNull("end_of_word_suffix");
    model.put("fuse_unk", false).put("byte_fallback", false).put("ignore_merges", false);
    ObjectNode vocabulary = model.putObject("vocab");
    tokens.forEach(vocabulary::put);
    ArrayNode pairs = model.putArray("merges");
    merges.forEach(pair -> pairs.addArray().add(pair[0]).add(pair[1]));

    ObjectNode config =
        Json.MAPPER
            .createObjectNode()
            .put("tokenizer_class", "PreTrainedTokenizerFast")
            .put("clean_up_tokenization_spaces", false);
    if (!specials.isEmpty()) {
      config.put("eos_token", specials.firstEntry().getKey());
    }
    SequencedMap<String, byte[]> files = new LinkedHashMap<>();
    files.put("tokenizer.json", bytes(root));
    files.put("tokenizer_config.json", bytes(config));
    return files;
  }

  private static byte[] bytes(ObjectNode node) {
    try {
      return Json.MAPPER.writerWithDefaultPrettyPrinter().writeValueAsBytes(node);
    } catch (JsonProcessingException e) {
      throw new UncheckedIOException(e);
    }
  }
}
