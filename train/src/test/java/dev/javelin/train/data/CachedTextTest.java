package dev.javelin.train.data;

import static org.assertj.core.api.Assertions.assertThat;

import dev.javelin.train.tokenizer.Tokenizer;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class CachedTextTest {
  private static final FileTime LONG_AGO = FileTime.fromMillis(0);
  private static final String TEXT =
      Stream.generate(() -> "The cat sat — on the mat; the cât sat. 猫\n")
          .limit(300)
          .collect(Collectors.joining());

  @TempDir Path directory;

  /** A tokenizer by its files, and the ids it makes of a text. */
  private record Made(List<String> tokenizer, int[] ids) {
    static Made of(Texts texts, String name) {
      Tokenizer tokenizer = texts.tokenizer(name);
      List<String> files = new ArrayList<>();
      tokenizer
          .files()
          .forEach((file, bytes) -> files.add(file + new String(bytes, StandardCharsets.UTF_8)));
      TokenSource source = texts.encode(tokenizer, Separator.of(tokenizer));
      assertThat(source.name()).isEqualTo(texts.name());
      int[] ids = new int[Math.toIntExact(source.size())];
      source.read(0, ids, ids.length);
      return new Made(files, ids);
    }

    void assertEquals(Made other) {
      assertThat(tokenizer).isEqualTo(other.tokenizer);
      assertThat(ids).isEqualTo(other.ids);
    }
  }

  private Path file() {
    return directory.resolve("bpe.bin");
  }

  private CachedText text(String text) {
    return new CachedText("a text", text.getBytes(StandardCharsets.UTF_8), directory);
  }

  /** Whether what the file says was taken: who computes writes it anew. */
  private boolean isReadBy(String text, Made expected) throws IOException {
    Files.setLastModifiedTime(file(), LONG_AGO);
    Made.of(text(text), "bpe").assertEquals(expected);
    return Files.getLastModifiedTime(file()).equals(LONG_AGO);
  }

  @Test
  void whatIsReadEqualsWhatIsComputed() throws IOException {
    Made computed = Made.of(Texts.of("a text", TEXT), "bpe");
    Made.of(text(TEXT), "bpe").assertEquals(computed);
    assertThat(isReadBy(TEXT, computed)).isTrue();
  }

  @Test
  void theVocabularyOfTheDefaultTextEqualsTheLearnedOneWhicheverWayItComes() throws IOException {
    byte[] utf8 =
        DefaultText.load()
            .documents()
            .map(TextDocument::text)
            .collect(Collectors.joining())
            .getBytes(StandardCharsets.UTF_8);
    Made computed = Made.of(new CachedText("a text", utf8, null), "bpe");
    Made.of(new CachedText("a text", utf8, directory), "bpe").assertEquals(computed);
    Files.setLastModifiedTime(file(), LONG_AGO);
    Made.of(new CachedText("a text", utf8, directory), "bpe").assertEquals(computed);
    assertThat(Files.getLastModifiedTime(file())).isEqualTo(LONG_AGO);
  }

  @Test
  void aDamagedFileIsPassedOverAndReplaced() throws IOException {
    Made computed = Made.of(text(TEXT), "bpe");
    byte[] whole = Files.readAllBytes(file());
    for (int at = 0; at < whole.length; at += whole.length / 7) {
      byte[] damaged = whole.clone();
      damaged[at] ^= 1;
      Files.write(file(), damaged);
      assertThat(isReadBy(TEXT, computed)).as("byte %d", at).isFalse();
      assertThat(Files.readAllBytes(file())).isEqualTo(whole);
    }
    for (int length : new int[] {0, 3, 4, 12, whole.length - 1}) {
      Files.write(file(), Arrays.copyOf(whole, length));
      assertThat(isReadBy(TEXT, computed)).as("%d bytes", length).isFalse();
    }
  }

  @Test
  void anotherTextIsNotTakenForIt() throws IOException {
    Made.of(text(TEXT), "bpe");
    String other = TEXT.replace('m', 'n'); // as long
    assertThat(isReadBy(other, Made.of(Texts.of("a text", other), "bpe"))).isFalse();
  }

  @Test
  void otherTokenizersAndADirectoryThatCannotBeWrittenAreComputed() throws IOException {
    Made.of(text(TEXT), "byte").assertEquals(Made.of(Texts.of("a text", TEXT), "byte"));
    assertThat(file()).doesNotExist();
    Path taken = Files.writeString(directory.resolve("taken"), "");
    byte[] utf8 = TEXT.getBytes(StandardCharsets.UTF_8);
    Made.of(new CachedText("a text", utf8, taken.resolve("below")), "bpe")
        .assertEquals(Made.of(Texts.of("a text", TEXT), "bpe"));
  }

  @Test
  void idsOfAnotherTokenizerAreNotThoseOfTheFile() {
    Made.of(text(TEXT), "bpe");
    Texts again = text(TEXT);
    again.tokenizer("bpe");
    Made.of(again, "byte").assertEquals(Made.of(Texts.of("a text", TEXT), "byte"));
  }
}
