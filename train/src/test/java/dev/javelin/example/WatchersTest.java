package dev.javelin.example;

import static org.assertj.core.api.Assertions.assertThat;

import dev.javelin.train.Run;
import dev.javelin.train.Trainer;
import dev.javelin.train.settings.RunSettings;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.BlockingQueue;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class WatchersTest {
  @TempDir Path dir;

  private RunSettings settings(int steps) throws IOException {
    Path text = Files.writeString(dir.resolve("text.txt"), "The cat sat on The mat. ".repeat(200));
    return RunSettings.DEFAULT
        .withModel(m -> m.withModel("llama-shakespeare-cpu").withTokenizer("char"))
        .withData(d -> d.withData(List.of(text)))
        .withBatch(b -> b.withBatchSize(4).withSeqLen(16))
        .withDevice(d -> d.withDevice("cpu"))
        .withRun(
            r ->
                r.withMaxSteps(steps)
                    .withLoggingSteps(1)
                    .withEvalEvery(1)
                    .withOutputDir(dir.resolve("run")));
  }

  /** With a learning rate of 0 no evaluation is better than the first. */
  @Test
  void aRunStopsEarlyWithItsCheckpoint() throws IOException {
    RunSettings still =
        settings(50).withSchedule(s -> s.withLearningRate(0).withMinLearningRate(0.0));
    try (Run run = Run.open(still)) {
      Trainer.Outcome outcome = run.trainer().watch(new StopEarly(run.trainer(), 2)).run();
      assertThat(outcome.step()).isEqualTo(3);
      assertThat(outcome.interrupted()).isTrue();
      assertThat(dir.resolve("run/checkpoint-3")).isDirectory();
    }
  }

  @Test
  void textsAndMetricsComeWhileItTrains() throws IOException {
    List<String> texts = new ArrayList<>();
    BlockingQueue<Map<String, Double>> metrics = new ArrayBlockingQueue<>(100);
    try (Run run = Run.open(settings(6))) {
      run.trainer().watch(new SampleEach(2, run.model(), texts::add)).watch(new Push(metrics));
      run.trainer().run();
    }
    assertThat(texts).hasSize(3).allMatch(t -> t.length() == 20);
    assertThat(metrics).hasSize(6).allMatch(m -> m.getOrDefault("loss", Double.NaN) < 10);
  }
}
