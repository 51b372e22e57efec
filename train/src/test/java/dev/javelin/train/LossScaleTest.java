package dev.javelin.train;

import static org.assertj.core.api.Assertions.assertThat;

import dev.javelin.autograd.Losses;
import dev.javelin.device.Cpu;
import dev.javelin.device.Cuda;
import dev.javelin.device.Device;
import dev.javelin.device.RequiresCuda;
import dev.javelin.device.TestCuda;
import dev.javelin.device.Turn;
import dev.javelin.kernels.BundledKernels;
import dev.javelin.nn.Pass;
import dev.javelin.nn.Precision;
import dev.javelin.nn.Transformer;
import dev.javelin.tensor.op.LossOptions;
import dev.javelin.tensor.step.LossScaling;
import dev.javelin.train.data.BatchLayout;
import dev.javelin.train.data.BatchSource;
import dev.javelin.train.data.Order;
import dev.javelin.train.data.TokenSource;
import dev.javelin.train.data.Windows;
import dev.javelin.train.monitor.StepMetrics;
import dev.javelin.train.monitor.Watcher;
import dev.javelin.train.objective.NextToken;
import dev.javelin.train.objective.Objective;
import dev.javelin.train.optim.GradientClip;
import dev.javelin.train.schedule.Schedule;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

/**
 * The loss scale is in every gradient, whatever the objective is made of, and out of every step.
 */
class LossScaleTest {

  @Test
  void aPowerOfTwoChangesNoBit() throws IOException {
    try (Cpu cpu = Cpu.open(1)) {
      aPowerOfTwoChangesNoBit(cpu);
    }
  }

  @Test
  @RequiresCuda
  void aPowerOfTwoChangesNoBitOnAGpu() throws IOException {
    try (Cuda cuda = TestCuda.open(new BundledKernels())) {
      aPowerOfTwoChangesNoBit(cuda);
    }
  }

  private static void aPowerOfTwoChangesNoBit(Device device) throws IOException {
    for (boolean fused : new boolean[] {true, false}) {
      List<Double> plain = norms(device, fused, 1);
      assertThat(plain).hasSize(5).allSatisfy(norm -> assertThat(norm).isPositive());
      assertThat(norms(device, fused, 1024)).isEqualTo(plain);
    }
  }

  /** The gradient norms of some steps. */
  private static List<Double> norms(Device device, boolean fused, float scale) throws IOException {
    List<Double> norms = new ArrayList<>();
    LossScaling fixed = new LossScaling(scale, 1, 1, 0, 1);
    try (LanguageModel model = TinyModels.model(device, TinyModels.llama(), Precision.FP32)) {
      Windows windows =
          new Windows(
              TokenSource.of("pattern", TinyModels.ids(500)), TinyModels.SEQ_LEN, TinyModels.VOCAB);
      Objective objective =
          fused ? new NextToken(model.transformer()) : losses(model.transformer());
      try (Trainer trainer =
          Training.of(
                  model.parameters(), objective, BatchSource.endless(windows, Order.sequential()))
              .batch(2)
              .accumulate(2)
              .schedule(new Schedule.Constant(1e-2, 0))
              .clip(GradientClip.byNorm(1, fixed))
              .logEvery(1)
              .steps(5)
              .trainer()) {
        trainer.watch(
            new Watcher() {
              @Override
              public void logged(StepMetrics metrics) {
                norms.add(metrics.gradNorm());
              }
            });
        trainer.run();
      }
    }
    return norms;
  }

  /** The next token's loss, of losses that stand apart, as objectives of one's own have them. */
  private static Objective losses(Transformer model) {
    return (tape, batch, state) -> {
      try (Turn _ = tape.workspace().device().turn()) {
        return Losses.stepLoss(
            Losses.linearCrossEntropyLosses(
                model.hidden(tape, batch.get(BatchLayout.TOKENS), Pass.training(state)),
                model.headWeight(tape),
                batch.get(BatchLayout.TARGETS),
                LossOptions.PLAIN),
            state);
      }
    };
  }
}
