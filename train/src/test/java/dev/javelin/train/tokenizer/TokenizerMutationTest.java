package dev.javelin.train.tokenizer;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.javelin.tensor.io.FileFormatException;
import dev.javelin.tensor.io.Json;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Base64;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Random;
import java.util.SequencedMap;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * Damaged files, seeded: a tokenizer's files are read, or refused with the one exception that the
 * readers declare. What was read encodes and decodes a text that any vocabulary of bytes, and any
 * with an unknown token, can express.
 */
class TokenizerMutationTest {
  private static final String SAMPLE =
      "The 12 dogs'RE  caf\u00e9\n<end> \u4f60\u597d \ud83d\ude00 tool_call\r\n x<sep>";
  private static final String[] VALUES = {
    "null",
    "true",
    "false",
    "0",
    "-1",
    "1",
    "2147483647",
    "1e308",
    "\"\"",
    "\"a\"",
    "[]",
    "{}",
    "[[]]",
    "{\"type\":\"ByteLevel\"}",
    "\"\\ud800\"",
    "\"(a+)+$\"",
    "99999999999999999999"
  };

  @TempDir private Path directory;

  private static List<SequencedMap<String, byte[]>> good() throws IOException {
    List<SequencedMap<String, byte[]>> all = new ArrayList<>();
    try (InputStream in =
        TokenizerMutationTest.class.getResourceAsStream("/tokenizer/hugging_face.json")) {
      String cases = new String(Objects.requireNonNull(in).readAllBytes(), StandardCharsets.UTF_8);
      byte[] wrapped = ("{\"cases\":" + cases + "}").getBytes(StandardCharsets.UTF_8);
      var parsed = Json.parse(Path.of("hugging_face.json"), java.nio.ByteBuffer.wrap(wrapped));
      for (var c : parsed.objects("cases")) {
        SequencedMap<String, byte[]> files = new LinkedHashMap<>();
        files.put("tokenizer.json", utf8(Json.writeCompact(c.object("tokenizer").members())));
        all.add(files);
      }
    }
    Map<String, Integer> vocabulary = TestTokenizers.bytes("12", "ab", "<|endoftext|>");
    SequencedMap<String, byte[]> files = new LinkedHashMap<>();
    files.put("vocab.json", utf8(Json.writeCompact(vocabulary)));
    files.put("merges.txt", utf8("#version: 0.2\n1 2\na b\n"));
    files.put(
        "tokenizer_config.json",
        utf8(
            "{\"tokenizer_class\":\"Qwen2Tokenizer\",\"eos_token\":\"<|endoftext|>\",\"add_bos_token\":true,"
                + "\"bos_token\":{\"content\":\"<x>\"},\"add_prefix_space\":true,\"added_tokens_decoder\":"
                + "{\"259\":{\"content\":\"<x>\",\"lstrip\":true,\"special\":true},\"260\":{\"content\":\"<end>\"}}}"));
    files.put("special_tokens_map.json", utf8("{\"additional_special_tokens\":[\"<x>\"]}"));
    files.put("added_tokens.json", utf8("{\"<x>\":259}"));
    all.add(files);
    return all;
  }

  private static byte[] utf8(String text) {
    return text.getBytes(StandardCharsets.UTF_8);
  }

  /** One to four damages: bytes, cuts, doubled or moved parts, values in place of values. */
  private static byte[] damaged(byte[] good, Random random) {
    byte[] bytes = good;
    for (int k = random.nextInt(4); k >= 0; k--) {
      int at = bytes.length == 0 ? 0 : random.nextInt(bytes.length);
      int to = Math.min(bytes.length, at + random.nextInt(1, 40));
      bytes =
          switch (random.nextInt(7)) {
            case 0 -> replaced(bytes, at, at, new byte[] {(byte) random.nextInt(256)});
            case 1 ->
                replaced(
                    bytes,
                    at,
                    Math.min(bytes.length, at + 1),
                    new byte[] {(byte) random.nextInt(32, 127)});
            case 2 -> random.nextInt(8) == 0 ? Arrays.copyOf(bytes, at) : bytes;
            case 3 -> replaced(bytes, at, to, new byte[0]);
            case 4 -> replaced(bytes, at, at, Arrays.copyOfRange(bytes, at, to));
            default -> valueReplaced(bytes, at, random);
          };
    }
    return bytes;
  }

  private static byte[] valueReplaced(byte[] bytes, int at, Random random) {
    int colon = at;
    while (colon < bytes.length && bytes[colon] != ':') {
      colon++;
    }
    int end = colon + 1;
    while (end < bytes.length && ",}]".indexOf(bytes[end]) < 0) {
      end++;
    }
    byte[] value = utf8(VALUES[random.nextInt(VALUES.length)]);
    return end > bytes.length ? bytes : replaced(bytes, Math.min(colon + 1, end), end, value);
  }

  private static byte[] replaced(byte[] bytes, int from, int to, byte[] by) {
    byte[] result = new byte[bytes.length - (to - from) + by.length];
    System.arraycopy(bytes, 0, result, 0, from);
    System.arraycopy(by, 0, result, from, by.length);
    System.arraycopy(bytes, to, result, from + by.length, bytes.length - to);
    return result;
  }

  private static void use(Tokenizer tokenizer, String where) {
    try {
      int[] ids = tokenizer.encode(SAMPLE);
      int[] prompt = tokenizer.encodePrompt(SAMPLE);
      assertThat(ids.length).isLessThan(10_000);
      assertThat(tokenizer.decode(prompt)).as(where).isNotNull();
      assertThat(tokenizer.decode(prompt, true)).as(where).isNotNull();
      for (int id : prompt) {
        assertThat(tokenizer.byteLength(id)).as(where).isNotNegative();
      }
    } catch (IllegalArgumentException e) {
      // Declared: a vocabulary of characters that has no unknown token, or a pattern without bound.
      assertThat(e.getMessage())
          .as(where)
          .containsAnyOf("is not in the vocabulary of", "steps at character", "the tokenizer's");
    }
  }

  /** Small tokenizers of all models and components. */
  private static List<SequencedMap<String, byte[]>> components() {
    List<SequencedMap<String, byte[]>> all = new ArrayList<>();
    ComponentsTest.tokenizerFiles().forEach(json -> all.add(alone("tokenizer.json", utf8(json))));
    return all;
  }

  private static SequencedMap<String, byte[]> alone(String name, byte[] content) {
    SequencedMap<String, byte[]> files = new LinkedHashMap<>();
    files.put(name, content);
    return files;
  }

  private static List<SequencedMap<String, byte[]>> sentencePieces() throws IOException {
    List<SequencedMap<String, byte[]>> all = new ArrayList<>();
    for (var model : SentencePieceTest.models()) {
      byte[] content = Base64.getDecoder().decode(model.get("model").textValue());
      SequencedMap<String, byte[]> files = alone("tokenizer.model", content);
      all.add(files);
    }
    return all;
  }

  private static List<SequencedMap<String, byte[]>> vocabularies() {
    SequencedMap<String, byte[]> files =
        alone(
            "vocab.txt",
            utf8("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nthe\n12\ndog\n##s\n'\n##o\nx\r\n\u4f60\n"));
    SequencedMap<String, byte[]> configured = new LinkedHashMap<>(files);
    configured.put(
        "tokenizer_config.json",
        utf8(
            "{\"tokenizer_class\":\"BertTokenizer\",\"do_lower_case\":false,\"strip_accents\":null,"
                + "\"cls_token\":\"[CLS]\",\"unk_token\":{\"content\":\"[UNK]\"}}"));
    return List.of(files, configured);
  }

  private static List<SequencedMap<String, byte[]>> published() {
    return List.of(
        alone("cl100k_base.tiktoken", utf8(ranks())), alone("o200k_base.tiktoken", utf8(ranks())));
  }

  private static void mutate(int count, long seed) throws IOException {
    mutate(count, seed, good());
  }

  private static void mutate(int count, long seed, List<SequencedMap<String, byte[]>> good) {
    Random random = new Random(seed);
    int read = 0;
    for (int i = 0; i < count; i++) {
      SequencedMap<String, byte[]> files =
          new LinkedHashMap<>(good.get(random.nextInt(good.size())));
      List<String> names = List.copyOf(files.keySet());
      String name = names.get(random.nextInt(names.size()));
      files.put(name, damaged(Objects.requireNonNull(files.get(name)), random));
      String where = "seed " + seed + ", case " + i + ", " + name;
      Tokenizer tokenizer;
      try {
        tokenizer = TokenizerFiles.parse(files);
      } catch (FileFormatException e) {
        assertThat(
                Objects.requireNonNull(e.getMessage()).chars().noneMatch(Character::isISOControl))
            .as(where)
            .isTrue();
        continue;
      } catch (RuntimeException | StackOverflowError | OutOfMemoryError e) {
        throw new AssertionError(where, e);
      }
      read++;
      use(tokenizer, where);
    }
    assertThat(read).isGreaterThan(count / 50);
  }

  private static String ranks() {
    StringBuilder good = new StringBuilder();
    for (int b = 0; b < 256; b++) {
      good.append(Base64.getEncoder().encodeToString(new byte[] {(byte) b})).append(" " + b + "\n");
    }
    return good.append("MTI= 256\nYWI= 257\n").toString();
  }

  private void mutateRanks(int count, long seed) throws IOException {
    SequencedMap<String, Integer> specials = new LinkedHashMap<>();
    specials.put("<|endoftext|>", 300);
    Random random = new Random(seed);
    Path file = directory.resolve("ranks.tiktoken");
    for (int i = 0; i < count; i++) {
      Files.write(file, damaged(utf8(ranks()), random));
      String where = "seed " + seed + ", case " + i;
      try {
        use(TiktokenRanks.load(file, "\\w+|\\W", specials), where);
      } catch (FileFormatException e) {
        assertThat(
                Objects.requireNonNull(e.getMessage()).chars().noneMatch(Character::isISOControl))
            .as(where)
            .isTrue();
      }
    }
  }

  @Test
  void damagedFilesAreRefusedAndNothingElse() throws IOException {
    mutate(2_000, 41);
  }

  @Test
  void damagedRanksAreRefusedAndNothingElse() throws IOException {
    mutateRanks(1_000, 42);
  }

  @Test
  void damagedTokenizersOfAllModelsAreRefusedAndNothingElse() {
    mutate(2_000, 45, components());
  }

  @Test
  void damagedSentencePiecesAreRefusedAndNothingElse() throws IOException {
    mutate(2_000, 46, sentencePieces());
  }

  @Test
  void damagedVocabulariesAreRefusedAndNothingElse() {
    mutate(2_000, 47, vocabularies());
  }

  @Test
  void damagedPublishedRanksAreRefusedAndNothingElse() {
    mutate(2_000, 48, published());
  }

  @Test
  @Tag("long")
  void manyDamagedFilesOfAllFormsAreRefusedAndNothingElse() throws IOException {
    mutate(100_000, 49, components());
    mutate(100_000, 50, sentencePieces());
    mutate(100_000, 51, vocabularies());
    mutate(100_000, 52, published());
  }

  @Test
  @Tag("long")
  void manyDamagedFilesAreRefusedAndNothingElse() throws IOException {
    mutate(100_000, 43);
    mutateRanks(20_000, 44);
  }

  @Test
  void hugeAndDeepFilesAreRefused() {
    String deep = "[".repeat(100_000) + "]".repeat(100_000);
    String splits = "{\"type\":\"Sequence\",\"pretokenizers\":[".repeat(40) + "]}".repeat(40);
    for (String part :
        List.of(
            "\"normalizer\":" + deep,
            "\"pre_tokenizer\":" + splits,
            "\"added_tokens\":[{\"id\":2147483647,\"content\":\"a\"}]",
            "\"decoder\":{\"type\":\"Strip\",\"content\":\"\",\"start\":2147483647,\"stop\":0}",
            "\"normalizer\":{\"type\":\"Replace\",\"pattern\":{\"Regex\":\""
                + "(?:".repeat(3_000)
                + "\"},\"content\":\"\"}")) {
      String json = "{" + part + ",\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[]}}";
      try {
        TestTokenizers.parse(json);
        throw new AssertionError("read: " + part.substring(0, 20));
      } catch (FileFormatException expected) {
        assertThat(expected.getMessage()).startsWith("tokenizer.json: ");
      }
    }
  }

  @Test
  void replacementsThatGrowWithoutBoundEndWithAnError() {
    StringBuilder steps = new StringBuilder();
    for (int i = 0; i < 40; i++) {
      steps
          .append(i == 0 ? "" : ",")
          .append("{\"type\":\"Replace\",\"pattern\":{\"String\":\"a\"},\"content\":\"aaaaaaaa\"}");
    }
    String json =
        "{\"%s\":{\"type\":\"Sequence\",\"%s\":["
            + steps
            + "]},\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[]}}";
    assertThatThrownBy(() -> TestTokenizers.parse(json.formatted("normalizer", "normalizers")))
        .isInstanceOf(FileFormatException.class)
        .hasMessageContaining("normalizer cannot be used: the tokenizer's");
    Tokenizer tokenizer = TestTokenizers.parse(json.formatted("decoder", "decoders"));
    assertThatThrownBy(() -> tokenizer.decode(0))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("the tokenizer's");
  }
}
