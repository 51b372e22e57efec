package dev.javelin.train.tokenizer;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.javelin.tensor.io.FileFormatException;
import dev.javelin.tensor.io.Json;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What the files of a tokenizer directory say together; ids as transformers 5.18 gives them. */
class TokenizerDirectoryTest {
  private static final String[] MERGED = {"12", "ab", "'S", "Ġa", ".Ċ"};
  private static final int END = 261;

  @TempDir private Path directory;

  @BeforeEach
  void vocabularyAndMerges() throws IOException {
    Map<String, Integer> vocabulary = TestTokenizers.bytes(MERGED);
    vocabulary.put("<|endoftext|>", END);
    write("vocab.json", vocabulary);
    Files.writeString(directory.resolve("merges.txt"), "#version: 0.2\n1 2\na b\n' S\nĠ a\n. Ċ\n");
  }

  private void write(String file, Object json) throws IOException {
    Files.writeString(directory.resolve(file), Json.write(json));
  }

  private void config(Object... keysAndValues) throws IOException {
    Map<String, Object> config = new java.util.LinkedHashMap<>();
    for (int i = 0; i < keysAndValues.length; i += 2) {
      config.put((String) keysAndValues[i], keysAndValues[i + 1]);
    }
    write("tokenizer_config.json", config);
  }

  private void tokenizerJson(Map<String, Object> more) throws IOException {
    Map<String, Object> byteLevel =
        Map.of("type", "ByteLevel", "add_prefix_space", false, "use_regex", true);
    Map<String, Integer> vocabulary = TestTokenizers.bytes(MERGED);
    vocabulary.put("<|endoftext|>", END);
    Map<String, Object> json = new java.util.LinkedHashMap<>();
    json.put("added_tokens", List.of(TestTokenizers.added(END, "<|endoftext|>", "special")));
    json.put("pre_tokenizer", byteLevel);
    json.put("decoder", byteLevel);
    json.put(
        "model",
        Map.of(
            "type",
            "BPE",
            "vocab",
            vocabulary,
            "merges",
            List.of("1 2", "a b", "' S", "Ġ a", ". Ċ")));
    json.putAll(more);
    write("tokenizer.json", json);
  }

  private int[] ids(String text) {
    return Tokenizer.load(directory).encodePrompt(text);
  }

  private void assertRefused(String message) {
    assertThatThrownBy(() -> Tokenizer.load(directory))
        .isInstanceOf(FileFormatException.class)
        .hasMessageContaining(message);
  }

  private void assertGpt2() {
    assertThat(ids("ab 12 a.\n")).containsExactly(257, 32, 256, 259, 46, 10);
    assertThat(ids("e\u0301 IT'S")).containsExactly(101, 204, 129, 32, 73, 84, 39, 83);
  }

  private void assertQwen2() {
    assertThat(ids("ab 12 a.\n")).containsExactly(257, 32, 49, 50, 259, 260);
    assertThat(ids("e\u0301 IT'S")).containsExactly(195, 169, 32, 73, 84, 258);
  }

  @Test
  void theClassSaysHowVocabAndMergesAreRead() throws IOException {
    assertGpt2();
    config("tokenizer_class", "GPT2Tokenizer");
    assertGpt2();
    config("tokenizer_class", "CodeGenTokenizerFast");
    assertGpt2();
    config("tokenizer_class", "Qwen2Tokenizer");
    assertQwen2();
    config("tokenizer_class", "Qwen2TokenizerFast");
    assertQwen2();
    config("tokenizer_class", "GPTNeoXTokenizer");
    assertThat(ids("e\u0301 IT'S")).containsExactly(195, 169, 32, 73, 84, 39, 83);
    config("tokenizer_class", "RobertaTokenizer");
    assertRefused("tokenizer_config.json: tokenizer_class \"RobertaTokenizer\" is not supported");
  }

  @Test
  void withoutAClassTheModelsTypeSaysIt() throws IOException {
    write("config.json", Map.of("model_type", "qwen2"));
    assertQwen2();
    // The files of the tokenizer say it without the model from then on.
    Tokenizer read = Tokenizer.load(directory);
    Files.delete(directory.resolve("config.json"));
    for (Map.Entry<String, byte[]> file : read.files().entrySet()) {
      Files.write(directory.resolve(file.getKey()), file.getValue());
    }
    assertQwen2();
    Files.delete(directory.resolve("tokenizer_config.json"));
    write("config.json", Map.of("model_type", "gpt2"));
    assertGpt2();
    write("config.json", Map.of("model_type", "llama"));
    assertRefused("no tokenizer_class, and the model_type of config.json is \"llama\"");
  }

  @Test
  void addedTokensComeFromEitherFile() throws IOException {
    Map<String, Object> decoder =
        Map.of(
            "262", TestTokenizers.added(0, "<x>", "special"),
            "263", TestTokenizers.added(0, "<y>", "rstrip"));
    for (int i = 0; i < 2; i++) {
      config("tokenizer_class", "GPT2Tokenizer", "added_tokens_decoder", decoder);
      Tokenizer tokenizer = Tokenizer.load(directory);
      assertThat(tokenizer.encodePrompt("<x> a<y> b")).containsExactly(262, 259, 263, 98);
      assertThat(tokenizer.encode("<x>")).containsExactly(60, 120, 62);
      assertThat(tokenizer.encode("<y>")).containsExactly(263);
      assertThat(tokenizer.vocabSize()).isEqualTo(264);
      config("tokenizer_class", "GPT2Tokenizer");
      write("added_tokens.json", Map.of("<x>", 262, "<y>", 263));
      tokenizer = Tokenizer.load(directory);
      assertThat(tokenizer.encodePrompt("<x> a<y>")).containsExactly(262, 259, 263);
      assertThat(tokenizer.encode("<x>")).containsExactly(262);
      assertThat(tokenizer.files()).containsKey("added_tokens.json");
      Files.delete(directory.resolve("added_tokens.json"));
      tokenizerJson(Map.of());
    }
  }

  @Test
  void addedTokensThatClashAreRefused() throws IOException {
    config("added_tokens_decoder", Map.of("260", TestTokenizers.added(0, "<x>")));
    assertRefused("added_tokens_decoder.260 gives \"<x>\" the id 260 of \".Ċ\"");
    config("added_tokens_decoder", Map.of("262", TestTokenizers.added(0, "ab")));
    assertRefused("added_tokens_decoder.262 gives \"ab\" the id 262, but it has 257");
    config("added_tokens_decoder", Map.of("x", TestTokenizers.added(0, "<x>")));
    assertRefused("added_tokens_decoder.\"x\" is not a token id");
    Files.delete(directory.resolve("tokenizer_config.json"));
    write("added_tokens.json", Map.of("<x>", 5));
    assertRefused("added_tokens.json: \"<x>\" gives \"<x>\" the id 5 of");
  }

  @Test
  void propertiesOfADecoderReplaceThoseOfTokenizerJson() throws IOException {
    tokenizerJson(Map.of());
    assertThat(ids("a <|endoftext|>x")).containsExactly(97, 32, END, 120);
    config(
        "added_tokens_decoder",
        Map.of(String.valueOf(END), TestTokenizers.added(0, "<|endoftext|>", "special", "lstrip")));
    assertThat(ids("a <|endoftext|>x")).containsExactly(97, END, 120);
  }

  @Test
  void rolesMakeTokensSpecial() throws IOException {
    tokenizerJson(Map.of());
    write("special_tokens_map.json", Map.of("additional_special_tokens", List.of("ab")));
    Tokenizer tokenizer = Tokenizer.load(directory);
    assertThat(tokenizer.specialTokens()).containsKeys("<|endoftext|>", "ab");
    assertThat(tokenizer.encode("ab")).containsExactly(257);
    assertThat(tokenizer.decode(new int[] {257, 120}, true)).isEqualTo("x");
    assertThat(tokenizer.files()).containsKey("special_tokens_map.json");
    write("special_tokens_map.json", Map.of("pad_token", Map.of("content", "[PAD]")));
    assertRefused("special_tokens_map.json: pad_token \"[PAD]\" is not in the vocabulary");
  }

  @Test
  void endsAreASet() throws IOException {
    config("eos_token", "ab");
    write("special_tokens_map.json", Map.of("eos_token", Map.of("content", "<|endoftext|>")));
    assertThat(Tokenizer.load(directory).ends()).containsExactly(END, 257);
    assertThat(Tokenizer.load(directory).eos()).hasValue(END);
    Files.delete(directory.resolve("special_tokens_map.json"));
    assertThat(Tokenizer.load(directory).ends()).containsExactly(257);
    config("tokenizer_class", "GPT2Tokenizer");
    assertThat(Tokenizer.load(directory).ends()).containsExactly(END);
    write("config.json", Map.of("model_type", "gpt2", "eos_token_id", List.of(9, 8, 70_000)));
    assertThat(Tokenizer.load(directory).ends()).containsExactly(9, 8);
    write("config.json", Map.of("model_type", "gpt2", "eos_token_id", "9"));
    assertRefused("config.json: eos_token_id must be a token id, got \"9\"");
  }

  @Test
  void beginningAndEndAreAddedWhereTheConfigurationAsks() throws IOException {
    String end = "<|endoftext|>";
    config("tokenizer_class", "GPT2Tokenizer", "add_bos_token", true, "bos_token", end);
    assertThat(ids("ab")).containsExactly(END, 257);
    config("tokenizer_class", "Qwen2Tokenizer", "add_eos_token", true, "eos_token", end);
    assertThat(ids("ab")).containsExactly(257, END);
    assertThat(Tokenizer.load(directory).encode("ab")).containsExactly(257);
    tokenizerJson(Map.of());
    assertThat(ids("ab")).containsExactly(257); // tokenizer.json says it all
    config("tokenizer_class", "LlamaTokenizer", "add_bos_token", true, "bos_token", end);
    assertRefused("add_bos_token is true, but the post_processor of tokenizer.json says otherwise");
  }

  @Test
  void aSpaceGoesBeforeTheTextWhereTheConfigurationAsks() throws IOException {
    config("tokenizer_class", "GPT2Tokenizer", "add_prefix_space", true);
    assertThat(ids("ab 12 a.\n")).containsExactly(32, 257, 32, 256, 259, 46, 10);
    config("tokenizer_class", "Qwen2Tokenizer", "add_prefix_space", true);
    assertThat(ids("ab 12 a.\n")).containsExactly(32, 257, 32, 32, 49, 32, 50, 259, 32, 260);
    tokenizerJson(Map.of());
    assertRefused(
        "add_prefix_space is true, but the pre_tokenizer of tokenizer.json says otherwise");
    config("tokenizer_class", "PreTrainedTokenizerFast", "add_prefix_space", true);
    assertThat(ids("ab")).containsExactly(257);
  }

  @Test
  void whatTheDirectoryBroughtTravelsOn() throws IOException {
    config("tokenizer_class", "GPT2Tokenizer", "chat_template", "{{ messages }}");
    write("special_tokens_map.json", Map.of("eos_token", "<|endoftext|>"));
    Files.writeString(directory.resolve("chat_template.jinja"), "{{ messages }}");
    Files.writeString(directory.resolve("chat_template.json"), "{}");
    assertThat(Tokenizer.load(directory).files())
        .containsOnlyKeys(
            "vocab.json",
            "merges.txt",
            "tokenizer_config.json",
            "special_tokens_map.json",
            "chat_template.jinja",
            "chat_template.json")
        .containsEntry(
            "tokenizer_config.json",
            Files.readAllBytes(directory.resolve("tokenizer_config.json")));
  }
}
