package dev.javelin.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.javelin.device.Cpu;
import dev.javelin.device.DType;
import dev.javelin.nn.Precision;
import dev.javelin.tensor.Shape;
import dev.javelin.tensor.step.LossScaling;
import dev.javelin.tensor.step.StepGraph;
import dev.javelin.tensor.step.Workspace;
import dev.javelin.train.data.Dataset;
import dev.javelin.train.data.InputException;
import dev.javelin.train.data.TokenSource;
import dev.javelin.train.monitor.StepMetrics;
import dev.javelin.train.monitor.Watcher;
import dev.javelin.train.settings.RunSettings;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

class TrainerTest {
  private final Cpu cpu = Cpu.open(2);

  @AfterEach
  void close() {
    cpu.close();
  }

  @Test
  void oneBatchIsLearnedByHeart() throws IOException {
    RunSettings config = TinyModels.settings(150);
    // Four windows, one batch, each token followed by one token only.
    int[] ids = IntStream.rangeClosed(0, 4 * TinyModels.SEQ_LEN).map(i -> i * 7 % 31).toArray();
    try (LanguageModel model = TinyModels.model(cpu, TinyModels.llama(), Precision.FP32);
        Dataset batch = new Dataset(TokenSource.of("batch", ids), null, null);
        Trainer trainer = TextTraining.of(model, batch, config).trainer()) {
      assertThat(trainer.run().loss()).isLessThan(0.02);
    }
  }

  /**
   * Step by step, not at the end alone, and all of them learn: a model that stands still, or a step
   * that is skipped, or gradients off by a hundredth, leave the bound.
   */
  @Test
  void halfTypesLearnAsFp32Does() throws IOException {
    List<Double> fp32 = losses(30, Precision.FP32);
    assertThat(fp32.getLast()).isLessThan(fp32.getFirst() - 0.5);
    assertThat(farthest(losses(30, Precision.BF16), fp32)).isLessThan(0.1);
    assertThat(farthest(losses(30, Precision.FP16), fp32)).isLessThan(0.03);
  }

  private static double farthest(List<Double> a, List<Double> b) {
    assertThat(a).hasSameSizeAs(b);
    return IntStream.range(0, a.size())
        .mapToDouble(i -> Math.abs(a.get(i) - b.get(i)))
        .max()
        .orElseThrow();
  }

  private List<Double> losses(int steps, Precision precision) throws IOException {
    List<StepMetrics> metrics = new ArrayList<>();
    try (LanguageModel model = TinyModels.model(cpu, TinyModels.llama(), precision);
        Trainer trainer =
            TextTraining.of(model, TinyModels.data(500), TinyModels.settings(steps)).trainer()) {
      trainer.watch(collect(metrics)).run();
    }
    assertThat(metrics).hasSize(steps);
    return metrics.stream().map(StepMetrics::loss).toList();
  }

  @Test
  void aScaleTooLargeIsHalvedUntilGradientsAreFiniteAndThoseStepsAreSkipped() throws IOException {
    LossScaling large = new LossScaling(0x1p30f, 2, 0.5f, 2000, 1);
    List<StepMetrics> steps = new ArrayList<>();
    try (LanguageModel model =
            TinyModels.model(cpu, TinyModels.llama(), new Precision("fp16", DType.F16, large));
        Trainer trainer =
            TextTraining.of(model, TinyModels.data(500), TinyModels.settings(60)).trainer()) {
      trainer.watch(collect(steps)).run();
    }
    long skipped = steps.getLast().skipped();
    assertThat(skipped).isBetween(1L, 30L);
    for (int i = 1; i < steps.size(); i++) {
      boolean overflowed = steps.get(i - 1).skipped() > (i == 1 ? 0 : steps.get(i - 2).skipped());
      double factor = overflowed ? 0.5 : 1;
      assertThat(steps.get(i).lossScale()).isEqualTo(steps.get(i - 1).lossScale() * factor);
    }
    assertThat(steps.getLast().loss()).isLessThan(steps.getFirst().loss() - 0.5);
  }

  @Test
  void aLossThatIsNoNumberEndsTheRunWithItsStep() {
    RunSettings config = TinyModels.settings(50).withSchedule(s -> s.withLearningRate(1e30));
    try (LanguageModel model = TinyModels.model(cpu, TinyModels.llama(), Precision.FP32);
        Trainer trainer = TextTraining.of(model, TinyModels.data(500), config).trainer()) {
      assertThatThrownBy(trainer::run)
          .isInstanceOf(DivergedException.class)
          .hasMessageContaining("diverged")
          .hasMessageContaining("--learning-rate");
    }
  }

  @Test
  void aSequenceLongerThanThePositionsAndDataThatAreTooShortAreRefused() {
    RunSettings config =
        TinyModels.settings(1).withBatch(b -> b.withSeqLen(TinyModels.SEQ_LEN + 1));
    try (LanguageModel model = TinyModels.model(cpu, TinyModels.llama(), Precision.FP32);
        Dataset one = TinyModels.data(1)) {
      assertThatThrownBy(() -> TextTraining.of(model, one, config).trainer())
          .isInstanceOf(InputException.class)
          .hasMessageContaining("8 positions");
      assertThatThrownBy(() -> TextTraining.of(model, one, TinyModels.settings(1)).trainer())
          .isInstanceOf(InputException.class)
          .hasMessageContaining("1 token");
    }
  }

  @Test
  void aStepThatAsksForOtherMemoryTheSecondTimeIsFoundOut() {
    try (Workspace workspace = Workspace.on(cpu, 1 << 20)) {
      StepGraph graph = new StepGraph("micro-step", workspace);
      int[] size = {7};
      Runnable step = () -> workspace.alloc(DType.F32, Shape.of(100 * size[0]++));
      graph.run(step);
      assertThatThrownBy(() -> graph.run(step))
          .isInstanceOf(IllegalStateException.class)
          .hasMessageContaining("micro-step")
          .hasMessageContaining("other memory");
    }
  }

  private static Watcher collect(List<StepMetrics> into) {
    return new Watcher() {
      @Override
      public void logged(StepMetrics metrics) {
        into.add(metrics);
      }
    };
  }
}
