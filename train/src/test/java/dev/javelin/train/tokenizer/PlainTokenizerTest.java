package dev.javelin.train.tokenizer;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class PlainTokenizerTest {
  private static final List<String> TEXTS =
      List.of("", "hello", "two  spaces\t\n\n x ", "café 你好 😀", "a<|end|>b");

  @TempDir private Path directory;

  /** Writes the tokenizer's files and reads them as any Hugging Face directory. */
  private Tokenizer reread(Tokenizer tokenizer) throws IOException {
    for (Map.Entry<String, byte[]> file : tokenizer.files().entrySet()) {
      Files.write(directory.resolve(file.getKey()), file.getValue());
    }
    return Tokenizer.load(directory);
  }

  private void sameAfterRereading(Tokenizer tokenizer, String text) throws IOException {
    Tokenizer reread = reread(tokenizer);
    int[] ids = tokenizer.encode(text);
    assertThat(reread.encode(text)).isEqualTo(ids);
    assertThat(reread.encodePrompt(text)).isEqualTo(tokenizer.encodePrompt(text));
    assertThat(tokenizer.decode(ids)).isEqualTo(text);
    assertThat(reread.decode(ids)).isEqualTo(text);
    assertThat(reread.vocabSize()).isEqualTo(tokenizer.vocabSize());
    assertThat(reread.specialTokens()).isEqualTo(tokenizer.specialTokens());
    assertThat(reread.bos()).isEqualTo(tokenizer.bos());
    assertThat(reread.eos()).isEqualTo(tokenizer.eos());
    for (int id : ids) {
      assertThat(reread.byteLength(id)).isEqualTo(tokenizer.byteLength(id));
    }
    assertThat(Arrays.stream(ids).map(tokenizer::byteLength).sum())
        .isEqualTo(text.getBytes(StandardCharsets.UTF_8).length);
  }

  @Test
  void aBytesIdIsTheByte() throws IOException {
    assertThat(new ByteTokenizer().encode("aé")).containsExactly(97, 0xC3, 0xA9);
    for (String text : TEXTS) {
      sameAfterRereading(new ByteTokenizer(), text);
      sameAfterRereading(new ByteTokenizer("<|end|>", "<|pad|>"), text);
    }
  }

  @Test
  void byteSpecialsFollowTheBytes() {
    Tokenizer tokenizer = new ByteTokenizer("<|end|>", "<|pad|>");
    assertThat(tokenizer.vocabSize()).isEqualTo(258);
    assertThat(tokenizer.eos()).hasValue(256);
    assertThat(tokenizer.encodePrompt("a<|end|>b<|pad|>")).containsExactly(97, 256, 98, 257);
    assertThat(tokenizer.encode("<|end|>")).hasSize(7);
    assertThat(tokenizer.decode(97, 256)).isEqualTo("a<|end|>");
    assertThat(tokenizer.decode(new int[] {97, 256}, true)).isEqualTo("a");
    assertThat(tokenizer.encodeSpecial("a<|end|>")).containsExactly(97, 256);
    assertThatThrownBy(() -> tokenizer.decode(258)).hasMessageContaining("[0, 258)");
    assertThatThrownBy(() -> new ByteTokenizer("x", "x")).hasMessageContaining("distinct");
  }

  @Test
  void brokenBytesDecodeToReplacementCharacters() {
    assertThat(new ByteTokenizer().decode(97, 0xE4, 0xBD, 98)).isEqualTo("a\uFFFDb");
  }

  @Test
  void charactersAreSortedByCodePoint() throws IOException {
    Tokenizer tokenizer = CharTokenizer.of(Stream.of("ba \n", "😀é你a"));
    assertThat(tokenizer.vocabSize()).isEqualTo(7);
    assertThat(tokenizer.encode("\n abé你😀")).containsExactly(0, 1, 2, 3, 4, 5, 6);
    for (String text : TEXTS) {
      sameAfterRereading(CharTokenizer.of(TEXTS.stream()), text);
    }
  }

  @Test
  void anUnknownCharacterIsNamed() throws IOException {
    Tokenizer tokenizer = CharTokenizer.of(Stream.of("ab"));
    for (Tokenizer t : List.of(tokenizer, reread(tokenizer))) {
      assertThatThrownBy(() -> t.encode("abé"))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessageContaining("character 'é' (U+00E9) is not in the vocabulary of 2");
    }
    assertThatThrownBy(() -> CharTokenizer.of(Stream.of(""))).hasMessageContaining("needs a text");
    assertThatThrownBy(() -> tokenizer.decode(2)).hasMessageContaining("[0, 2)");
  }

  @Test
  void aTrainedVocabularySurvivesItsFiles() throws IOException {
    Tokenizer trained =
        BpeTrainer.train(
            Stream.of("the cat and the other cat, then the hat"), 280, List.of("<|end|>"));
    for (String text : TEXTS) {
      sameAfterRereading(trained, text);
    }
    assertThat(trained.encode(" the")).hasSize(1);
    assertThat(trained.encodePrompt("a<|end|>")).endsWith(0);
  }
}
