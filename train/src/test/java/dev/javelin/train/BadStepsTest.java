package dev.javelin.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.javelin.device.Cpu;
import dev.javelin.device.Cuda;
import dev.javelin.device.Device;
import dev.javelin.device.RequiresCuda;
import dev.javelin.device.TestCuda;
import dev.javelin.kernels.BundledKernels;
import dev.javelin.nn.Precision;
import dev.javelin.tensor.io.Safetensors;
import dev.javelin.tensor.step.StepState;
import dev.javelin.train.checkpoint.Checkpoint;
import dev.javelin.train.data.BatchSource;
import dev.javelin.train.data.Order;
import dev.javelin.train.data.TokenSource;
import dev.javelin.train.data.Windows;
import dev.javelin.train.guard.Fault;
import dev.javelin.train.guard.Faults;
import dev.javelin.train.guard.Guard;
import dev.javelin.train.guard.GuardConfig;
import dev.javelin.train.guard.Policy;
import dev.javelin.train.hook.StepHook;
import dev.javelin.train.monitor.EventsFile;
import dev.javelin.train.monitor.MetricsFile;
import dev.javelin.train.monitor.RunEvent;
import dev.javelin.train.monitor.StepMetrics;
import dev.javelin.train.objective.NextToken;
import dev.javelin.train.run.RunDirectory;
import dev.javelin.train.schedule.Schedule;
import java.io.IOException;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** NaN and infinity in forward pass, gradient and moments: rehearsed, in every precision. */
class BadStepsTest {
  private static final int STEPS = 40;
  private static final int BATCH = 4;

  @TempDir Path dir;

  private static Training training(LanguageModel model) {
    return training(model, new Faults(List.of()));
  }

  private static Training training(LanguageModel model, Faults faults) {
    Windows windows =
        new Windows(
            TokenSource.of("pattern", TinyModels.ids(500)), TinyModels.SEQ_LEN, TinyModels.VOCAB);
    return Training.of(
            model.parameters(),
            new NextToken(model.transformer()),
            faults.of(BatchSource.endless(windows, Order.sequential())))
        .batch(BATCH)
        .schedule(new Schedule.Constant(1e-2, 0))
        .logEvery(1)
        .steps(STEPS)
        .model("tiny", model::save, model::restore);
  }

  private static LanguageModel model(Device device, Precision precision) {
    return TinyModels.model(device, TinyModels.llama(), precision);
  }

  private static List<Float> weights(LanguageModel model) {
    List<Float> all = new ArrayList<>();
    for (var p : model.parameters().named().values()) {
      for (float v : model.parameters().values(p)) {
        all.add(v);
      }
    }
    return all;
  }

  /** Trains with faults, into {@code dir/run}. */
  private List<Float> train(
      Device device, Precision precision, @Nullable Consumer<Training> change, String faults)
      throws IOException {
    Faults rehearsal = new Faults(Fault.parse(faults));
    try (LanguageModel model = model(device, precision);
        RunDirectory run = RunDirectory.claim(dir.resolve("run"))) {
      Training training = training(model, rehearsal).hook(rehearsal::on).disk(rehearsal.disk());
      if (change != null) {
        change.accept(training);
      }
      try (Trainer trainer = training.trainer().into(run)) {
        trainer.run();
      }
      return weights(model);
    }
  }

  private List<RunEvent> events(String kind) throws IOException {
    return EventsFile.read(dir.resolve("run/events.jsonl")).stream()
        .filter(e -> e.kind().equals(kind))
        .toList();
  }

  private Checkpoint newest() {
    try (RunDirectory run = RunDirectory.claim(dir.resolve("run"))) {
      return Objects.requireNonNull(run.start("auto", damaged -> {}));
    }
  }

  /** What the run would be whose step 20 is not applied. */
  private static List<Float> withoutStep20(Device device, Precision precision) throws IOException {
    StepHook skip =
        new StepHook() {
          @Override
          public String name() {
            return "skip";
          }

          @Override
          public void decided(StepState state) {
            if (state.step() == 19) {
              state.skip();
            }
          }
        };
    try (LanguageModel model = model(device, precision);
        Trainer trainer = training(model).hook((p, o) -> skip).trainer()) {
      trainer.run();
      return weights(model);
    }
  }

  @ParameterizedTest
  @CsvSource({
    "fp32, nan-forward", "fp32, nan-gradient", "fp32, overflow",
    "bf16, nan-forward", "bf16, nan-gradient", "bf16, overflow"
  })
  void theStepIsLeftOutAsIfItsGradientHadNeverBeen(String precision, String fault)
      throws IOException {
    try (Cpu cpu = Cpu.open(1)) {
      assertLeftOut(cpu, Precision.named(precision), fault);
    }
  }

  @ParameterizedTest
  @CsvSource({"fp32, nan-forward", "bf16, nan-gradient"})
  @RequiresCuda
  void andOnACudaDeviceToo(String precision, String fault) throws IOException {
    try (Cuda cuda = TestCuda.open(new BundledKernels())) {
      assertLeftOut(cuda, Precision.named(precision), fault);
    }
  }

  private void assertLeftOut(Device device, Precision precision, String fault) throws IOException {
    List<Float> weights = train(device, precision, null, fault + "@20");
    assertThat(weights).isEqualTo(withoutStep20(device, precision));
    List<StepMetrics> logged = MetricsFile.read(dir.resolve("run/metrics.jsonl"));
    assertThat(logged).hasSize(STEPS);
    assertThat(logged.getLast().skipped()).isEqualTo(1);
    assertThat(logged.get(19).gradNorm()).isNotFinite();
    assertThat(events(RunEvent.NAN)).extracting(RunEvent::step).containsExactly(20L);
    assertBatchOf20();
  }

  /** Step 20 reads places 76 to 79 of 62 windows of 8: rows 14 to 17. */
  private void assertBatchOf20() throws IOException {
    int[] ids = TinyModels.ids(500);
    try (Safetensors file = Safetensors.open(dir.resolve("run/bad-batch-20.safetensors"))) {
      int[] tokens = file.get("tokens").data().toArray(ValueLayout.JAVA_INT_UNALIGNED);
      int[] targets = file.get("targets").data().toArray(ValueLayout.JAVA_INT_UNALIGNED);
      assertThat(file.get("places").data().toArray(ValueLayout.JAVA_LONG_UNALIGNED))
          .containsExactly(76, 77, 78, 79);
      for (int i = 0; i < BATCH * TinyModels.SEQ_LEN; i++) {
        assertThat(tokens[i]).isEqualTo(ids[14 * TinyModels.SEQ_LEN + i]);
        assertThat(targets[i]).isEqualTo(ids[14 * TinyModels.SEQ_LEN + i + 1]);
      }
    }
    assertThat(dir.resolve("run/bad-batch-20.txt"))
        .content()
        .contains("place 76, row 14, tokens 112 to 120 of pattern");
  }

  @ParameterizedTest
  @CsvSource({"fp32", "bf16", "fp16"})
  void aMomentThatIsNaNNeverReachesAWeightAndIsForgotten(String precision) throws IOException {
    try (Cpu cpu = Cpu.open(1)) {
      assertMomentForgotten(cpu, Precision.named(precision));
    }
  }

  @Test
  @RequiresCuda
  void aMomentOnACudaDeviceToo() throws IOException {
    try (Cuda cuda = TestCuda.open(new BundledKernels())) {
      assertMomentForgotten(cuda, Precision.FP32);
    }
  }

  private void assertMomentForgotten(Device device, Precision precision) throws IOException {
    List<Float> clean;
    try (LanguageModel model = model(device, precision);
        Trainer trainer = training(model).trainer()) {
      trainer.run();
      clean = weights(model);
    }
    List<Float> weights = train(device, precision, null, "nan-moment@20");
    assertThat(weights).allMatch(Float::isFinite);
    List<StepMetrics> logged = MetricsFile.read(dir.resolve("run/metrics.jsonl"));
    assertThat(logged).hasSize(STEPS).allMatch(m -> Double.isFinite(m.loss()));
    double most = 0;
    for (int i = 0; i < clean.size(); i++) {
      most = Math.max(most, Math.abs(clean.get(i) - weights.get(i)));
    }
    assertThat(most).as("one update of 40 was left out").isBetween(1e-4, 0.3);
    if (!precision.equals(Precision.FP16)) {
      assertThat(logged.getLast().skipped()).isEqualTo(1);
      assertThat(events(RunEvent.NAN)).hasSize(2);
      assertThat(events(RunEvent.NAN).getFirst().text())
          .contains("exp_avg of the optimizer not finite");
    }
    assertThat(newest().step()).isEqualTo(STEPS);
  }

  @Test
  void severalInARowEndTheRunWithTheLastGoodState() throws IOException {
    try (Cpu cpu = Cpu.open(1);
        LanguageModel model = model(cpu, Precision.FP32)) {
      assertThatThrownBy(() -> train(cpu, Precision.FP32, null, "nan-forward@20:3"))
          .isInstanceOfSatisfying(DivergedException.class, e -> assertThat(e.step()).isEqualTo(22))
          .hasMessageContaining(
              "training diverged; the step was not applied, nor were the 2 before")
          .hasMessageContaining("--learning-rate");
      assertThat(newest().step()).isEqualTo(22);
      assertThat(newest().state().carried().appliedSteps()).isEqualTo(19);
      model.restore(newest().directory());
      try (LanguageModel other = model(cpu, Precision.FP32);
          Trainer trainer = training(other).steps(19).trainer()) {
        trainer.run();
        assertThat(weights(model)).isEqualTo(weights(other));
      }
    }
    assertThat(events(RunEvent.NAN)).hasSize(3);
  }

  @Test
  void fewerInARowDoNot() throws IOException {
    try (Cpu cpu = Cpu.open(1)) {
      assertThat(train(cpu, Precision.FP32, null, "nan-forward@20:2,nan-gradient@25:2"))
          .allMatch(Float::isFinite);
      assertThat(events(RunEvent.NAN)).hasSize(4);
      assertThatThrownBy(
              () -> {
                dir = Files.createDirectory(dir.resolve("strict"));
                train(cpu, Precision.FP32, t -> t.maxBadSteps(1), "nan-gradient@20");
              })
          .isInstanceOf(DivergedException.class)
          .hasMessageContaining("step 20");
    }
  }

  @Test
  void anOverflowInFp16LowersTheScaleAsEver() throws IOException {
    try (Cpu cpu = Cpu.open(1)) {
      train(cpu, Precision.FP16, null, "overflow@20");
    }
    List<StepMetrics> logged = MetricsFile.read(dir.resolve("run/metrics.jsonl"));
    assertThat(logged.get(20).lossScale()).isEqualTo(logged.get(18).lossScale() / 2);
    assertThat(events(RunEvent.NAN)).isEmpty();
  }

  @Test
  void aGuardGoesBackWhereTheRunWouldEnd() throws IOException {
    GuardConfig config =
        new GuardConfig(Policy.parse("log:2,rollback"), 20, 6, 0.02, 5, 4, 0.1, 0.01, 10, 2);
    try (Cpu cpu = Cpu.open(1)) {
      train(
          cpu,
          Precision.FP32,
          t -> t.saveEvery(10).hook((p, o) -> new Guard(config, p, o)),
          "nan-forward@25:3");
    }
    assertThat(events(RunEvent.ROLLBACK))
        .singleElement()
        .satisfies(
            e ->
                assertThat(e.text())
                    .contains("back to checkpoint-20, and on behind the rows read so far"));
    assertThat(newest().step()).isEqualTo(STEPS);
    assertThat(newest().state().sequences())
        .as("rows of 27 steps, then of 20")
        .isEqualTo(BATCH * 47L);
  }

  private List<String> guarded(Device device) throws IOException {
    GuardConfig config =
        new GuardConfig(Policy.parse("skip:3,shrink"), 20, 4, 0.02, 10, 3, 0.1, 0.01, 5, 2);
    train(device, Precision.FP32, t -> t.hook((p, o) -> new Guard(config, p, o)), "spike@26:4");
    List<String> said = new ArrayList<>();
    for (RunEvent e : EventsFile.read(dir.resolve("run/events.jsonl"))) {
      if (e.kind().equals(RunEvent.SPIKE) && e.step() <= 29) {
        said.add(e.step() + e.text().substring(e.text().lastIndexOf(';') + 1));
      }
    }
    return said;
  }

  @Test
  @RequiresCuda
  void aGuardDoesOnACudaDeviceWhatItDoesOnTheCpu() throws IOException {
    List<String> said = List.of("26 skip", "27 skip", "28 skip", "29 shrink");
    try (Cpu cpu = Cpu.open(1)) {
      assertThat(guarded(cpu)).isEqualTo(said);
    }
    dir = Files.createDirectory(dir.resolve("cuda"));
    try (Cuda cuda = TestCuda.open(new BundledKernels())) {
      assertThat(guarded(cuda)).isEqualTo(said);
    }
  }
}
