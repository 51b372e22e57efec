package dev.javelin.train;

import static org.assertj.core.api.Assertions.assertThat;

import dev.javelin.device.Cpu;
import dev.javelin.device.Cuda;
import dev.javelin.device.Device;
import dev.javelin.device.RequiresCuda;
import dev.javelin.device.TestCuda;
import dev.javelin.kernels.BundledKernels;
import dev.javelin.nn.Precision;
import dev.javelin.tensor.io.Json;
import dev.javelin.tensor.io.JsonObject;
import dev.javelin.train.data.Dataset;
import dev.javelin.train.data.TokenSource;
import dev.javelin.train.health.StepTrace;
import dev.javelin.train.run.RunDirectory;
import dev.javelin.train.settings.RunSettings;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import jdk.jfr.Recording;
import jdk.jfr.consumer.RecordedEvent;
import jdk.jfr.consumer.RecordingFile;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What a run tells Flight Recorder, and the trace of one step that is made of it. */
class FlightRecorderTest {
  private static final int STEPS = 6;

  @TempDir Path dir;

  private static RunSettings settings() {
    return TinyModels.settings(STEPS)
        .withBatch(b -> b.withGradientAccumulationSteps(2))
        .withRun(r -> r.withEvalEvery(3).withSaveEvery(4).withEvalBatches(1));
  }

  private void train(Device device, Path into, boolean traced) throws IOException {
    try (LanguageModel model = TinyModels.model(device, TinyModels.llama(), Precision.FP32);
        RunDirectory run = RunDirectory.claim(into);
        Trainer trainer = training(model, into, traced).trainer().into(run)) {
      trainer.run();
    }
  }

  private static Training training(LanguageModel model, Path into, boolean traced) {
    Training training =
        TextTraining.of(
            model,
            new Dataset(
                TokenSource.of("pattern", TinyModels.ids(500)),
                TokenSource.of("held", TinyModels.ids(60)),
                null),
            settings());
    return traced ? training.hook((p, o) -> new StepTrace(3, into)) : training;
  }

  private List<RecordedEvent> recorded(boolean ops) throws IOException {
    Path file = dir.resolve("run.jfr");
    try (Recording recording = new Recording();
        Cpu cpu = Cpu.open(2)) {
      for (String event : List.of("Step", "Phase", "Evaluation", "Checkpoint", "Spike")) {
        recording.enable("javelin." + event);
      }
      if (ops) {
        recording.enable("javelin.Op");
      }
      recording.start();
      train(cpu, dir.resolve("run"), false);
      recording.stop();
      recording.dump(file);
    }
    List<RecordedEvent> events = new ArrayList<>(RecordingFile.readAllEvents(file));
    events.removeIf(e -> !e.getEventType().getName().startsWith("javelin."));
    events.sort((a, b) -> a.getStartTime().compareTo(b.getStartTime()));
    return events;
  }

  private static List<RecordedEvent> of(List<RecordedEvent> all, String kind) {
    return all.stream().filter(e -> e.getEventType().getName().equals("javelin." + kind)).toList();
  }

  @Test
  void stepsEvaluationsAndCheckpointsAreEvents() throws IOException {
    List<RecordedEvent> events = recorded(false);
    List<RecordedEvent> steps = of(events, "Step");
    assertThat(steps).extracting(e -> e.getLong("step")).containsExactly(1L, 2L, 3L, 4L, 5L, 6L);
    assertThat(steps)
        .allSatisfy(
            e -> {
              assertThat(e.getLong("targets")).isEqualTo(2 * 4 * TinyModels.SEQ_LEN);
              assertThat(e.getDouble("loss")).isBetween(0.1, 10.0);
              assertThat(e.getDouble("learningRate")).isPositive();
              assertThat(e.getDuration().toNanos()).isPositive();
            });
    assertThat(of(events, "Phase").stream().map(e -> e.getString("name")).limit(5))
        .containsExactly("data", "micro-batch", "data", "micro-batch", "update");
    assertThat(of(events, "Evaluation")).extracting(e -> e.getLong("step")).contains(3L, 6L);
    assertThat(of(events, "Checkpoint")).extracting(e -> e.getLong("step")).containsExactly(4L, 6L);
    assertThat(of(events, "Checkpoint"))
        .allMatch(e -> e.getString("directory").equals(dir.resolve("run").toString()));
    assertThat(of(events, "Spike")).as("a healthy run").isEmpty();
    assertThat(of(events, "Op")).as("operators nobody has asked for").isEmpty();
  }

  @Test
  void operatorsAreEventsWhereTheyAreAskedFor() throws IOException {
    List<RecordedEvent> events = recorded(true);
    RecordedEvent step = of(events, "Step").get(1);
    List<RecordedEvent> ops = new ArrayList<>(of(events, "Op"));
    ops.removeIf(
        e ->
            e.getStartTime().isBefore(step.getStartTime())
                || e.getEndTime().isAfter(step.getEndTime()));
    Map<String, List<String>> byPass =
        ops.stream()
            .collect(
                Collectors.groupingBy(
                    e -> e.getString("pass"),
                    Collectors.mapping(e -> e.getString("name"), Collectors.toList())));
    List<String> forward = byPass.getOrDefault("forward", List.of());
    List<String> backward = byPass.getOrDefault("backward", List.of());
    assertThat(forward).contains("embedding", "linear", "attention");
    assertThat(new HashSet<>(backward)).isEqualTo(new HashSet<>(forward));
    assertThat(backward).hasSameSizeAs(forward);
  }

  @Test
  void aTraceOfTheStepIsWrittenAndChangesNoBit() throws IOException {
    try (Cpu cpu = Cpu.open(2)) {
      train(cpu, dir.resolve("plain"), false);
      train(cpu, dir.resolve("traced"), true);
    }
    check(dir.resolve("traced"));
    Path weights = Path.of("checkpoint-6", "model.safetensors");
    assertThat(dir.resolve("traced").resolve(weights))
        .hasSameBinaryContentAs(dir.resolve("plain").resolve(weights));
  }

  /** The traced step goes kernel by kernel between steps that are replayed. */
  @Test
  @RequiresCuda
  void aGpuIsTracedToo() throws IOException {
    try (Cuda cuda = TestCuda.open(new BundledKernels())) {
      train(cuda, dir.resolve("traced"), true);
      train(cuda, dir.resolve("plain"), false);
    }
    check(dir.resolve("traced"));
    Path weights = Path.of("checkpoint-6", "model.safetensors");
    assertThat(dir.resolve("traced").resolve(weights))
        .hasSameBinaryContentAs(dir.resolve("plain").resolve(weights));
  }

  /** Everything of step 3, in its place in the step, and the evaluation behind it. */
  private static void check(Path run) {
    JsonObject trace = Json.read(run.resolve("trace-3.json"));
    Map<String, List<Span>> by =
        trace.objects("traceEvents").stream()
            .filter(e -> e.text("ph").equals("X"))
            .map(Span::of)
            .collect(Collectors.groupingBy(Span::kind));
    List<Span> steps = by.getOrDefault("step", List.of());
    List<Span> phases = by.getOrDefault("phase", List.of());
    List<Span> all = by.getOrDefault("op", List.of());
    List<Span> evaluations = by.getOrDefault("evaluation", List.of());
    assertThat(steps).hasSize(1);
    Span step = steps.getFirst();
    assertThat(phases)
        .extracting(Span::name)
        .containsExactly("data", "micro-batch", "data", "micro-batch", "update");
    assertThat(phases).allMatch(p -> p.isIn(step));
    assertThat(sum(phases)).as("of the step's time").isGreaterThan(0.5 * step.duration);
    List<Span> batches = phases.stream().filter(p -> p.name.equals("micro-batch")).toList();
    List<Span> ops = new ArrayList<>(all);
    ops.removeIf(op -> !op.isIn(step)); // the others are the evaluation's
    assertThat(ops).allMatch(op -> batches.stream().anyMatch(op::isIn)).hasSizeGreaterThan(40);
    assertThat(sum(ops)).as("of the batches' time").isGreaterThan(0.5 * sum(batches));
    assertThat(evaluations).hasSize(1);
    assertThat(evaluations.getFirst().begin).isGreaterThan(step.begin + step.duration);
    assertThat(all).as("the evaluation's, too").hasSizeGreaterThan(ops.size());
    assertThat(
            trace.objects("traceEvents").stream()
                .filter(e -> e.text("ph").equals("M"))
                .map(e -> e.object("args").text("name")))
        .contains(Thread.currentThread().getName());
  }

  private record Span(String kind, String name, double begin, double duration) {
    static Span of(JsonObject e) {
      return new Span(e.text("cat"), e.text("name"), e.number("ts"), e.number("dur"));
    }

    /** Times are rounded to nanoseconds. */
    boolean isIn(Span other) {
      return begin >= other.begin - 0.01 && begin + duration <= other.begin + other.duration + 0.01;
    }
  }

  private static double sum(List<Span> spans) {
    return spans.stream().mapToDouble(Span::duration).sum();
  }
}
