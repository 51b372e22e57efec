package dev.javelin.train.eval;

import static org.assertj.core.api.Assertions.assertThat;

import dev.javelin.tensor.io.FileFormatException;
import dev.javelin.train.data.InputException;
import dev.javelin.train.data.LabelledTexts;
import dev.javelin.train.tokenizer.ByteTokenizer;
import dev.javelin.train.tokenizer.Tokenizer;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Rows that are read by field, changed here and there: what is declared comes out, in a line. */
@Timeout(600) // a reader that hangs, not one that is slow
class HostileRowsTest {
  private static final List<String> PIECES =
      List.of(
          "\"", ",", "\n", "{", "}", "[", "]", ":", "\t", "null", "1e9", "\u0000", "\u001b[31m");

  private static final Tokenizer BYTES = new ByteTokenizer();

  enum Kind {
    LABELLED_CSV("t.csv", "text,label\nso good,1\n\"so, so bad\",0\nfine,1\n"),
    LABELLED_JSONL(
        "t.jsonl",
        "{\"text\": \"so good\", \"label\": \"good\"}\n{\"text\": \"bad\", \"label\": 0}\n"),
    CHOICES(
        "q.jsonl",
        "{\"prompt\": \"A or B?\", \"choices\": [\"x\", \"y\"], \"answer\": 1}\n"
            + "{\"question\": \"And?\", \"choices\": [\"x\", \"y\", \"z\"], \"answer\": \"C\"}\n"),
    PREDICTIONS(
        "p.jsonl",
        "{\"reply\": \"yes\", \"reference\": \"no\"}\n{\"reply\": \"\", \"reference\": \"\"}\n");

    private final String name;
    private final byte[] whole;

    Kind(String name, String text) {
      this.name = name;
      this.whole = text.getBytes(StandardCharsets.UTF_8);
    }

    private void read(Path file) {
      switch (this) {
        case LABELLED_CSV, LABELLED_JSONL ->
            LabelledTexts.read(List.of(file), "text", "label", BYTES).classes();
        case CHOICES -> MultipleChoice.read(file);
        case PREDICTIONS -> {
          Predictions read = Predictions.read(file, "reply", "reference");
          TextScores.of(TextScores.names(), read.texts(), read.references());
        }
      }
    }
  }

  @TempDir Path dir;

  @ParameterizedTest
  @EnumSource
  void mutatedRowsGiveTheDeclaredExceptionsOnly(Kind kind) throws IOException {
    mutate(kind, 2_000);
  }

  @ParameterizedTest
  @EnumSource
  @Tag("long")
  void manyMutatedRowsGiveTheDeclaredExceptionsOnly(Kind kind) throws IOException {
    mutate(kind, 100_000);
  }

  private void mutate(Kind kind, int count) throws IOException {
    Path file = dir.resolve(kind.name);
    int refused = 0;
    for (int i = 0; i < count; i++) {
      SplittableRandom random = new SplittableRandom(79_000_000L + i);
      byte[] bytes = kind.whole;
      for (int changes = 1 + random.nextInt(3); changes > 0; changes--) {
        bytes = changed(bytes, random);
      }
      Files.write(file, bytes);
      try {
        kind.read(file);
      } catch (FileFormatException | InputException e) {
        refused++;
        assertThat(e.getMessage()).contains(file.toString()).doesNotContain("\n", "\u001b");
      } catch (RuntimeException | Error e) {
        throw new AssertionError(
            "mutation " + i + ": " + new String(bytes, StandardCharsets.UTF_8), e);
      }
    }
    assertThat(refused).isBetween(count / 10, count - 1);
  }

  private static byte[] changed(byte[] bytes, SplittableRandom random) {
    if (bytes.length == 0) {
      return bytes;
    }
    int at = random.nextInt(bytes.length);
    switch (random.nextInt(4)) {
      case 0 -> {
        byte[] flipped = bytes.clone();
        flipped[at] ^= (byte) (1 << random.nextInt(8));
        return flipped;
      }
      case 1 -> {
        return Arrays.copyOf(bytes, at);
      }
      case 2 -> {
        byte[] piece = PIECES.get(random.nextInt(PIECES.size())).getBytes(StandardCharsets.UTF_8);
        byte[] longer = Arrays.copyOf(bytes, bytes.length + piece.length);
        System.arraycopy(piece, 0, longer, at, piece.length);
        System.arraycopy(bytes, at, longer, at + piece.length, bytes.length - at);
        return longer;
      }
      default -> {
        int to = Math.min(bytes.length, at + 1 + random.nextInt(8));
        byte[] shorter = Arrays.copyOf(bytes, bytes.length - (to - at));
        System.arraycopy(bytes, to, shorter, at, bytes.length - to);
        return shorter;
      }
    }
  }
}
