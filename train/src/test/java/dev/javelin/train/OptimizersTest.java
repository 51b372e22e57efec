package dev.javelin.train;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.javelin.device.Cpu;
import dev.javelin.device.Cuda;
import dev.javelin.device.Device;
import dev.javelin.device.RequiresEmulator;
import dev.javelin.device.TestCuda;
import dev.javelin.kernels.BundledKernels;
import dev.javelin.nn.Precision;
import dev.javelin.nn.TransformerConfig;
import dev.javelin.tensor.Tensor;
import dev.javelin.tensor.step.StepState;
import dev.javelin.train.checkpoint.Checkpoint;
import dev.javelin.train.data.BatchSource;
import dev.javelin.train.data.InputException;
import dev.javelin.train.data.Order;
import dev.javelin.train.hook.StepHook;
import dev.javelin.train.monitor.MetricsFile;
import dev.javelin.train.monitor.StepMetrics;
import dev.javelin.train.objective.NextToken;
import dev.javelin.train.objective.Objective;
import dev.javelin.train.optim.Optimizer;
import dev.javelin.train.optim.OptimizerFile;
import dev.javelin.train.optim.Optimizers;
import dev.javelin.train.run.RunDirectory;
import dev.javelin.train.settings.OptimizerSpec;
import dev.javelin.train.settings.RunSettings;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.Set;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;

/** Every rule of the command line in a training. */
class OptimizersTest {
  @TempDir Path dir;

  private static RunSettings settings(String optimizer, double rate, int steps) {
    return TinyModels.settings(steps)
        .withSchedule(s -> s.withLearningRate(rate).withWarmupSteps(0).withLrDecaySteps(steps))
        .withOptimizer(o -> o.withOptimizer(optimizer).withSophiaInterval(3));
  }

  private static LanguageModel model(Device device, Precision precision, RunSettings settings) {
    TransformerConfig config = TinyModels.llama();
    return LanguageModel.create(device, config, precision, settings.optimizer().groups(), 1, null);
  }

  /** Weights and masters, as they are in memory. */
  private static byte[] weights(LanguageModel model) {
    Tensor w = model.parameters().weights();
    Tensor master = model.parameters().master();
    byte[] a = w.toHost().toArray(JAVA_BYTE);
    if (master == null) {
      return a;
    }
    byte[] b = master.toHost().toArray(JAVA_BYTE);
    byte[] both = Arrays.copyOf(a, a.length + b.length);
    System.arraycopy(b, 0, both, a.length, b.length);
    return both;
  }

  private static Trainer trainer(LanguageModel model, RunSettings settings) {
    return TextTraining.of(model, TinyModels.data(2000), settings).trainer();
  }

  private static byte[] trained(Device device, Precision precision, RunSettings settings)
      throws IOException {
    try (LanguageModel model = model(device, precision, settings);
        Trainer trainer = trainer(model, settings)) {
      trainer.run();
      return weights(model);
    }
  }

  /**
   * Rates found on this model, in the range in which the rule is used elsewhere; the loss begins at
   * ln 31 = 3.43.
   */
  @ParameterizedTest
  @CsvSource({
    "sgd, 0.3",
    "adam, 0.01",
    "adamw, 0.01",
    "adagrad, 0.05",
    "rmsprop, 0.003",
    "lion, 0.002",
    "lamb, 0.03",
    "sophia, 0.003",
    "adafactor, 0.02",
    "adamw8bit, 0.01",
    "muon, 0.01"
  })
  void eachRuleLearnsThePattern(String optimizer, double rate) throws IOException {
    RunSettings settings = settings(optimizer, rate, 150);
    Path out = dir.resolve(optimizer);
    try (Cpu cpu = Cpu.open(2);
        LanguageModel model = model(cpu, Precision.FP32, settings);
        RunDirectory run = RunDirectory.claim(out);
        Trainer trainer = trainer(model, settings).into(run)) {
      trainer.run();
    }
    List<StepMetrics> lines = MetricsFile.read(out.resolve("metrics.jsonl"));
    double first = lines.getFirst().loss();
    assertThat(first).isCloseTo(3.43, within(0.3));
    assertThat(lines.getLast().loss()).as(optimizer).isLessThan(first / 5);
  }

  @ParameterizedTest
  @CsvSource({
    "sgd, 4",
    "adam, 8",
    "adamw, 8",
    "adagrad, 4",
    "rmsprop, 4",
    "lion, 4",
    "lamb, 8",
    "sophia, 8"
  })
  void eachKeepsTheBytesThatItsPageSays(String optimizer, int bytes) {
    assertThat(kept(o -> o.withOptimizer(optimizer))).isEqualTo(bytes);
  }

  @Test
  void whatARuleIsToldChangesWhatItKeeps() {
    assertThat(kept(o -> o.withOptimizer("sgd").withMomentum(0f))).isZero();
    assertThat(kept(o -> o.withOptimizer("adam").withAmsgrad(true))).isEqualTo(12);
    assertThat(kept(o -> o.withOptimizer("rmsprop").withMomentum(0.9f).withRmspropCentered(true)))
        .isEqualTo(12);
  }

  /** Bytes for each parameter. */
  private static double kept(UnaryOperator<OptimizerSpec> change) {
    RunSettings settings = TinyModels.settings(1).withOptimizer(change);
    try (Cpu cpu = Cpu.open(1);
        LanguageModel model = model(cpu, Precision.BF16, settings);
        Optimizer optimizer = settings.optimizer().create(model.parameters())) {
      return (double) OptimizerFile.bytes(optimizer) / model.parameters().flat().elements();
    }
  }

  static Set<String> names() {
    return Optimizers.names();
  }

  /** Half weights with masters; the loss scale is too large at first, so steps are skipped. */
  @ParameterizedTest
  @MethodSource("names")
  void itGoesOnBitForBit(String optimizer) throws IOException {
    RunSettings settings = settings(optimizer, 1e-3, 12);
    try (Cpu cpu = Cpu.open(1);
        RunDirectory run = RunDirectory.claim(dir.resolve(optimizer))) {
      byte[] whole = trained(cpu, Precision.FP16, settings);
      try (LanguageModel model = model(cpu, Precision.FP16, settings);
          Trainer trainer = trainer(model, settings.withRun(r -> r.withMaxSteps(5))).into(run)) {
        trainer.run();
      }
      Checkpoint from = Objects.requireNonNull(run.start("auto", damaged -> {}));
      try (LanguageModel model = model(cpu, Precision.FP16, settings);
          Trainer trainer = trainer(model, settings).into(run)) {
        model.restore(from.directory());
        trainer.resume(from);
        trainer.run();
        assertThat(weights(model)).isEqualTo(whole);
      }
    }
  }

  @ParameterizedTest
  @MethodSource("names")
  @RequiresEmulator
  void aGpuRecordsItWithItsStep(String optimizer) throws IOException {
    RunSettings settings = settings(optimizer, 1e-3, 6);
    byte[][] ends = new byte[2][];
    for (int recorded = 0; recorded < 2; recorded++) {
      try (Cuda cuda = TestCuda.open(new BundledKernels());
          LanguageModel model = model(cuda, Precision.BF16, settings);
          Trainer trainer =
              TextTraining.of(model, TinyModels.data(2000), settings)
                  .recorded(recorded == 1)
                  .trainer()) {
        trainer.run();
        ends[recorded] = weights(model);
      }
    }
    assertThat(ends[1]).isEqualTo(ends[0]);
  }

  /** The curvature that is kept is the mean of squared gradients with drawn targets. */
  @Test
  void sophiaEstimatesCurvatureEveryFewSteps() throws IOException {
    RunSettings settings = settings("sophia", 1e-3, 7);
    try (Cpu cpu = Cpu.open(2);
        LanguageModel model = model(cpu, Precision.FP32, settings)) {
      Optimizer[] rule = new Optimizer[1];
      List<Double> sums = new ArrayList<>();
      StepHook watching =
          new StepHook() {
            @Override
            public String name() {
              return "watching";
            }

            @Override
            public void updated(StepState state) {
              Tensor h = rule[0].state().get(1).buffer();
              double sum = 0;
              for (float x : h.toHost().toArray(JAVA_FLOAT)) {
                assertThat(x).isNotNegative();
                sum += x;
              }
              sums.add(sum);
            }
          };
      try (Trainer trainer =
          TextTraining.of(model, TinyModels.data(2000), settings)
              .hook(
                  (p, optimizer) -> {
                    rule[0] = optimizer;
                    return watching;
                  })
              .trainer()) {
        trainer.run();
      }
      assertThat(sums).hasSize(7);
      assertThat(sums.getFirst()).isPositive();
      for (int step = 1; step < 7; step++) {
        if (step % 3 == 0) {
          assertThat(sums.get(step)).as("step %d", step).isNotEqualTo(sums.get(step - 1));
        } else {
          assertThat(sums.get(step)).as("step %d", step).isEqualTo(sums.get(step - 1));
        }
      }
    }
  }

  @Test
  void sophiaWithAnotherObjectiveIsRefused() {
    RunSettings settings = settings("sophia", 1e-3, 2);
    try (Cpu cpu = Cpu.open(1);
        LanguageModel model = model(cpu, Precision.FP32, settings)) {
      Objective other =
          (tape, batch, state) -> new NextToken(model.transformer()).loss(tape, batch, state);
      Training training =
          Training.of(
                  model.parameters(),
                  other,
                  BatchSource.endless(
                      TextTraining.rows(
                          TinyModels.data(2000).train(),
                          TinyModels.SEQ_LEN,
                          TinyModels.VOCAB,
                          true),
                      Order.sequential()))
              .optimizer(settings.optimizer()::create);
      assertThatThrownBy(training::trainer)
          .isInstanceOf(InputException.class)
          .hasMessageContaining("--optimizer sophia draws targets from the model");
    }
  }
}
