package dev.javelin.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.javelin.tensor.step.StepState;
import dev.javelin.train.data.InputException;
import dev.javelin.train.data.Prepare;
import dev.javelin.train.data.TextFiles;
import dev.javelin.train.hook.Progress;
import dev.javelin.train.hook.StepHook;
import dev.javelin.train.hook.StopRule;
import dev.javelin.train.monitor.HealthFile;
import dev.javelin.train.monitor.LayerReading;
import dev.javelin.train.monitor.MetricsFile;
import dev.javelin.train.settings.RunSettings;
import dev.javelin.train.tokenizer.ByteTokenizer;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class RunTest {
  @TempDir Path dir;

  private RunSettings settings(Path data) {
    return RunSettings.DEFAULT
        .withData(d -> d.withData(List.of(data)))
        .withBatch(b -> b.withSeqLen(16).withBatchSize(2))
        .withDevice(d -> d.withDevice("cpu").withThreads(1))
        .withRun(r -> r.withMaxSteps(1).withEvalEvery(0).withOutputDir(dir.resolve("run")));
  }

  private Path text(int bytes) throws IOException {
    return Files.writeString(dir.resolve("t.txt"), "abcdefg\n".repeat(bytes / 8));
  }

  @Test
  void theSameSettingsOpenTenRuns() throws IOException {
    RunSettings settings = settings(text(800)).withModel(m -> m.withTokenizer("byte"));
    RunSettings same = RunSettings.DEFAULT.with(yaml(settings));
    for (int i = 0; i < 10; i++) {
      int n = i;
      try (Run run = Run.open(settings.withRun(r -> r.withOutputDir(dir.resolve("run" + n))))) {
        assertThat(run.settings().schedule().minLearningRate()).isNull();
      }
      try (Run run = Run.open(settings)) { // which leaves nothing behind
        assertThat(run.trainer().step()).isZero();
      }
    }
    assertThat(settings).isEqualTo(same);
  }

  private Path yaml(RunSettings settings) throws IOException {
    return Files.writeString(dir.resolve("s.yaml"), settings.toYaml());
  }

  @Test
  void aTenthOfTheDataIsKeptForValidationUnlessToldOtherwise() throws IOException {
    RunSettings settings = settings(text(800)).withModel(m -> m.withTokenizer("byte"));
    try (Run run = Run.open(settings)) {
      assertThat(run.data().train().size()).isEqualTo(720);
      assertThat(run.data().validation()).isNotNull();
      assertThat(run.notes()).singleElement().asString().contains("tenth", "--val-fraction 0");
    }
    try (Run run = Run.open(settings.withData(d -> d.withValFraction(0.0)))) {
      assertThat(run.data().train().size()).isEqualTo(800);
      assertThat(run.data().validation()).isNull();
      assertThat(run.notes()).isEmpty();
    }
    try (Run run = Run.open(settings.withData(d -> d.withValFraction(0.25)))) {
      assertThat(run.data().train().size()).isEqualTo(600);
      assertThat(run.notes()).isEmpty();
    }
    try (Run run = Run.open(settings.withBatch(b -> b.withSeqLen(100)))) { // a tenth is 80
      assertThat(run.data().train().size()).isEqualTo(800);
      assertThat(run.notes()).singleElement().asString().contains("no validation", "--val-data");
    }
  }

  @Test
  void aPreparedFolderTrainsWithTheDefaultModel() throws IOException {
    Path prepared = dir.resolve("p1");
    Prepare.run(TextFiles.of(List.of(text(8000)), "text"), new ByteTokenizer(), 0.25, prepared);
    try (Run run = Run.open(settings(prepared))) {
      assertThat(run.model().config().vocab()).isEqualTo(new ByteTokenizer().vocabSize());
      assertThat(run.data().train().size()).isEqualTo(6000);
      assertThat(run.data().validation()).isNotNull();
      assertThat(run.notes()).isEmpty();
    }
    Files.delete(prepared.resolve("val.bin"));
    try (Run run = Run.open(settings(prepared))) {
      assertThat(run.data().train().size()).isEqualTo(5400);
      assertThat(run.notes()).singleElement().asString().contains("tenth");
    }
  }

  @Test
  void aRunTellsItsHealth() throws IOException {
    RunSettings settings =
        settings(text(8000))
            .withModel(m -> m.withTokenizer("byte"))
            .withBatch(b -> b.withGradientAccumulationSteps(2))
            .withRun(r -> r.withMaxSteps(4).withLoggingSteps(2));
    train(settings.withMonitor(m -> m.withTraceStep(2)));
    Path run = dir.resolve("run");
    assertThat(MetricsFile.read(run.resolve("metrics.jsonl")).getLast().more())
        .containsKeys(
            "update_ratio_max",
            "update_ratio_median",
            "dead_layers",
            "noise_scale",
            "critical_batch");
    assertThat(HealthFile.read(run.resolve("health.jsonl")))
        .extracting(LayerReading::step)
        .containsExactly(2L, 4L);
    assertThat(run.resolve("trace-2.json")).isNotEmptyFile();
    Path quiet = dir.resolve("quiet");
    train(
        settings
            .withMonitor(m -> m.withHealthEvery(0).withNoiseScale(false))
            .withRun(r -> r.withOutputDir(quiet)));
    assertThat(MetricsFile.read(quiet.resolve("metrics.jsonl")).getLast().more())
        .doesNotContainKeys("update_ratio_max", "dead_layers", "noise_scale");
    assertThat(quiet.resolve("health.jsonl")).doesNotExist();
    Path weights = Path.of("last", "model.safetensors");
    assertThat(run.resolve(weights)).hasSameBinaryContentAs(quiet.resolve(weights));
  }

  private static void train(RunSettings settings) throws IOException {
    try (Run run = Run.open(settings)) {
      run.trainer().run();
    }
  }

  @Test
  void anObjectiveThatIsNotThereIsRefusedBeforeAnythingIsRead() {
    RunSettings settings = settings(dir.resolve("missing.txt"));
    assertThatThrownBy(() -> Run.open(settings.with(Map.of("objective", "next-word"))))
        .isInstanceOf(InputException.class)
        .hasMessage(
            "--objective must be one of %s, got next-word", String.join(", ", Objectives.names()));
    assertThatThrownBy(() -> Run.open(settings.with(Map.of("objective", "next-token"))))
        .hasMessageContaining("missing.txt does not exist");
  }

  @Test
  void aCheckpointInShardsIsGoneOnFrom() throws IOException {
    RunSettings settings =
        settings(text(800))
            .withModel(m -> m.withTokenizer("byte"))
            .with(Map.of("max_shard_size", "1MB"));
    try (Run run = Run.open(settings)) {
      run.trainer().run();
    }
    Path checkpoint = dir.resolve("run/checkpoint-1");
    assertThat(checkpoint.resolve("model.safetensors")).doesNotExist();
    assertThat(checkpoint.resolve("model.safetensors.index.json")).exists();
    try (Stream<Path> files = Files.list(checkpoint)) {
      assertThat(files.filter(f -> f.toString().matches(".*/model-.*-of-.*\\.safetensors")))
          .hasSizeGreaterThan(1)
          .allSatisfy(f -> assertThat(Files.size(f)).isLessThan(1_100_000));
    }
    try (Run run = Run.open(settings.withRun(r -> r.withResume("auto").withMaxSteps(2)))) {
      run.trainer().run();
      assertThat(run.trainer().step()).isEqualTo(2);
    }
  }

  @Test
  void theColumnOfJsonLinesIsASetting() throws IOException {
    Path lines =
        Files.writeString(dir.resolve("key.jsonl"), "{\"content\": \"some words\"}\n".repeat(40));
    RunSettings settings = settings(lines).withModel(m -> m.withTokenizer("byte"));
    assertThatThrownBy(() -> Run.open(settings)).hasMessageContaining("--column");
    try (Run run = Run.open(settings.with(Map.of("column", "content")))) {
      assertThat(run.data().train().size()).isPositive();
    }
  }

  @Test
  void aNameThatIsAPresetAndADirectoryIsRefusedUntilItIsClear() throws IOException {
    assertThat(ModelName.of("llama-small", dir).directory()).isNull();
    Files.createDirectories(dir.resolve("llama-small"));
    assertThatThrownBy(() -> ModelName.of("llama-small", dir))
        .isInstanceOf(InputException.class)
        .hasMessageContainingAll("both", "preset:llama-small", "./llama-small");
    assertThat(ModelName.of("preset:llama-small", dir).directory()).isNull();
    assertThat(ModelName.of("./llama-small", dir).directory()).isEqualTo(Path.of("./llama-small"));
    Files.writeString(dir.resolve("llama-small/config.yaml"), "");
    assertThat(ModelName.of("llama-small", dir).directory())
        .as("the directory of a run that is called as its model")
        .isNull();
    assertThatThrownBy(() -> ModelName.of("preset:llama-smal", dir))
        .hasMessageContaining("did you mean preset:llama-small?");
  }

  /** Counts steps, and may refuse what a checkpoint has of it. */
  private static final class Counting implements StepHook {
    private final boolean refuses;
    private int steps;
    private boolean closed;

    Counting(boolean refuses) {
      this.refuses = refuses;
    }

    @Override
    public String name() {
      return "counting";
    }

    @Override
    public void updated(StepState state) {
      steps++;
    }

    @Override
    public void read(Path directory) {
      if (refuses) {
        throw new IllegalStateException("not mine: " + directory);
      }
    }

    @Override
    public void close() {
      closed = true;
    }
  }

  /** A rule ends the run; a hook that refuses its checkpoint is closed with all else. */
  @Test
  void whoeverOpensARunMayAddToItsTraining() throws IOException {
    RunSettings settings =
        settings(text(800)).withModel(m -> m.withTokenizer("byte")).withRun(r -> r.withMaxSteps(9));
    Counting first = new Counting(false);
    try (Run run =
        Run.open(
            settings,
            t ->
                t.hook((parameters, optimizer) -> first)
                    .stopWhen(named(now -> now.step() == 2 ? "two are enough" : null)))) {
      Trainer.Outcome outcome = run.run();
      assertThat(outcome.step()).isEqualTo(2);
      assertThat(outcome.ended()).isEqualTo("two are enough");
      assertThat(outcome.interrupted()).isFalse();
    }
    assertThat(first.steps).isEqualTo(2);
    assertThat(first.closed).isTrue();
    Counting refusing = new Counting(true);
    RunSettings again = settings.withRun(r -> r.withResume("auto"));
    assertThatThrownBy(() -> Run.open(again, t -> t.hook((p, o) -> refusing)))
        .hasMessageContaining("not mine");
    assertThat(refusing.closed).isTrue();
    try (Run run = Run.open(again)) { // the directory is free again
      assertThat(run.trainer().step()).isEqualTo(2);
    }
  }

  private static StopRule named(Function<Progress, @Nullable String> rule) {
    return new StopRule() {
      @Override
      public String name() {
        return "named";
      }

      @Override
      public @Nullable String reason(Progress now) {
        return rule.apply(now);
      }
    };
  }
}
