package dev.javelin.train.checkpoint;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowable;

import dev.javelin.tensor.io.FileCalls;
import dev.javelin.tensor.io.FileFormatException;
import dev.javelin.tensor.io.Printable;
import dev.javelin.tensor.step.StepState;
import dev.javelin.train.data.DataIdentity;
import dev.javelin.train.data.InputException;
import dev.javelin.train.data.Separator;
import dev.javelin.train.monitor.MetricsFile;
import dev.javelin.train.monitor.StepMetrics;
import java.io.IOException;
import java.nio.channels.WritableByteChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Files of a run with bytes changed, cut, doubled and put in, from a seed: what comes is what was
 * written, or an exception that is declared, in one printable line.
 */
@Timeout(600) // a reader that hangs, not one that is slow
class HostileCheckpointTest {
  private static final int SOME = 2_000;
  private static final int MANY = 100_000;
  private static final int REOPEN = 10; // what is written again, once in so many
  private static final List<String> PIECES =
      List.of(
          "\"",
          "\\",
          "\\u0000",
          "{",
          "}",
          "[",
          ",",
          ":",
          "-",
          "e9",
          "999999999999",
          "null",
          "NaN",
          "1e999",
          "../",
          "/",
          "\u001b[31m",
          "\u202e",
          "\n",
          "\u0000",
          "[[[[[[[[",
          "\"step\": 1",
          "\uD83D\uDE00");

  /** Thousands of files need not survive a power cut. */
  private static final FileCalls UNSYNCED =
      new FileCalls() {
        @Override
        public void sync(WritableByteChannel channel) {}

        @Override
        public void syncDirectory(Path directory) {}
      };

  @TempDir Path run;
  private Path checkpoint = Path.of("");

  @BeforeEach
  void save() {
    DataIdentity data =
        new DataIdentity("text.txt", 4000, "0a1b2c3d", Separator.token(7), "256 tokens, 01020304");
    TrainingState state =
        new TrainingState(
                10, 40, 640, -3, new StepState.Carried(1024, 3, 9, 1), 1.25, 10, "llama: 2 layers")
            .withIdentity(
                new RunIdentity(
                    data, "shuffled", -3, 16, data, RunIdentity.settings("next-token", true)));
    checkpoint =
        new Checkpoints(run, Keep.ALL, Map.of("code", Map.of("version", "0.1.0")))
            .save(state, d -> Files.writeString(d.resolve("model.safetensors"), "weights"))
            .directory();
  }

  @ParameterizedTest
  @ValueSource(strings = {"training_state.json", "manifest.json"})
  void aFileOfACheckpoint(String file) throws IOException {
    unsynced(() -> mutateCheckpoint(file, SOME));
  }

  @ParameterizedTest
  @Tag("long")
  @ValueSource(strings = {"training_state.json", "manifest.json"})
  void aFileOfACheckpointAtLength(String file) throws IOException {
    unsynced(() -> mutateCheckpoint(file, MANY));
  }

  @Test
  void metrics() throws IOException {
    unsynced(() -> mutateMetrics(SOME));
  }

  @Test
  @Tag("long")
  void metricsAtLength() throws IOException {
    unsynced(() -> mutateMetrics(MANY));
  }

  /** Truncating or replacing a file in place makes some file systems write it out at once. */
  private static void put(Path file, byte[] bytes) throws IOException {
    Files.deleteIfExists(file);
    Files.write(file, bytes);
  }

  private interface Body {
    void run() throws IOException;
  }

  private static void unsynced(Body body) throws IOException {
    ScopedValue.where(FileCalls.SCOPE, UNSYNCED)
        .call(
            () -> {
              body.run();
              return true;
            });
  }

  private void mutateCheckpoint(String name, int count) throws IOException {
    Path file = checkpoint.resolve(name);
    byte[] valid = Files.readAllBytes(file);
    TrainingState whole = TrainingState.read(checkpoint);
    Random random = new Random(31);
    int read = 0;
    for (int i = 0; i < count; i++) {
      byte[] bytes = mutated(valid, random);
      put(file, bytes);
      String input = name + " " + i + ": " + new String(bytes, StandardCharsets.ISO_8859_1);
      Throwable opened = catchThrowable(() -> Checkpoint.open(checkpoint));
      if (opened != null) {
        declared(opened, input);
        declared(catchThrowable(() -> new Checkpoints(run, 0).newest()), input);
      } else {
        assertThat(TrainingState.read(checkpoint)).as(input).isEqualTo(whole);
      }
      if (name.equals(TrainingState.FILE)) {
        assertThat(opened == null).as(input).isEqualTo(Arrays.equals(bytes, valid));
        Throwable thrown = catchThrowable(() -> TrainingState.read(checkpoint));
        if (thrown == null && read++ % REOPEN == 0) {
          Path again = Files.createDirectories(run.resolve("again"));
          TrainingState.read(checkpoint).write(again);
          assertThat(TrainingState.read(again)).as(input).isEqualTo(TrainingState.read(checkpoint));
        } else if (thrown != null) {
          declared(thrown, input);
        }
      }
    }
    assertThat(read).isLessThan(count);
  }

  private static void declared(Throwable thrown, String input) {
    assertThat(thrown)
        .as(input)
        .isInstanceOfAny(
            FileFormatException.class, IncompleteCheckpointException.class, InputException.class);
    String message = String.valueOf(thrown.getMessage());
    assertThat(message).as(input).isEqualTo(Printable.line(message)).hasSizeLessThan(2000);
  }

  private void mutateMetrics(int count) throws IOException {
    Path file = run.resolve("metrics.jsonl");
    try (MetricsFile metrics = MetricsFile.open(file, 0)) {
      for (int step = 1; step <= 9; step++) {
        metrics.logged(
            new StepMetrics(
                step, 1.0 / step, 2, 1e-3, step, 5, 6, 1, 0, 0, step % 3 == 0 ? 4.0 : null));
      }
    }
    byte[] valid = Files.readAllBytes(file);
    List<String> lines = Files.readAllLines(file);
    Random random = new Random(32);
    for (int i = 0; i < count; i++) {
      byte[] bytes = mutated(valid, random);
      put(file, bytes);
      String text = new String(bytes, StandardCharsets.ISO_8859_1);
      String[] now = text.split("\n", -1);
      long intact = Arrays.stream(now).filter(lines::contains).count();
      assertThat(MetricsFile.read(file).size()).as(text).isGreaterThanOrEqualTo((int) intact);
      if (i % REOPEN != 0) {
        continue;
      }
      MetricsFile.open(file, Long.MAX_VALUE).close();
      String kept = Files.readString(file, StandardCharsets.ISO_8859_1);
      // All of it, but for a last line without its end: gone if it is cut short, else ended.
      String ended = text.substring(0, text.lastIndexOf('\n') + 1);
      assertThat(kept).as(text).isIn(ended, text + "\n");
    }
  }

  private static byte[] mutated(byte[] valid, Random random) {
    String text = new String(valid, StandardCharsets.ISO_8859_1);
    for (int n = 1 + random.nextInt(3); n > 0; n--) {
      int at = random.nextInt(text.length() + 1);
      int end = Math.min(text.length(), at + 1 + random.nextInt(8));
      char any = (char) random.nextInt(256);
      String piece = PIECES.get(random.nextInt(PIECES.size()));
      String utf8 = new String(piece.getBytes(StandardCharsets.UTF_8), StandardCharsets.ISO_8859_1);
      String before = text.substring(0, at);
      text =
          switch (random.nextInt(6)) {
            case 0 -> before + any + text.substring(Math.min(text.length(), at + 1));
            case 1 -> before + any + text.substring(at);
            case 2 -> before + text.substring(end);
            case 3 -> before + text.substring(at, end) + text.substring(at);
            case 4 -> before + utf8 + text.substring(at);
            default -> before;
          };
    }
    return text.getBytes(StandardCharsets.ISO_8859_1);
  }
}
