package dev.javelin.train.run;

import static org.assertj.core.api.Assertions.assertThat;

import dev.javelin.tensor.io.FileCalls;
import dev.javelin.train.Run;
import dev.javelin.train.checkpoint.Checkpoints;
import dev.javelin.train.monitor.MetricsFile;
import dev.javelin.train.monitor.StepMetrics;
import dev.javelin.train.run.FaultyCalls.Fault;
import dev.javelin.train.run.FaultyCalls.Killed;
import dev.javelin.train.settings.RunSettings;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Random;
import java.util.stream.IntStream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A training that dies at one of its calls and goes on to the bits of one that did not. */
class TrainingRehearsalTest {
  private static final int STEPS = 6;
  private static final int SAMPLE = 6;

  @TempDir Path dir;
  private Path unbroken = Path.of("");
  private int moments;

  @BeforeEach
  void trainUnbroken() throws IOException {
    Files.createDirectory(dir.resolve("model"));
    Files.writeString(
        dir.resolve("model/config.json"),
        """
        {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 16,
         "intermediate_size": 24, "num_hidden_layers": 1, "num_attention_heads": 2,
         "num_key_value_heads": 1, "max_position_embeddings": 16, "vocab_size": 256,
         "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "hidden_act": "silu",
         "tie_word_embeddings": true, "bos_token_id": 0, "eos_token_id": 0}
        """);
    StringBuilder lines = new StringBuilder();
    for (int i = 0; i < 60; i++) {
      lines.append("{\"text\": \"document ").append(i * 7919 % 1000).append(" is short\"}\n");
    }
    Files.writeString(dir.resolve("docs.jsonl"), lines);
    unbroken = dir.resolve("unbroken");
    FaultyCalls calls = new FaultyCalls(Fault.KILL, Integer.MAX_VALUE);
    ScopedValue.where(FileCalls.SCOPE, calls).call(() -> train(unbroken));
    moments = calls.calls().size();
    assertThat(moments).isGreaterThan(200);
  }

  @Test
  void aSampleOfAllMoments() throws IOException {
    rehearse(new Random(21).ints(SAMPLE, 0, moments).distinct().toArray());
  }

  @Test
  @Tag("long")
  void everyMoment() throws IOException {
    rehearse(IntStream.range(0, moments).toArray());
  }

  private void rehearse(int[] all) throws IOException {
    for (int at : all) {
      Path run = dir.resolve("killed-" + at);
      FaultyCalls calls = new FaultyCalls(Fault.KILL, at);
      assertThat(ScopedValue.where(FileCalls.SCOPE, calls).call(() -> train(run))).isFalse();
      String moment = "at " + at + ": " + calls.calls().get(at);
      assertThat(train(run)).as(moment).isTrue();
      for (String file : List.of("model.safetensors", "optimizer.safetensors")) {
        assertThat(run.resolve("last").resolve(file))
            .as(moment)
            .hasSameBinaryContentAs(unbroken.resolve("last").resolve(file));
      }
      assertThat(losses(run)).as(moment).isEqualTo(losses(unbroken));
      Checkpoints checkpoints = new Checkpoints(run, 0);
      Checkpoints whole = new Checkpoints(unbroken, 0);
      for (String pointer : List.of("last", "best")) {
        assertThat(checkpoints.pointedTo(pointer).orElseThrow().getFileName())
            .as(moment)
            .isEqualTo(whole.pointedTo(pointer).orElseThrow().getFileName());
      }
    }
  }

  private static List<Double> losses(Path run) throws IOException {
    return MetricsFile.read(run.resolve("metrics.jsonl")).stream().map(StepMetrics::loss).toList();
  }

  /** Whether it came to its end. */
  private boolean train(Path directory) throws IOException {
    RunSettings settings =
        RunSettings.DEFAULT
            .withModel(m -> m.withModel(dir.resolve("model").toString()).withTokenizer("byte"))
            .withData(d -> d.withData(List.of(dir.resolve("docs.jsonl"))).withValFraction(0.2))
            .withBatch(b -> b.withBatchSize(2).withSeqLen(8))
            .withSchedule(s -> s.withLearningRate(0.01).withWarmupSteps(1))
            .withDevice(d -> d.withDevice("cpu").withThreads(1))
            .withMonitor(m -> m.withReport(false)) // the clock decides how often it is written
            .withRun(
                r ->
                    r.withMaxSteps(STEPS)
                        .withEvalEvery(2)
                        .withSaveEvery(2)
                        .withKeep(1)
                        .withLoggingSteps(1)
                        .withResume("auto")
                        .withOutputDir(directory));
    try (Run run = Run.open(settings)) {
      run.trainer().run();
      return true;
    } catch (Killed killed) {
      return false;
    }
  }
}
