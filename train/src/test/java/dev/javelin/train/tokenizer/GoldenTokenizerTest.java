package dev.javelin.train.tokenizer;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.SequencedMap;
import java.util.stream.Collectors;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Ids and texts as Hugging Face's tokenizers and tiktoken give them. */
class GoldenTokenizerTest {
  private static final Map<String, String> LONG_TEXTS =
      Map.of("shakespeare", "tinyshakespeare.txt", "chinese", "chinese_classics.txt");

  private static Tokenizer load(String name) throws IOException {
    Path directory = SharedFiles.golden(name);
    if (!name.equals("cl100k-8000")) {
      return Tokenizer.load(directory);
    }
    JsonNode expected = SharedFiles.json(directory.resolve("expectations.json"));
    SequencedMap<String, Integer> specials = new LinkedHashMap<>();
    expected
        .get("special_tokens")
        .properties()
        .forEach(e -> specials.put(e.getKey(), e.getValue().intValue()));
    return TiktokenRanks.load(
        directory.resolve("ranks.tiktoken"), expected.get("pattern").textValue(), specials);
  }

  private static JsonNode expectations(String name) throws IOException {
    return SharedFiles.json(SharedFiles.golden(name).resolve("expectations.json"));
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "gpt2",
        "cl100k-8000",
        "bytelevel-gpt2-cut",
        "bytelevel-llama3-style",
        "bytelevel-qwen2-style",
        "sentencepiece-512"
      })
  void idsAndTextsEqualTheReference(String name) throws IOException {
    Tokenizer tokenizer = load(name);
    JsonNode expected = expectations(name);
    boolean normalizes = expected.has("normalizer_note");
    for (JsonNode c : expected.get("cases")) {
      String text = c.get("text").textValue();
      int[] ids = tokenizer.encode(text);
      assertThat(ids).as(text).isEqualTo(SharedFiles.ids(c.get("ids")));
      if (!normalizes) {
        assertThat(tokenizer.decode(ids)).isEqualTo(text);
        int bytes = Arrays.stream(ids).map(tokenizer::byteLength).sum();
        int mark = name.startsWith("sentencepiece") && !text.isEmpty() ? 1 : 0;
        assertThat(bytes).isEqualTo(text.getBytes(StandardCharsets.UTF_8).length + mark);
      }
      if (c.has("ids_special") && !name.startsWith("sentencepiece")) {
        assertThat(tokenizer.encodePrompt(text)).isEqualTo(SharedFiles.ids(c.get("ids_special")));
        assertThat(tokenizer.encodeSpecial(text)).isEqualTo(SharedFiles.ids(c.get("ids_special")));
      }
    }
    for (JsonNode c : expected.path("decode_cases")) {
      assertThat(tokenizer.decode(SharedFiles.ids(c.get("ids"))))
          .isEqualTo(c.get("text").textValue());
    }
    for (JsonNode c : expected.path("with_post_processor")) {
      assertThat(tokenizer.encodePrompt(c.get("text").textValue()))
          .isEqualTo(SharedFiles.ids(c.get("ids")));
    }
    for (JsonNode c : expected.path("special_texts")) {
      int[] ids = SharedFiles.ids(c.get("ids"));
      int[] prompt = tokenizer.encodePrompt(c.get("text").textValue());
      assertThat(Arrays.copyOfRange(prompt, prompt.length - ids.length, prompt.length))
          .isEqualTo(ids);
      assertThat(tokenizer.decode(ids, true)).isEqualTo(c.get("decoded_skip_special").textValue());
    }
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "gpt2",
        "cl100k-8000",
        "bytelevel-gpt2-cut",
        "bytelevel-llama3-style",
        "bytelevel-qwen2-style"
      })
  void longTextsEqualTheReference(String name) throws IOException, NoSuchAlgorithmException {
    Tokenizer tokenizer = load(name);
    JsonNode slices = expectations(name).get("long_texts");
    for (String key : LONG_TEXTS.keySet()) {
      JsonNode expected = slices.get(key);
      String text = SharedFiles.text(LONG_TEXTS.get(key));
      int[] ids = tokenizer.encode(text.substring(0, expected.get("chars").intValue()));
      assertThat(Arrays.copyOf(ids, 64)).isEqualTo(SharedFiles.ids(expected.get("first_64")));
      assertThat(ids).hasSize(expected.get("n_ids").intValue());
      String joined =
          Arrays.stream(ids).mapToObj(Integer::toString).collect(Collectors.joining(","));
      byte[] hash =
          MessageDigest.getInstance("SHA-256").digest(joined.getBytes(StandardCharsets.US_ASCII));
      assertThat(HexFormat.of().formatHex(hash))
          .isEqualTo(expected.get("sha256_of_comma_joined_ids").textValue());
    }
  }

  @org.junit.jupiter.api.Test
  void templatesEndsAndVocabularyAreRead() throws IOException {
    Tokenizer llama3 = load("bytelevel-llama3-style");
    assertThat(llama3.vocabSize()).isEqualTo(3005);
    assertThat(llama3.bos()).hasValue(3000);
    assertThat(llama3.eos()).hasValue(3001);
    assertThat(llama3.specialTokens()).hasSize(5).containsEntry("<|eot_id|>", 3004);
    assertThat(load("gpt2").eos()).hasValue(50256);
    Tokenizer sentencePiece = load("sentencepiece-512");
    assertThat(sentencePiece.encodePrompt("a")).containsExactly(1, 261);
    assertThat(sentencePiece.bos()).hasValue(1);
    assertThat(sentencePiece.eos()).hasValue(2);
    assertThat(load("bytelevel-qwen2-style").eos()).hasValue(1758);
  }
}
