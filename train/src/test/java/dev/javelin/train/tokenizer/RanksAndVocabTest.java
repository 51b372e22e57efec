package dev.javelin.train.tokenizer;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.javelin.tensor.io.FileFormatException;
import dev.javelin.tensor.io.Json;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Tiktoken's published rank files, by name, and BERT's {@code vocab.txt}. */
class RanksAndVocabTest {
  /** The patterns as tiktoken 0.14 and the models' own code have them. */
  private static final String R50K =
      "'(?:[sdmt]|ll|ve|re)| ?\\p{L}++| ?\\p{N}++| ?[^\\s\\p{L}\\p{N}]++|\\s++$|\\s+(?!\\S)|\\s";

  private static final String CL100K =
      "'(?i:[sdmt]|ll|ve|re)|[^\\r\\n\\p{L}\\p{N}]?+\\p{L}++|\\p{N}{1,3}+| ?[^\\s\\p{L}\\p{N}]++[\\r\\n]*+|\\s++$|\\s*[\\r\\n]|\\s+(?!\\S)|\\s";
  private static final String O200K =
      "[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]*[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]+[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
  private static final String QWEN =
      "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";

  @TempDir private Path directory;

  private static String pattern(TiktokenEncoding encoding) {
    return switch (encoding) {
      case R50K, P50K -> R50K;
      case CL100K, LLAMA3 -> CL100K;
      case O200K -> O200K;
      case QWEN -> QWEN;
    };
  }

  /** The bytes, then tokens that join two before them at random, and fillers. */
  private static String ranks(Random random, int size) {
    List<byte[]> tokens = new ArrayList<>();
    List<String> known = new ArrayList<>();
    for (int b = 0; b < 256; b++) {
      add(tokens, known, new byte[] {(byte) b});
    }
    byte[] often = " the12'sS\n\u00e9".getBytes(StandardCharsets.UTF_8);
    while (tokens.size() < Math.min(size, 500)) {
      int from = tokens.size();
      byte[] left =
          random.nextInt(3) == 0 && from > 256
              ? tokens.get(256 + random.nextInt(from - 256))
              : new byte[] {often[random.nextInt(often.length)]};
      byte[] joined = java.util.Arrays.copyOf(left, left.length + 1);
      joined[left.length] = often[random.nextInt(often.length)];
      add(tokens, known, joined);
    }
    for (int i = tokens.size(); i < size; i++) {
      add(tokens, known, ("\u0001" + i).getBytes(StandardCharsets.UTF_8));
    }
    StringBuilder file = new StringBuilder();
    for (int rank = 0; rank < tokens.size(); rank++) {
      file.append(Base64.getEncoder().encodeToString(tokens.get(rank))).append(' ');
      file.append(rank).append('\n');
    }
    return file.toString();
  }

  private static void add(List<byte[]> tokens, List<String> known, byte[] token) {
    String name = new String(token, StandardCharsets.ISO_8859_1);
    if (token.length > 2 && token[0] == 1 || !known.contains(name)) {
      tokens.add(token);
      known.add(name);
    }
  }

  private static String text(Random random) {
    StringBuilder text = new StringBuilder();
    String pool = "the tTeEhsS'' 12  3\n\r\u00e9\u0301 .,/-\u4f60\u0416\u3000l";
    for (int i = random.nextInt(60); i >= 0; i--) {
      text.append(pool.charAt(random.nextInt(pool.length())));
    }
    return text.toString();
  }

  @ParameterizedTest
  @EnumSource
  void aPublishedFileIsReadByItsName(TiktokenEncoding encoding) throws IOException {
    long seed = 31;
    Random random = new Random(seed);
    boolean whole = encoding == TiktokenEncoding.LLAMA3;
    Path file = directory.resolve(encoding.fileName());
    Files.writeString(file, ranks(random, whole ? encoding.ranks() : 500));
    Tokenizer exact = TiktokenRanks.load(file, pattern(encoding), encoding.specials());
    Tokenizer tokenizer = Tokenizer.load(directory);
    for (int i = 0; i < 200; i++) {
      String text = text(random);
      String normal =
          encoding == TiktokenEncoding.QWEN
              ? java.text.Normalizer.normalize(text, java.text.Normalizer.Form.NFC)
              : text;
      assertThat(tokenizer.encode(text))
          .as("seed " + seed + ": " + text)
          .isEqualTo(exact.encode(normal));
    }
    assertThat(tokenizer.specialTokens()).isEqualTo(encoding.specials());
    String end = encoding.specials().firstEntry().getKey();
    int id = encoding.specials().firstEntry().getValue();
    assertThat(tokenizer.eos()).hasValue(id);
    assertThat(tokenizer.encodePrompt(end)).endsWith(id).hasSize(whole ? 2 : 1);
    assertThat(tokenizer.bos().isPresent()).isEqualTo(whole);
    assertThat(tokenizer.files())
        .containsOnlyKeys(encoding.fileName(), "tokenizer.json", "tokenizer_config.json")
        .containsEntry(encoding.fileName(), Files.readAllBytes(file));
    Tokenizer again = TokenizerFiles.parse(new java.util.LinkedHashMap<>(tokenizer.files()));
    assertThat(again.encode("the 12 the's")).isEqualTo(tokenizer.encode("the 12 the's"));
    assertThat(Tokenizer.load(file).encode("the")).isEqualTo(tokenizer.encode("the"));
  }

  @Test
  void specialTokensHaveThePublishedIds() {
    assertThat(TiktokenEncoding.LLAMA3.specials())
        .hasSize(256)
        .containsEntry("<|eot_id|>", 128009)
        .containsEntry("<|start_header_id|>", 128006)
        .containsEntry("<|reserved_special_token_5|>", 128010)
        .containsEntry("<|reserved_special_token_250|>", 128255);
    assertThat(TiktokenEncoding.QWEN.specials())
        .hasSize(208)
        .containsEntry("<|im_end|>", 151645)
        .containsEntry("<|extra_204|>", 151850);
  }

  @Test
  void ranksOfAnotherKindAreRefused() throws IOException {
    Path file = directory.resolve("mine.tiktoken");
    Files.writeString(file, ranks(new Random(1), 300));
    assertThatThrownBy(() -> Tokenizer.load(file))
        .isInstanceOf(FileFormatException.class)
        .hasMessageContaining("mine.tiktoken: is a rank file whose pattern")
        .hasMessageContaining("cl100k_base.tiktoken, o200k_base.tiktoken");
    Path llama = directory.resolve("tokenizer.model");
    Files.writeString(llama, ranks(new Random(1), 300));
    assertThatThrownBy(() -> Tokenizer.load(directory))
        .isInstanceOf(FileFormatException.class)
        .hasMessageContaining("tokenizer.model: has 300 ranks; llama3 has 128000");
  }

  private void vocabulary(String... tokens) throws IOException {
    Files.writeString(directory.resolve("vocab.txt"), String.join("\n", tokens) + "\n");
  }

  private void write(String file, Object json) throws IOException {
    Files.writeString(directory.resolve(file), Json.write(json));
  }

  /** Ids as transformers 5.18's BertTokenizer gives them. */
  @Test
  void aVocabularyOfBertIsReadWithItsConfiguration() throws IOException {
    vocabulary(
        "[PAD]",
        "[UNK]",
        "[CLS]",
        "[SEP]",
        "[MASK]",
        "the",
        "caf",
        "##e",
        "##\u00e9",
        "The",
        "dog",
        "##s",
        "\u4f60",
        "\u597d",
        "!",
        "cafe");
    Tokenizer tokenizer = Tokenizer.load(directory);
    String text = "The caf\u00e9 dogs\u4f60\u597d! x [MASK]";
    assertThat(tokenizer.encodePrompt(text)).containsExactly(2, 5, 15, 10, 11, 12, 13, 14, 1, 4, 3);
    assertThat(tokenizer.encode("[MASK]")).containsExactly(1, 1, 1);
    TypedIds pair = tokenizer.encodeTyped("the dog", "dogs");
    assertThat(pair.ids()).containsExactly(2, 5, 10, 3, 10, 11, 3);
    assertThat(pair.typeIds()).containsExactly(0, 0, 0, 0, 1, 1, 1);
    assertThat(tokenizer.decode(new int[] {2, 5, 10, 11, 14, 3}, true)).isEqualTo("the dogs!");
    assertThat(tokenizer.files())
        .containsOnlyKeys("vocab.txt", "tokenizer.json", "tokenizer_config.json");
    Tokenizer again = TokenizerFiles.parse(new java.util.LinkedHashMap<>(tokenizer.files()));
    assertThat(again.encodePrompt(text)).isEqualTo(tokenizer.encodePrompt(text));

    write(
        "tokenizer_config.json",
        Map.of("tokenizer_class", "BertTokenizer", "do_lower_case", false, "cls_token", "dog"));
    assertThat(Tokenizer.load(directory).encodePrompt("The caf\u00e9 the"))
        .containsExactly(10, 9, 6, 8, 5, 3);
    write(
        "tokenizer_config.json",
        Map.of("tokenize_chinese_chars", false, "strip_accents", false, "do_lower_case", true));
    assertThat(Tokenizer.load(directory).encodePrompt("The caf\u00e9\u4f60"))
        .containsExactly(2, 5, 1, 3);
  }

  @Test
  void aVocabularyThatIsNotBertsIsRefused() throws IOException {
    vocabulary("[PAD]", "[UNK]", "[CLS]");
    assertRefused("vocab.txt: has no token \"[SEP]\"");
    vocabulary("[UNK]", "[CLS]", "[SEP]");
    write("config.json", Map.of("model_type", "mpnet"));
    assertRefused("vocab.txt: the model_type \"mpnet\" is not supported for vocab.txt");
    write("tokenizer_config.json", Map.of("tokenizer_class", "RoFormerTokenizer"));
    assertRefused("tokenizer_config.json: tokenizer_class \"RoFormerTokenizer\" is not supported");
    write(
        "tokenizer_config.json",
        Map.of("tokenizer_class", "BertTokenizerFast", "do_basic_tokenize", false));
    assertRefused("do_basic_tokenize is false, which is not supported");
    Files.delete(directory.resolve("tokenizer_config.json"));
    Files.delete(directory.resolve("config.json"));
    vocabulary("[UNK]", "[CLS]", "[SEP]", "a".repeat(2000));
    assertRefused("vocab.txt: line 4 is one too many, or longer than 1024 characters");
  }

  private void assertRefused(String message) {
    assertThatThrownBy(() -> Tokenizer.load(directory))
        .isInstanceOf(FileFormatException.class)
        .hasMessageContaining(message);
  }
}
