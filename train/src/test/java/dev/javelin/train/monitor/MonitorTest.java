package dev.javelin.train.monitor;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class MonitorTest {
  @TempDir Path dir;

  @Test
  void metricsAreCutBackToTheStepOfTheCheckpoint() throws IOException {
    Path file = dir.resolve("metrics.jsonl");
    try (MetricsFile f = MetricsFile.open(file, 0)) {
      for (int s = 1; s <= 7; s++) {
        f.logged(step(s, 3.0 / s, s == 4 ? 2.5 : null));
      }
    }
    List<String> before = Files.readAllLines(file);
    Files.writeString(file, Files.readString(file) + "{\"step\":8,\"lo");
    try (MetricsFile f = MetricsFile.open(file, 5)) {
      f.logged(step(6, 0.5, null));
    }
    List<String> after = Files.readAllLines(file);
    assertThat(after).hasSize(6);
    assertThat(after.subList(0, 5)).isEqualTo(before.subList(0, 5));
    assertThat(after.get(3)).contains("\"eval_loss\":2.5");
  }

  @Test
  void aDamagedLineIsPassedOverAndThoseBehindItStay() throws IOException {
    Path file = dir.resolve("metrics.jsonl");
    try (MetricsFile f = MetricsFile.open(file, 0)) {
      for (int s = 1; s <= 6; s++) {
        f.logged(step(s, 3.0 / s, null));
      }
    }
    byte[] bytes = Files.readAllBytes(file);
    List<String> lines = Files.readAllLines(file);
    int second = lines.get(0).length() + 1;
    bytes[second + 3] = (byte) 0xff; // no UTF-8
    int fourth = second + lines.get(1).length() + lines.get(2).length() + 2;
    bytes[fourth] = 'x';
    Files.write(file, bytes);
    assertThat(MetricsFile.read(file))
        .extracting(StepMetrics::step)
        .containsExactly(1L, 3L, 5L, 6L);
    MetricsFile.open(file, 5).close();
    byte[] kept = Files.readAllBytes(file);
    assertThat(kept).isEqualTo(Arrays.copyOf(bytes, bytes.length - lines.get(5).length() - 1));
  }

  @Test
  void linesOfAnyLengthAndKindEndInNothingWorse() throws IOException {
    Path file = dir.resolve("metrics.jsonl");
    try (MetricsFile f = MetricsFile.open(file, 0)) {
      f.logged(step(1, 2, null));
    }
    String own = Files.readString(file);
    String theirs = "x".repeat(200_000) + "\n[1]\n{\"step\": -1}\n{}\n\n{\"step\": \"2\"}\n";
    Files.writeString(file, own + theirs);
    MetricsFile.open(file, 1).close();
    assertThat(Files.readString(file)).isEqualTo(own + theirs);
    assertThat(MetricsFile.read(file)).extracting(StepMetrics::step).containsExactly(1L);
  }

  @Test
  void aLinkIsReplacedAndWhatItLedToStays() throws IOException {
    Path elsewhere = Files.writeString(dir.resolve("elsewhere"), "{\"step\":1}\ntheirs\n");
    Path file = Files.createSymbolicLink(dir.resolve("metrics.jsonl"), elsewhere);
    try (MetricsFile f = MetricsFile.open(file, 1)) {
      f.logged(step(2, 1, null));
    }
    assertThat(Files.readString(elsewhere)).isEqualTo("{\"step\":1}\ntheirs\n");
    assertThat(file).isRegularFile();
    assertThat(Files.isSymbolicLink(file)).isFalse();
    assertThat(MetricsFile.read(file)).extracting(StepMetrics::step).containsExactly(1L, 2L);
    Path log = Files.createSymbolicLink(dir.resolve("train.log"), elsewhere);
    assertThatThrownBy(() -> new LogFile(log, 5)).isInstanceOf(IOException.class);
  }

  @Test
  void anInterruptedThreadStillWrites() throws IOException {
    Path file = dir.resolve("metrics.jsonl");
    try (MetricsFile f = MetricsFile.open(file, 0);
        LogFile log = new LogFile(dir.resolve("train.log"), 2);
        EventFile events = new EventFile(dir.resolve("runs"), 0)) {
      Thread.currentThread().interrupt();
      for (int s = 1; s <= 2; s++) {
        f.logged(step(s, 1, null));
        log.logged(step(s, 1, null));
        events.logged(step(s, 1, null));
      }
    } finally {
      assertThat(Thread.interrupted()).isTrue();
    }
    assertThat(MetricsFile.read(file)).hasSize(2);
    assertThat(dir.resolve("train.log")).content().hasLineCount(2);
  }

  @Test
  void aLossThatIsNoNumberIsNullInJson() throws IOException {
    Path file = dir.resolve("metrics.jsonl");
    try (MetricsFile f = MetricsFile.open(file, 0)) {
      f.logged(step(1, Double.NaN, null));
    }
    assertThat(Files.readString(file)).contains("\"loss\":null");
    assertThat(MetricsFile.read(file).getFirst().loss()).isNaN();
  }

  @Test
  void eventRecordsHaveTheirLengthsAndChecksums() throws IOException {
    try (EventFile f = new EventFile(dir, 0)) {
      f.logged(step(300, 1.5, 1.25));
    }
    Path file;
    try (var files = Files.list(dir)) {
      file = files.findFirst().orElseThrow();
    }
    ByteBuffer bytes = ByteBuffer.wrap(Files.readAllBytes(file)).order(ByteOrder.LITTLE_ENDIAN);
    List<String> records = new ArrayList<>();
    while (bytes.hasRemaining()) {
      int start = bytes.position();
      byte[] data = new byte[(int) bytes.getLong()];
      assertThat(bytes.getInt()).isEqualTo(EventFile.maskedCrc(bytes.array(), start, 8));
      bytes.get(data);
      assertThat(bytes.getInt()).isEqualTo(EventFile.maskedCrc(data, 0, data.length));
      records.add(new String(data, StandardCharsets.ISO_8859_1));
    }
    assertThat(records).hasSize(2);
    assertThat(records.get(0)).contains("brain.Event:2");
    // Field 2, the step 300, as a varint: 0x10 0xac 0x02.
    assertThat(records.get(1)).contains("train/loss", "eval/loss", "\u0010\u00ac\u0002");
  }

  @Test
  void checksumIsTheMaskedCrcOfTheRecordFormat() {
    // CRC-32C of "123456789" is 0xe3069283; masked: rotr 15, plus 0xa282ead8.
    byte[] check = "123456789".getBytes(StandardCharsets.US_ASCII);
    assertThat(EventFile.maskedCrc(check, 0, 9))
        .isEqualTo(Integer.rotateRight(0xe3069283, 15) + 0xa282ead8);
  }

  @Test
  void plainLinesTellLossSpeedAndTimeLeft() {
    List<String> lines = new ArrayList<>();
    Lines watcher = new Lines(1000, lines::add);
    watcher.logged(step(500, 2.345678, 2.4));
    assertThat(lines)
        .singleElement()
        .asString()
        .contains("step 500/1000", "loss 2.3457", "val 2.4000");
    assertThat(lines.getFirst()).contains("45,678 tok/s", "ETA 0:06");
  }

  private static StepMetrics step(long step, double loss, @Nullable Double eval) {
    return new StepMetrics(step, loss, 0.5, 1e-3, step * 768, 45678, 12.5, 1, 0, 0, eval);
  }
}
