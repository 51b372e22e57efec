package dev.javelin.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.javelin.autograd.Tensors;
import dev.javelin.device.Cpu;
import dev.javelin.device.Device;
import dev.javelin.device.RequiresEmulator;
import dev.javelin.device.TestCuda;
import dev.javelin.kernels.BundledKernels;
import dev.javelin.kernels.EpsilonPlacement;
import dev.javelin.nn.Precision;
import dev.javelin.tensor.WeightUpdate;
import dev.javelin.tensor.io.FileFormatException;
import dev.javelin.tensor.op.Epsilon;
import dev.javelin.train.checkpoint.Checkpoint;
import dev.javelin.train.data.Dataset;
import dev.javelin.train.data.InputException;
import dev.javelin.train.monitor.StepMetrics;
import dev.javelin.train.monitor.Watcher;
import dev.javelin.train.optim.Adafactor;
import dev.javelin.train.optim.AdafactorConfig;
import dev.javelin.train.optim.AdamW;
import dev.javelin.train.optim.AdamW8bit;
import dev.javelin.train.optim.AdamWConfig;
import dev.javelin.train.optim.EpsilonScale;
import dev.javelin.train.optim.Muon;
import dev.javelin.train.optim.MuonConfig;
import dev.javelin.train.optim.Optimizer;
import dev.javelin.train.optim.OptimizerFile;
import dev.javelin.train.run.RunDirectory;
import dev.javelin.train.settings.DeviceSpec;
import dev.javelin.train.settings.RunSettings;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.function.Function;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Rules and precisions that save memory, in whole trainings of a tiny model. */
class LowMemoryOptimizersTest {
  private static final AdamWConfig ADAM = new AdamWConfig(0.9f, 0.95f, 1e-8f);

  @TempDir Path dir;

  private static Function<LanguageModel, Optimizer> rule(String name) {
    return switch (name) {
      case "adamw" -> m -> new AdamW(m.parameters().trained(), ADAM);
      case "adamw8bit" ->
          m -> new AdamW8bit(m.parameters().trained(), ADAM, 512); // matrices, not norms
      case "adafactor" -> m -> new Adafactor(m.parameters().trained(), AdafactorConfig.DEFAULT);
      case "adafactor-momentum" ->
          m ->
              new Adafactor(
                  m.parameters().trained(),
                  new AdafactorConfig(-0.8f, 1, 1e-3f, 0.9f, false, false));
      case "muon" ->
          m -> new Muon(m.parameters().trained(), new MuonConfig(0.95f, true, true, true, ADAM));
      case "epsilon" ->
          m ->
              new AdamW(
                  m.parameters().trained(),
                  new AdamWConfig(
                      0.9f, 0.95f, new Epsilon(EpsilonPlacement.INSIDE, 1e-4f, 1e-12f, 10)));
      default -> throw new IllegalArgumentException(name);
    };
  }

  private static Precision precision(String name) {
    return switch (name) {
      case "stochastic" -> Precision.BF16.withUpdate(WeightUpdate.STOCHASTIC);
      case "nearest" -> Precision.BF16.withUpdate(WeightUpdate.NEAREST);
      default -> Precision.named(name);
    };
  }

  private record Result(List<Double> losses, double[] weights, long stateBytes) {
    double last() {
      return losses.subList(losses.size() - 5, losses.size()).stream()
          .mapToDouble(l -> l)
          .average()
          .orElseThrow();
    }
  }

  private static Watcher losses(List<Double> into) {
    return new Watcher() {
      @Override
      public void logged(StepMetrics metrics) {
        into.add(metrics.loss());
      }
    };
  }

  private static Result train(
      Device device, String rule, String precision, RunSettings settings, boolean recorded)
      throws IOException {
    List<Double> losses = new ArrayList<>();
    long[] bytes = {0};
    try (device;
        LanguageModel model = TinyModels.model(device, TinyModels.llama(), precision(precision));
        Dataset data = TinyModels.data(500);
        Trainer trainer =
            TextTraining.of(model, data, settings)
                .optimizer(
                    p -> {
                      Optimizer made = rule(rule).apply(model);
                      bytes[0] = OptimizerFile.bytes(made);
                      return made;
                    })
                .recorded(recorded)
                .trainer()) {
      trainer.watch(losses(losses)).run();
      return new Result(losses, Tensors.toDoubles(model.parameters().weights()), bytes[0]);
    }
  }

  @ParameterizedTest
  @CsvSource({
    "adamw8bit, fp32", "adamw8bit, bf16", "adafactor, fp32", "adafactor-momentum, fp16",
    "muon, fp32", "muon, bf16", "adamw, stochastic", "adamw8bit, stochastic",
    "adafactor, stochastic", "muon, stochastic", "epsilon, fp32"
  })
  void everyRuleLearns(String rule, String precision) throws IOException {
    RunSettings settings = TinyModels.settings(60);
    double adamW = train(Cpu.open(1), "adamw", "fp32", settings, true).last();
    Result got = train(Cpu.open(2), rule, precision, settings, true);
    assertThat(got.losses.getFirst() - got.last())
        .as("from %s to %s, AdamW to %s", got.losses.getFirst(), got.last(), adamW)
        .isGreaterThan(0.7 * (got.losses.getFirst() - adamW));
  }

  @RequiresEmulator
  @ParameterizedTest
  @CsvSource({
    "adamw8bit, fp32", "adamw8bit, bf16", "adafactor, bf16", "adafactor-momentum, fp32",
    "muon, fp16", "adamw, stochastic", "muon, stochastic", "epsilon, fp32"
  })
  void aRecordedStepLeavesTheBitsOfAnEagerOneAndTheLossesOfTheCpu(String rule, String precision)
      throws IOException {
    RunSettings settings = TinyModels.settings(8);
    Result eager = train(TestCuda.open(new BundledKernels()), rule, precision, settings, false);
    Result recorded = train(TestCuda.open(new BundledKernels()), rule, precision, settings, true);
    assertThat(recorded.losses).isEqualTo(eager.losses);
    assertThat(recorded.weights).isEqualTo(eager.weights);
    Result cpu = train(Cpu.open(1), rule, precision, settings, true);
    for (int i = 0; i < cpu.losses.size(); i++) {
      assertThat(recorded.losses.get(i))
          .as("step %d", i)
          .isCloseTo(cpu.losses.get(i), within(3e-2));
    }
  }

  private static Trainer trainer(
      LanguageModel model, Dataset data, String rule, int steps, RunSettings settings) {
    return TextTraining.of(model, data, settings)
        .optimizer(p -> rule(rule).apply(model))
        .steps(steps)
        .trainer();
  }

  @ParameterizedTest
  @CsvSource({
    "adamw8bit, fp32",
    "adamw8bit, bf16",
    "adafactor, fp32",
    "adafactor-momentum, bf16",
    "muon, fp32",
    "muon, bf16",
    "adamw, stochastic",
    "muon, stochastic",
    "epsilon, fp32"
  })
  void trainingGoesOnBitForBit(String rule, String precision) throws IOException {
    RunSettings settings =
        TinyModels.settings(20).withSchedule(s -> s.withLrDecaySteps(20).withWarmupSteps(2));
    double[] whole = train(Cpu.open(1), rule, precision, settings, true).weights;
    try (Cpu cpu = Cpu.open(2);
        Dataset data = TinyModels.data(500);
        RunDirectory run = RunDirectory.claim(dir.resolve("run"))) {
      try (LanguageModel model = TinyModels.model(cpu, TinyModels.llama(), precision(precision));
          Trainer trainer = trainer(model, data, rule, 9, settings)) {
        trainer.into(run).run();
      }
      Checkpoint checkpoint = Objects.requireNonNull(run.start("auto", damaged -> {}));
      try (LanguageModel model =
              LanguageModel.load(
                  cpu,
                  checkpoint.directory(),
                  TinyModels.llama(),
                  precision(precision),
                  dev.javelin.nn.Grouping.decayMatrices(0.1f),
                  null);
          Trainer trainer = trainer(model, data, rule, 20, settings).into(run)) {
        trainer.resume(checkpoint);
        trainer.run();
        assertThat(Tensors.toDoubles(model.parameters().weights())).isEqualTo(whole);
      }
    }
  }

  @Test
  void stateTakesTheBytesThatThePageSays() throws IOException {
    RunSettings settings = TinyModels.settings(1);
    try (Cpu cpu = Cpu.open(1);
        LanguageModel model = TinyModels.model(cpu, TinyModels.llama(), Precision.FP32)) {
      long n = model.parameters().size();
      assertThat(bytes("adamw", settings)).isBetween(8.0 * n, 8.5 * n);
      // Two codes, two scales for 128; norms keep fp32.
      assertThat(bytes("adamw8bit", settings)).isBetween(2.06 * n, 3.0 * n);
      assertThat(bytes("adafactor", settings)).isLessThan(0.75 * n);
      assertThat(bytes("adafactor-momentum", settings)).isBetween(4.0 * n, 5.0 * n);
      assertThat(bytes("muon", settings)).isBetween(4.0 * n, 5.5 * n);
    }
  }

  private static double bytes(String rule, RunSettings settings) throws IOException {
    return train(Cpu.open(1), rule, "fp32", settings, true).stateBytes;
  }

  @Test
  void withoutMastersTheirMemoryIsNotTaken() {
    try (Cpu cpu = Cpu.open(1)) {
      long before = cpu.liveBytes();
      long with;
      try (LanguageModel model = TinyModels.model(cpu, TinyModels.llama(), Precision.BF16)) {
        with = cpu.liveBytes() - before;
        assertThat(model.parameters().master()).isNotNull();
      }
      try (LanguageModel model =
          TinyModels.model(cpu, TinyModels.llama(), precision("stochastic"))) {
        assertThat(model.parameters().master()).isNull();
        assertThat(with - (cpu.liveBytes() - before))
            .isEqualTo(4 * model.parameters().flat().elements());
      }
    }
  }

  /** A rate at which hardly any update reaches half a last place of its weight. */
  @Test
  void aTinyRateMovesWeightsByChanceAsFarAsWithMastersAndToNearestNotAtAll() throws IOException {
    RunSettings settings =
        TinyModels.settings(150)
            .withSchedule(s -> s.withLearningRate(2e-5).withWarmupSteps(0))
            .withOptimizer(o -> o.withWeightDecay(0));
    double masters = learned(train(Cpu.open(2), "adamw", "bf16", settings, true));
    double stochastic = learned(train(Cpu.open(2), "adamw", "stochastic", settings, true));
    double nearest = learned(train(Cpu.open(2), "adamw", "nearest", settings, true));
    assertThat(masters).isPositive();
    assertThat(stochastic).as("masters %s", masters).isCloseTo(masters, within(0.35 * masters));
    assertThat(nearest).as("masters %s", masters).isLessThan(0.5 * masters);
  }

  private static double learned(Result r) {
    return r.losses.subList(0, 10).stream().mapToDouble(l -> l).average().orElseThrow()
        - r.losses.subList(r.losses.size() - 10, r.losses.size()).stream()
            .mapToDouble(l -> l)
            .average()
            .orElseThrow();
  }

  @Test
  void eightBitsFollowTheCurveOfFp32WithinAHundredth() throws IOException {
    RunSettings settings = TinyModels.settings(100).withSchedule(s -> s.withLearningRate(2e-3));
    List<Double> fp32 = train(Cpu.open(2), "adamw", "fp32", settings, true).losses;
    List<Double> eight = train(Cpu.open(2), "adamw8bit", "fp32", settings, true).losses;
    assertThat(fp32.getLast()).isBetween(1.0, fp32.getFirst() - 1); // learns, and not by heart
    double worst = 0;
    for (int i = 0; i + 20 <= fp32.size(); i += 20) {
      double want = mean(fp32.subList(i, i + 20));
      worst = Math.max(worst, Math.abs(mean(eight.subList(i, i + 20)) / want - 1));
    }
    assertThat(worst).isLessThan(0.01);
    assertThat(eight).isNotEqualTo(fp32);
  }

  private static double mean(List<Double> values) {
    return values.stream().mapToDouble(v -> v).average().orElseThrow();
  }

  /** A recorded step reads the factor in device memory. */
  @Test
  @RequiresEmulator
  void epsilonCanBeScaledBetweenRecordedSteps() throws IOException {
    double[] plain = scaled(1);
    double[] damped = scaled(1e9f);
    double far = 0;
    for (int i = 0; i < plain.length; i++) {
      far = Math.max(far, Math.abs(plain[i] - damped[i]));
    }
    assertThat(far).as("an epsilon of 10 all but stops the weights").isGreaterThan(0.01);
  }

  private static double[] scaled(float factor) throws IOException {
    EpsilonScale.Scaled[] made = {null};
    try (Device device = TestCuda.open(new BundledKernels());
        LanguageModel model = TinyModels.model(device, TinyModels.llama(), Precision.FP32);
        Dataset data = TinyModels.data(500);
        Trainer trainer =
            TextTraining.of(model, data, TinyModels.settings(10))
                .optimizer(
                    p -> {
                      AdamW adam = new AdamW(p, ADAM);
                      made[0] = adam;
                      return adam;
                    })
                .trainer()) {
      trainer
          .watch(
              new Watcher() {
                @Override
                public void logged(StepMetrics metrics) {
                  if (metrics.step() == 5) {
                    Objects.requireNonNull(made[0]).epsilonScale().set(factor);
                  }
                }
              })
          .run();
      return Tensors.toDoubles(model.parameters().weights());
    }
  }

  @ParameterizedTest
  @CsvSource({
    "adamw, adam_epsilon_placement, inside",
    "adamw8bit, adam_epsilon_steps, 100",
    "muon, muon_momentum, 0.5",
    "muon, muon_match_rms, false",
    "adafactor, adafactor_momentum, 0.9",
    "adafactor, adafactor_scaled, true"
  })
  void eachSettingOfARuleIsFelt(String rule, String key, String value) throws IOException {
    RunSettings settings =
        TinyModels.settings(4)
            .with(Map.of("optimizer", rule, "adam_epsilon", "1e-3", "adam_epsilon_end", "1e-6"));
    assertThat(losses(settings.with(Map.of(key, value)))).isNotEqualTo(losses(settings));
  }

  private static List<Double> losses(RunSettings settings) throws IOException {
    List<Double> losses = new ArrayList<>();
    try (Cpu cpu = Cpu.open(1);
        LanguageModel model = TinyModels.model(cpu, TinyModels.llama(), Precision.FP32);
        Dataset data = TinyModels.data(500);
        Trainer trainer = TextTraining.of(model, data, settings).trainer()) {
      trainer.watch(losses(losses)).run();
    }
    return losses;
  }

  @Test
  void roundingByChanceIsForBf16Alone() {
    for (String precision : List.of("fp32", "fp16")) {
      var device =
          DeviceSpec.DEFAULT
              .withPrecision(Precision.named(precision))
              .withWeightUpdate(WeightUpdate.STOCHASTIC);
      assertThatThrownBy(device::numbers)
          .isInstanceOf(InputException.class)
          .hasMessage("--weight-update stochastic needs --precision bf16, got " + precision);
    }
  }

  @Test
  void aCheckpointWithMastersIsNotGoneOnFromWithout() {
    try (Cpu cpu = Cpu.open(1);
        LanguageModel with = TinyModels.model(cpu, TinyModels.llama(), Precision.BF16);
        LanguageModel without = TinyModels.model(cpu, TinyModels.llama(), precision("stochastic"));
        Optimizer first = new AdamW(with.parameters(), ADAM);
        Optimizer second = new AdamW(without.parameters(), ADAM)) {
      new OptimizerFile(with.parameters(), first).save(dir);
      assertThatThrownBy(() -> new OptimizerFile(without.parameters(), second).load(dir))
          .isInstanceOf(FileFormatException.class)
          .hasMessageContaining("holds [exp_avg, exp_avg_sq, master]")
          .hasMessageContaining("--weight-update");
    }
  }
}
