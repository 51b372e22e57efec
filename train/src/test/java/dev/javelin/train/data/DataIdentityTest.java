package dev.javelin.train.data;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.javelin.tensor.io.FileFormatException;
import dev.javelin.tensor.io.Json;
import dev.javelin.train.tokenizer.ByteTokenizer;
import dev.javelin.train.tokenizer.CharTokenizer;
import dev.javelin.train.tokenizer.Tokenizer;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class DataIdentityTest {
  private static DataIdentity of(int... ids) {
    return DataIdentity.of(TokenSource.of("x", ids), Separator.NEWLINE, null);
  }

  private static int[] ids(int size) {
    int[] ids = new int[size];
    for (int i = 0; i < size; i++) {
      ids[i] = i % 251;
    }
    return ids;
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 2, 16_384, 16_385, 1_048_576, 1_048_577, 3_000_000})
  void theFirstAndTheLastTokenCount(int size) {
    DataIdentity saved = of(ids(size));
    assertThat(of(ids(size)).differences(saved)).isEmpty();
    for (int at : new int[] {0, size - 1}) {
      int[] other = ids(size);
      other[at] = 252;
      assertThat(of(other).differences(saved)).containsExactly("x holds other tokens than x did");
    }
    assertThat(of(ids(size + 1)).differences(saved))
        .containsExactly(
            "x holds %d tokens (the run began with %d of x)".formatted(size + 1, size));
  }

  @Test
  void everyTokenCountsUpToAMillion() {
    DataIdentity saved = of(ids(1_048_576));
    for (int at = 7; at < 1_048_576; at += 99_991) {
      int[] other = ids(1_048_576);
      other[at] = 252;
      assertThat(of(other)).as("token " + at).isNotEqualTo(saved);
    }
  }

  /** {@code "1 2*|3*"}: examples between bars, what is learned with a star. */
  private static DataIdentity ofExamples(String text) {
    ExampleBuffer buffer = new ExampleBuffer();
    for (String example : text.split("\\|")) {
      buffer.begin();
      for (String word : example.split(" ")) {
        buffer.accept(Integer.parseInt(word.replace("*", "")), word.endsWith("*"));
      }
    }
    return DataIdentity.of(buffer.finish("x", e -> "x " + e), Separator.NEWLINE, null);
  }

  @Test
  void whatIsLearnedAndWhereExamplesBeginCounts() {
    DataIdentity saved = ofExamples("1 2*|3 4*");
    assertThat(ofExamples("1 2*|3 4*").differences(saved)).isEmpty();
    for (String other : new String[] {"1 2*|3* 4*", "1 2|3 4*", "1|2* 3 4*", "1 2* 3 4*"}) {
      assertThat(ofExamples(other).differences(saved))
          .as(other)
          .containsExactly("x holds other tokens than x did");
    }
    assertThat(ofExamples("1* 2*").differences(of(1, 2))).isNotEmpty();
  }

  @Test
  void separatorAndTokenizerCount() {
    TokenSource source = TokenSource.of("x", 1, 2);
    Tokenizer bytes = new ByteTokenizer();
    DataIdentity saved = DataIdentity.of(source, Separator.NEWLINE, bytes);
    assertThat(DataIdentity.of(source, Separator.token(3), bytes).differences(saved))
        .containsExactly("documents are ended by token 3 (was newline)");
    Tokenizer characters = CharTokenizer.of(Stream.of("abc"));
    assertThat(DataIdentity.of(source, Separator.NEWLINE, characters).differences(saved))
        .singleElement()
        .asString()
        .matches("the tokenizer differs \\(3 tokens, [0-9a-f]{8}; was 256 tokens, \\w{8}\\)");
  }

  @Test
  void aTokenizerKeepsItsIdentityOnItsWayThroughFiles(@TempDir Path directory) {
    TokenSource source = TokenSource.of("x", 1, 2);
    for (Tokenizer tokenizer :
        new Tokenizer[] {
          new ByteTokenizer(),
          new ByteTokenizer("<end>"),
          CharTokenizer.of(Stream.of("aé\uD83D\uDE00"))
        }) {
      Prepare.save(tokenizer, directory);
      assertThat(DataIdentity.of(source, Separator.NEWLINE, Tokenizer.load(directory)))
          .isEqualTo(DataIdentity.of(source, Separator.NEWLINE, tokenizer));
    }
  }

  @Test
  void whatIsWrittenIsRead() {
    DataIdentity identity =
        DataIdentity.of(TokenSource.of("a\nb", 7), Separator.token(50256), new ByteTokenizer());
    assertThat(read(Json.write(identity.json()))).isEqualTo(identity);
  }

  @ParameterizedTest
  @ValueSource(strings = {"{}", "{\"tokens\": -1}", "{\"tokens\": 1, \"separator\": \"token -1\"}"})
  void damagedOnesAreRefused(String json) {
    assertThatThrownBy(() -> read(json)).isInstanceOf(FileFormatException.class);
  }

  @ParameterizedTest
  @ValueSource(strings = {"", "Newline", "token", "token x", "token 99999999999", "token 1 "})
  void separatorsOfAnotherFormAreRefused(String text) {
    assertThatThrownBy(() -> Separator.parse(text)).isInstanceOf(IllegalArgumentException.class);
  }

  private static DataIdentity read(String json) {
    ByteBuffer bytes = ByteBuffer.wrap(json.getBytes(StandardCharsets.UTF_8));
    return DataIdentity.of(Json.parse(Path.of("state.json"), bytes));
  }
}
