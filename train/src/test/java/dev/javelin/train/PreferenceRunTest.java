package dev.javelin.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.javelin.device.Cpu;
import dev.javelin.device.RequiresEmulator;
import dev.javelin.nn.Grouping;
import dev.javelin.nn.Precision;
import dev.javelin.nn.TransformerConfig;
import dev.javelin.nn.family.Llama;
import dev.javelin.train.data.InputException;
import dev.javelin.train.monitor.MetricsFile;
import dev.javelin.train.settings.ObjectiveSpec;
import dev.javelin.train.settings.RunSettings;
import dev.javelin.train.tokenizer.ByteTokenizer;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Objects;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Runs that learn from preferences, and from a teacher. */
class PreferenceRunTest {
  private static final int LENGTH = 24;

  @TempDir Path dir;

  private Path model(String name, long seed, int layers) throws IOException {
    TransformerConfig config =
        Llama.config(new ByteTokenizer().vocabSize(), layers, 4, 2, 32, 48, LENGTH);
    return model(name, seed, config);
  }

  private Path model(String name, long seed, TransformerConfig config) throws IOException {
    Path directory = dir.resolve(name);
    try (Cpu cpu = Cpu.open(1);
        LanguageModel model =
            LanguageModel.create(
                cpu, config, Precision.FP32, Grouping.frozen(), seed, new ByteTokenizer())) {
      model.save(directory);
    }
    return directory;
  }

  private Path pairs() throws IOException {
    StringBuilder rows = new StringBuilder();
    for (int i = 0; i < 24; i++) {
      rows.append(
          "{\"prompt\": \"%d + 1 = \", \"chosen\": \"%d, yes\", \"rejected\": \"none at all\"}\n"
              .formatted(i, i + 1));
    }
    return Files.writeString(dir.resolve("pairs.jsonl"), rows);
  }

  private RunSettings settings(
      Path model, Path data, String run, UnaryOperator<ObjectiveSpec> objective) {
    return RunSettings.DEFAULT
        .withModel(m -> m.withModel(model.toString()))
        .withData(d -> d.withData(List.of(data)))
        .withBatch(b -> b.withSeqLen(LENGTH).withBatchSize(4))
        .withSchedule(s -> s.withLearningRate(3e-3))
        .withDevice(d -> d.withDevice("cpu").withThreads(1))
        .withRun(
            r ->
                r.withMaxSteps(10)
                    .withEvalEvery(0)
                    .withSaveEvery(5)
                    .withLoggingSteps(1)
                    .withOutputDir(dir.resolve(run)))
        .withObjective(objective);
  }

  /** The losses of a run's steps. */
  private static List<Double> run(RunSettings settings) throws IOException {
    try (Run run = Run.open(settings)) {
      run.trainer().run();
      return MetricsFile.read(run.directory().metrics()).stream()
          .map(m -> (double) m.loss())
          .toList();
    }
  }

  @ParameterizedTest
  @CsvSource({"dpo,true", "dpo,false", "ipo,true", "ipo,false", "orpo,true", "orpo,false"})
  void answersAreToldApart(String kind, boolean adapters) throws IOException {
    RunSettings settings =
        settings(model("base", 7, 2), pairs(), "run", o -> o.withObjective(kind))
            .withAdapter(a -> a.withLora(adapters ? 4 : null));
    List<Double> losses = run(settings);
    assertThat(losses.getLast()).isLessThan(losses.getFirst());
    if (kind.equals("dpo")) {
      assertThat(losses.getFirst()).isCloseTo(Math.log(2), within(1e-5));
    }
    if (kind.equals("ipo")) {
      assertThat(losses.getFirst()).isCloseTo(25, within(1e-3)); // (0 − 1 / (2·0.1))²
    }
  }

  @Test
  void aResumedRunIsTheSameBitForBit() throws IOException {
    Path base = model("base", 7, 2);
    RunSettings whole = settings(base, pairs(), "whole", o -> o.withObjective("dpo"));
    run(whole);
    RunSettings cut =
        settings(base, pairs(), "cut", o -> o.withObjective("dpo"))
            .withSchedule(s -> s.withLrDecaySteps(10).withWarmupSteps(0));
    RunSettings same =
        settings(base, pairs(), "same", o -> o.withObjective("dpo"))
            .withSchedule(s -> s.withLrDecaySteps(10).withWarmupSteps(0));
    run(same);
    run(cut.withRun(r -> r.withMaxSteps(5)));
    run(cut.withRun(r -> r.withResume("auto")));
    assertThat(dir.resolve("cut/last/model.safetensors"))
        .hasSameBinaryContentAs(dir.resolve("same/last/model.safetensors"));
  }

  @Test
  void aStudentComesCloserToItsTeacher() throws IOException {
    Path text = Files.writeString(dir.resolve("t.txt"), "the zindle sings at night. ".repeat(40));
    Path teacher = dir.resolve("taught/last");
    run(
        settings(model("teacher", 3, 2), text, "taught", o -> o)
            .withSchedule(s -> s.withLearningRate(1e-2)));
    List<Double> losses =
        run(
            settings(
                model("student", 5, 1),
                text,
                "run",
                o -> o.withObjective("distill").withTeacher(teacher).withDistillShare(0.8)));
    assertThat(losses.getLast()).isLessThan(losses.getFirst());
  }

  /** The same numbers on the emulated device, where a step is recorded and replayed. */
  @Test
  @RequiresEmulator
  void aDeviceThatRecordsItsStepsLearnsTheSame() throws IOException {
    Path base = model("base", 7, 1);
    RunSettings settings =
        settings(base, pairs(), "cpu", o -> o.withObjective("dpo")).withAdapter(a -> a.withLora(2));
    List<Double> cpu = run(settings);
    List<Double> cuda =
        run(
            settings
                .withDevice(d -> d.withDevice("emulator"))
                .withRun(r -> r.withOutputDir(dir.resolve("cuda"))));
    assertClose(cuda, cpu);
    Path text = Files.writeString(dir.resolve("t.txt"), "the zindle sings. ".repeat(60));
    RunSettings distill =
        settings(
            model("student", 5, 1), text, "d", o -> o.withObjective("distill").withTeacher(base));
    assertClose(
        run(
            distill
                .withDevice(d -> d.withDevice("emulator"))
                .withRun(r -> r.withMaxSteps(5).withOutputDir(dir.resolve("d-cuda")))),
        run(distill.withRun(r -> r.withMaxSteps(5))));
  }

  private static void assertClose(List<Double> cuda, List<Double> cpu) {
    assertThat(cuda).hasSameSizeAs(cpu);
    for (int i = 0; i < cpu.size(); i++) {
      assertThat(cuda.get(i)).isCloseTo(cpu.get(i), within(1e-4));
    }
  }

  @Test
  void whatDoesNotFitIsNamed() throws IOException {
    Path base = model("base", 7, 1);
    Path text = Files.writeString(dir.resolve("t.txt"), "the zindle sings. ".repeat(60));
    refused(settings(base, pairs(), "a", o -> o), "--objective dpo");
    refused(settings(base, text, "b", o -> o.withObjective("dpo")), "holds no preferences");
    refused(settings(base, text, "c", o -> o.withObjective("distill")), "--teacher DIR");
    refused(
        settings(base, pairs(), "d", o -> o.withObjective("orpo").withReference(base)),
        "orpo has no reference");
    refused(
        settings(base, pairs(), "e", o -> o.withObjective("ipo").withLabelSmoothing(0.1)),
        "--label-smoothing is for dpo");
    refused(
        settings(base, pairs(), "f", o -> o.withObjective("dpo").withReference(dir)),
        "holds no weights");
    int vocab = new ByteTokenizer().vocabSize();
    Path shorter = model("shorter", 3, Llama.config(vocab, 1, 4, 2, 32, 48, LENGTH / 2));
    refused(
        settings(base, text, "g", o -> o.withObjective("distill").withTeacher(shorter)),
        "longer than the 12 positions of");
    assertThatThrownBy(() -> ObjectiveSpec.DEFAULT.withPreferenceBeta(0))
        .isInstanceOf(InputException.class);
  }

  private static void refused(RunSettings settings, String message) {
    assertThatThrownBy(() -> run(settings)).hasMessageContaining(message);
    assertThat(Objects.requireNonNull(settings.run().outputDir()).resolve("checkpoint-10"))
        .doesNotExist();
  }
}
