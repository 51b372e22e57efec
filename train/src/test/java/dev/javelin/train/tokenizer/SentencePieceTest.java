package dev.javelin.train.tokenizer;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.javelin.tensor.io.FileFormatException;
import dev.javelin.tensor.io.Json;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Base64;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.SequencedMap;
import java.util.zip.GZIPInputStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** {@code tokenizer.model} against {@code sentencepiece.py}. */
class SentencePieceTest {
  @TempDir private Path directory;

  static List<JsonNode> models() throws IOException {
    try (InputStream in =
        new GZIPInputStream(
            Objects.requireNonNull(
                SentencePieceTest.class.getResourceAsStream("/tokenizer/sentencepiece.json.gz")))) {
      List<JsonNode> models = new ArrayList<>();
      new ObjectMapper().readTree(in).forEach(models::add);
      return models;
    }
  }

  static byte[] model(String name) throws IOException {
    return models().stream()
        .filter(m -> m.get("name").textValue().equals(name))
        .findFirst()
        .map(m -> Base64.getDecoder().decode(m.get("model").textValue()))
        .orElseThrow();
  }

  private static Tokenizer parse(byte[] model) {
    SequencedMap<String, byte[]> files = new LinkedHashMap<>();
    files.put("tokenizer.model", model);
    return TokenizerFiles.parse(files);
  }

  @ParameterizedTest
  @MethodSource("models")
  void idsAndTextsEqualTheReference(JsonNode expected) {
    Tokenizer tokenizer = parse(Base64.getDecoder().decode(expected.get("model").textValue()));
    for (JsonNode c : expected.get("cases")) {
      String where = expected.get("name").textValue() + ": " + c.get("text");
      int[] ids = tokenizer.encode(c.get("text").textValue());
      assertThat(ids).as(where).isEqualTo(SharedFiles.ids(c.get("ids")));
      if (!c.get("decoded").isNull()) {
        assertThat(tokenizer.decode(ids)).as(where).isEqualTo(c.get("decoded").textValue());
      }
    }
  }

  @Test
  void thePublishedModelGivesItsIds() throws IOException {
    Path golden = SharedFiles.golden("sentencepiece-512");
    Files.copy(golden.resolve("tokenizer.model"), directory.resolve("tokenizer.model"));
    Files.copy(golden.resolve("tokenizer_config.json"), directory.resolve("tokenizer_config.json"));
    Tokenizer tokenizer = Tokenizer.load(directory);
    for (JsonNode c : SharedFiles.json(golden.resolve("expectations.json")).get("cases")) {
      JsonNode ids =
          c.has("sentencepiece_model_ids") ? c.get("sentencepiece_model_ids") : c.get("ids");
      assertThat(tokenizer.encode(c.get("text").textValue()))
          .as(c.get("text").toString())
          .isEqualTo(SharedFiles.ids(ids));
    }
    assertThat(tokenizer.encodePrompt("a")).containsExactly(1, 261);
    assertThat(tokenizer.bos()).hasValue(1);
    assertThat(tokenizer.eos()).hasValue(2);
    assertThat(tokenizer.specialTokens()).containsOnlyKeys("<unk>", "<s>", "</s>");
    assertThat(tokenizer.files()).containsOnlyKeys("tokenizer.model", "tokenizer_config.json");
  }

  private void write(String file, Object json) throws IOException {
    Files.writeString(directory.resolve(file), Json.write(json));
  }

  private int[] prompt(String text) {
    return Tokenizer.load(directory).encodePrompt(text);
  }

  /** What is put around a prompt, by the class or the model's type. */
  @Test
  void theClassSaysWhatIsPutAroundAText() throws IOException {
    Files.write(directory.resolve("tokenizer.model"), model("bpe, bytes"));
    int[] plain = Tokenizer.load(directory).encode("the fox");
    assertThat(prompt("the fox")).isEqualTo(plain);
    write("config.json", Map.of("model_type", "llama"));
    assertThat(prompt("the fox")).startsWith(1).hasSize(plain.length + 1);
    assertThat(Tokenizer.load(directory).files()).containsKey("tokenizer_config.json");
    write("config.json", Map.of("model_type", "t5"));
    assertThat(prompt("the fox")).endsWith(2).hasSize(plain.length + 1);
    write("tokenizer_config.json", Map.of("tokenizer_class", "LlamaTokenizer"));
    assertThat(prompt("the fox")).startsWith(1).hasSize(plain.length + 1);
    write(
        "tokenizer_config.json",
        Map.of(
            "tokenizer_class",
            "LlamaTokenizerFast",
            "add_bos_token",
            false,
            "add_eos_token",
            true,
            "eos_token",
            Map.of("content", "<s>")));
    assertThat(prompt("the fox")).endsWith(1).hasSize(plain.length + 1);
    assertThat(Tokenizer.load(directory).eos()).hasValue(1);
    write("tokenizer_config.json", Map.of("tokenizer_class", "XLMRobertaTokenizer"));
    assertThatThrownBy(() -> Tokenizer.load(directory))
        .isInstanceOf(FileFormatException.class)
        .hasMessageContaining(
            "tokenizer_class \"XLMRobertaTokenizer\" is not supported for tokenizer.model");
  }

  /** As Llama has it: a space in front of what follows a special token, in the old way only. */
  @Test
  void whiteSpaceBehindSpecialTokensDependsOnLegacy() throws IOException {
    Files.write(directory.resolve("tokenizer.model"), model("bpe, bytes"));
    int[] word = Tokenizer.load(directory).encode("fox");
    write("tokenizer_config.json", Map.of("tokenizer_class", "LlamaTokenizer", "legacy", true));
    assertThat(prompt("fox</s>fox"))
        .containsExactly(concat(new int[] {1}, word, new int[] {2}, word));
    write("tokenizer_config.json", Map.of("tokenizer_class", "LlamaTokenizer", "legacy", false));
    int[] inside = {265, 375};
    assertThat(prompt("fox</s>fox"))
        .containsExactly(concat(new int[] {1}, word, new int[] {2}, inside));
    assertThat(Tokenizer.load(directory).decode(inside)).isEqualTo("fox");
    assertThat(Tokenizer.load(directory).decode(prompt("fox</s>fox"))).isEqualTo("<s> fox</s>fox");
    write(
        "tokenizer_config.json",
        Map.of("tokenizer_class", "LlamaTokenizer", "add_prefix_space", false));
    assertThat(prompt("fox")).containsExactly(concat(new int[] {1}, inside));
  }

  private static int[] concat(int[]... parts) {
    return java.util.Arrays.stream(parts).flatMapToInt(java.util.Arrays::stream).toArray();
  }

  /** A message of the given fields: number, then text or bytes or a number. */
  private static byte[] message(Object... fields) {
    var out = new java.io.ByteArrayOutputStream();
    for (int i = 0; i < fields.length; i += 2) {
      int number = (Integer) fields[i];
      if (fields[i + 1] instanceof Integer value) {
        varint(out, number << 3);
        varint(out, value);
      } else {
        byte[] bytes =
            fields[i + 1] instanceof String text
                ? text.getBytes(StandardCharsets.UTF_8)
                : (byte[]) fields[i + 1];
        varint(out, number << 3 | 2);
        varint(out, bytes.length);
        out.writeBytes(bytes);
      }
    }
    return out.toByteArray();
  }

  private static void varint(java.io.ByteArrayOutputStream out, int value) {
    for (int rest = value; ; rest >>>= 7) {
      out.write(rest < 128 ? rest : rest & 127 | 128);
      if (rest < 128) {
        return;
      }
    }
  }

  private static void assertRefused(String message, byte[] model) {
    assertThatThrownBy(() -> parse(model))
        .isInstanceOf(FileFormatException.class)
        .hasMessageStartingWith("tokenizer.model: ")
        .hasMessageContaining(message);
  }

  @Test
  void whatIsNotAModelIsRefusedByName() {
    byte[] unknown = message(1, "<unk>", 3, 2);
    byte[] a = message(1, "a");
    byte[] bpe = message(3, 2);
    assertThat(parse(message(1, unknown, 1, a, 2, bpe)).encode("a")).containsExactly(0, 1);
    assertRefused("no piece is the unknown one", message(1, a));
    assertRefused("two pieces are the unknown one", message(1, unknown, 1, message(1, "u", 3, 2)));
    assertRefused("the piece \"a\" occurs twice", message(1, unknown, 1, a, 1, a));
    assertRefused("a piece is empty", message(1, unknown, 1, message(3, 1)));
    assertRefused("has the unknown type 9", message(1, message(1, "a", 3, 9)));
    assertRefused("model_type 3 is not supported", message(1, unknown, 2, message(3, 3)));
    assertRefused("it has not all 256 bytes", message(1, unknown, 2, message(3, 2, 35, 1)));
    assertRefused(
        "denormalizer is not supported", message(1, unknown, 5, message(2, new byte[] {1})));
    assertRefused(
        "table of characters: it has no trie",
        message(1, unknown, 3, message(2, new byte[] {9, 0, 0, 0, 1})));
    assertRefused(
        "the unused piece \"aa\" can be made of others",
        message(1, unknown, 1, a, 1, message(1, "aa", 3, 5), 2, bpe));
    assertRefused("field 1 is cut off", java.util.Arrays.copyOf(message(1, unknown), 5));
    assertRefused(
        "a piece has more than 1024", message(1, unknown, 1, message(1, "a".repeat(1025))));
  }
}
