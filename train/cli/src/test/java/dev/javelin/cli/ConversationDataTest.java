package dev.javelin.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.javelin.train.monitor.MetricsFile;
import dev.javelin.train.monitor.StepMetrics;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.zip.GZIPOutputStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Conversations in a packed file, from training to evaluation. */
class ConversationDataTest {
  private static final int CHATS = 40;

  @TempDir Path dir;

  @Test
  void conversationsAreTrainedOnAndEvaluated() throws IOException {
    StringBuilder lines = new StringBuilder();
    for (int i = 0; i < CHATS; i++) {
      lines.append(
          "{\"messages\": [{\"role\": \"user\", \"content\": \"%d?\"}, {\"role\": \"assistant\", \"content\": \"%d.\"}]}\n"
              .formatted(i, i + 1));
    }
    Path chats = dir.resolve("chats.jsonl.gz");
    try (OutputStream out = new GZIPOutputStream(Files.newOutputStream(chats))) {
      out.write(lines.toString().getBytes(StandardCharsets.UTF_8));
    }
    Path run = dir.resolve("run");
    CommandLineTest.Result trained =
        Tiny.train(dir, run, "--data=" + chats, "--template=zephyr", "--seq-len=32");
    assertThat(trained.exit()).as(trained.err()).isZero();
    List<StepMetrics> steps = MetricsFile.read(run.resolve("metrics.jsonl"));
    assertThat(steps).hasSize(12);
    assertThat(steps.getLast().evalLoss()).isLessThan(steps.getFirst().loss());
    CommandLineTest.Result result =
        CommandLineTest.run(
            "eval",
            "--model=" + run.resolve("last"),
            "--data=" + chats,
            "--seq-len=32",
            "--threads=1");
    assertThat(result.exit()).as(result.err()).isZero();
    assertThat(result.err()).contains(CHATS + " examples (messages)", "tokens are learned");
    assertThat(result.out()).contains("loss", "tokens");
  }
}
