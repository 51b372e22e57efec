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
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Objects;
import java.util.Random;
import java.util.SequencedMap;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;

/** Small tokenizers of every supported component, against {@code hugging_face.py}. */
class HuggingFaceTokenizerTest {
  private static final String LLAMA3 = "llama3 words";

  @TempDir private Path directory;

  static List<JsonNode> cases() throws IOException {
    try (InputStream in =
        HuggingFaceTokenizerTest.class.getResourceAsStream("/tokenizer/hugging_face.json")) {
      List<JsonNode> cases = new ArrayList<>();
      new ObjectMapper().readTree(Objects.requireNonNull(in)).forEach(cases::add);
      return cases;
    }
  }

  private static String json(String name) throws IOException {
    return cases().stream()
        .filter(c -> c.get("name").textValue().equals(name))
        .findFirst()
        .orElseThrow()
        .get("tokenizer")
        .toString();
  }

  private static Tokenizer parse(String json) {
    SequencedMap<String, byte[]> files = new LinkedHashMap<>();
    files.put("tokenizer.json", json.getBytes(StandardCharsets.UTF_8));
    return TokenizerFiles.parse(files);
  }

  @ParameterizedTest
  @MethodSource("cases")
  void idsAndTextsEqualTheReference(JsonNode expected) {
    String name = expected.get("name").textValue();
    Tokenizer tokenizer = parse(expected.get("tokenizer").toString());
    for (JsonNode c : expected.get("cases")) {
      String text = c.get("text").textValue();
      String where = name + ": " + text;
      assertThat(tokenizer.encode(text)).as(where).isEqualTo(SharedFiles.ids(c.get("ids")));
      int[] prompt = tokenizer.encodePrompt(text);
      assertThat(prompt).as(where).isEqualTo(SharedFiles.ids(c.get("prompt")));
      assertThat(tokenizer.decode(prompt)).as(where).isEqualTo(c.get("decoded").textValue());
      assertThat(tokenizer.decode(prompt, true)).as(where).isEqualTo(c.get("shown").textValue());
    }
  }

  /** Joins by scanning all pairs for the lowest rank, again and again. */
  @Test
  void mergingWithTheHeapEqualsScanning() {
    LongIntMap ranks = new LongIntMap(8);
    LinkedHashMap<String, Integer> vocabulary = new LinkedHashMap<>();
    List<String> names = new ArrayList<>(List.of("a", "b", "c"));
    Random random = new Random(7);
    int[] merged = new int[60];
    for (int rank = 0; rank < merged.length; rank++) {
      String left = names.get(random.nextInt(names.size()));
      String right = names.get(random.nextInt(names.size()));
      if (!names.contains(left + right)) {
        names.add(left + right);
      }
      merged[rank] = names.indexOf(left + right);
      ranks.put(PairJoiner.pair(names.indexOf(left), names.indexOf(right)), rank);
    }
    names.forEach(name -> vocabulary.put(name, vocabulary.size()));
    BpeModel model =
        new BpeModel(
            vocabulary,
            new PairJoiner(ranks, merged, null),
            new BpeModel.Options(false, -1, false, false, false, "", ""));
    for (int length : new int[] {1, 2, 7, 31, 33, 127, 1000}) {
      StringBuilder word = new StringBuilder();
      List<Integer> scanned = new ArrayList<>();
      for (int i = 0; i < length; i++) {
        int c = random.nextInt(3);
        word.append("abc".charAt(c));
        scanned.add(c);
      }
      while (true) {
        int best = -1;
        int bestRank = Integer.MAX_VALUE;
        for (int i = 0; i + 1 < scanned.size(); i++) {
          int rank = ranks.get(PairJoiner.pair(scanned.get(i), scanned.get(i + 1)));
          if (rank != LongIntMap.ABSENT && rank < bestRank) {
            best = i;
            bestRank = rank;
          }
        }
        if (best < 0) {
          break;
        }
        scanned.set(best, merged[bestRank]);
        scanned.remove(best + 1);
      }
      List<Integer> ids = new ArrayList<>();
      model.encode(word.toString(), ids::add);
      assertThat(ids).as("length " + length).isEqualTo(scanned);
    }
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "\"type\":\"BPE\"|\"type\":\"Trigram\"|model.type \"Trigram\" is not supported",
        "\"type\":\"Split\"|\"type\":\"Sentences\"|pre_tokenizer.pretokenizers[0].type \"Sentences\"",
        "\"normalizer\":null|\"normalizer\":{\"type\":\"Uppercase\"}|normalizer.type \"Uppercase\"",
        "\"type\":\"TemplateProcessing\"|\"type\":\"GptProcessing\"|\"GptProcessing\" is not supported",
        "\"decoder\":{\"type\":\"ByteLevel\"|\"decoder\":{\"type\":\"Morse\"|decoder.type \"Morse\"",
        "\"dropout\":null|\"dropout\":0.1|model.dropout 0.1 is not supported",
        "\"type\":\"Split\"|\"type\":\"Split\",\"lazy\":true|pre_tokenizer.pretokenizers[0].lazy is not a key of tokenizer.json",
        "\"behavior\":\"Isolated\"|\"behavior\":\"Sideways\"|behavior \"Sideways\" is not supported; supported: Removed",
        "\"Regex\":\"(?i|\"Regex\":\"(?<bad|pattern.Regex cannot be used: a group with an invalid name",
        "\"ignore_merges\":true|\"ignore_merges\":1|model.ignore_merges must be true or false",
        "\"merges\":|\"merges_\":|model.merges_ is not a key of tokenizer.json",
        "\"normalizer\":|\"normaliser\":|normaliser is not a key of tokenizer.json",
        "\"merges\":[|\"merges\":[[\"t\",\"zzz\"],|model.merges[0] joins \"t\" and \"zzz\"",
        "\"merges\":[|\"merges\":[[\"t\"],|model.merges[0] must be two tokens, got [\"t\"]",
        "\"vocab\":{|\"vocab\":{\"new\":-1,|model.vocab.new must be from 0 to",
        "\"vocab\":{|\"vocab\":{\"new\":2000000000,|model.vocab.new must be from 0 to",
        "{\"version\"|[|must begin with '{'",
      })
  void refusesWhatItDoesNotKnowByName(String from, String to, String message) throws IOException {
    String good = json(LLAMA3);
    assertThat(good).contains(from);
    String bad =
        good.substring(0, good.indexOf(from))
            + to
            + good.substring(good.indexOf(from) + from.length());
    assertThatThrownBy(() -> parse(bad))
        .isInstanceOf(FileFormatException.class)
        .hasMessageStartingWith("tokenizer.json: ")
        .hasMessageContaining(message);
  }

  @Test
  void damagedFilesAreRefusedAndNothingElse() throws IOException {
    byte[] good = json("sentencepiece").getBytes(StandardCharsets.UTF_8);
    long seed = 20;
    Random random = new Random(seed);
    for (int i = 0; i < 300; i++) {
      byte[] bad = good.clone();
      for (int k = random.nextInt(4); k >= 0; k--) {
        bad[random.nextInt(bad.length)] = (byte) random.nextInt(32, 127);
      }
      byte[] cut =
          random.nextInt(4) == 0 ? java.util.Arrays.copyOf(bad, random.nextInt(bad.length)) : bad;
      SequencedMap<String, byte[]> files = new LinkedHashMap<>();
      files.put("tokenizer.json", cut);
      try {
        TokenizerFiles.parse(files);
      } catch (FileFormatException expected) {
        assertThat(expected.getMessage()).as("seed " + seed + ", case " + i).doesNotContain("\n");
      }
    }
  }

  @Test
  void directoriesWithoutATokenizerSaySo() throws IOException {
    assertThatThrownBy(() -> Tokenizer.load(directory))
        .isInstanceOf(FileFormatException.class)
        .hasMessageContaining(
            "holds no tokenizer: none of tokenizer.json, vocab.json with merges.txt");
    Files.write(directory.resolve("tokenizer.model"), new byte[1]);
    assertThatThrownBy(() -> Tokenizer.load(directory))
        .hasMessageContaining("tokenizer.model: is not a sentencepiece model");
    assertThatThrownBy(() -> Tokenizer.load(directory.resolve("gone")))
        .hasMessageContaining("does not exist");
  }

  @Test
  void theDirectorysFilesNameTheEnds() throws IOException {
    Files.writeString(directory.resolve("tokenizer.json"), json(LLAMA3));
    assertThat(Tokenizer.load(directory).eos()).isEmpty();
    int end = Objects.requireNonNull(Tokenizer.load(directory).specialTokens().get("<end>"));
    assertThat(Tokenizer.load(directory).encodePrompt("<end>")).containsExactly(end, end, end);
    assertThat(Tokenizer.load(directory).encodeSpecial("<end>")).containsExactly(end);
    Files.writeString(directory.resolve("config.json"), "{\"eos_token_id\": [7, 8]}");
    assertThat(Tokenizer.load(directory).eos()).hasValue(7);
    Files.writeString(
        directory.resolve("tokenizer_config.json"),
        "{\"bos_token\": {\"content\": \"<end>\"}, \"eos_token\": \"<end>\"}");
    Tokenizer tokenizer = Tokenizer.load(directory);
    assertThat(tokenizer.bos()).hasValue(end);
    assertThat(tokenizer.eos()).hasValue(end);
    assertThat(tokenizer.files()).containsOnlyKeys("tokenizer.json", "tokenizer_config.json");
    Files.writeString(directory.resolve("tokenizer_config.json"), "{\"eos_token\": \"</s>\"}");
    assertThatThrownBy(() -> Tokenizer.load(directory))
        .isInstanceOf(FileFormatException.class)
        .hasMessageContaining("tokenizer_config.json: eos_token \"</s>\" is not in the vocabulary");
  }

  @Test
  void gpt2sFilesMustBelongTogether() throws IOException {
    Files.writeString(directory.resolve("vocab.json"), Json.write(TestTokenizers.bytes("ab")));
    Files.writeString(directory.resolve("merges.txt"), "#version: 0.2\na b\n");
    assertThat(Tokenizer.load(directory).encode("abba")).containsExactly(256, 98, 97);
    Files.writeString(directory.resolve("merges.txt"), "a b\nab c\n");
    assertThatThrownBy(() -> Tokenizer.load(directory))
        .isInstanceOf(FileFormatException.class)
        .hasMessageContaining("merges.txt: \"ab c\" is not a pair of tokens");
    Files.writeString(directory.resolve("merges.txt"), "a b\n");
    Files.writeString(directory.resolve("vocab.json"), "{\"a\": 0, \"b\": 1, \"ab\": 2}");
    assertThatThrownBy(() -> Tokenizer.load(directory))
        .isInstanceOf(FileFormatException.class)
        .hasMessageContaining("vocab.json: has no token for byte 0x00");
  }

  @Test
  void idsOutsideTheVocabularyAreRefused() throws IOException {
    Tokenizer tokenizer = parse(json(LLAMA3));
    assertThatThrownBy(() -> tokenizer.decode(tokenizer.vocabSize()))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("outside the vocabulary [0, " + tokenizer.vocabSize() + ")");
    assertThatThrownBy(() -> tokenizer.decode(-1)).isInstanceOf(IllegalArgumentException.class);
  }
}
