package dev.javelin.tensor.op;

import static org.assertj.core.api.Assertions.assertThat;

import dev.javelin.device.Cpu;
import dev.javelin.device.Cuda;
import dev.javelin.device.Device;
import dev.javelin.device.RequiresCuda;
import dev.javelin.device.TestCuda;
import dev.javelin.kernels.BundledKernels;
import dev.javelin.tensor.FlatWeights;
import dev.javelin.tensor.Segment;
import dev.javelin.tensor.Tensor;
import dev.javelin.tensor.step.LossScaling;
import dev.javelin.tensor.step.StepState;
import dev.javelin.tensor.step.Workspace;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class MuonTest {

  @ParameterizedTest
  @ValueSource(strings = {"muon", "muon_match_rms", "muon_sum_momentum"})
  void followsTheReferenceOverTenSteps(String name) {
    try (Cpu cpu = Cpu.open(2)) {
      follow(cpu, name);
    }
  }

  @RequiresCuda
  @ParameterizedTest
  @ValueSource(strings = {"muon", "muon_match_rms", "muon_sum_momentum"})
  void followsTheReferenceOnAGpu(String name) {
    try (Cuda cuda = TestCuda.open(new BundledKernels())) {
      follow(cuda, name);
    }
  }

  private static void follow(Device device, String name) {
    OptimizerCase c = OptimizerCase.named(name);
    float mu = c.number("momentum");
    boolean average = c.hyper().text("momentum_form").equals("ema");
    boolean match = c.hyper().text("adjust_lr").equals("match_rms_adamw");
    var momentum = new Muon.Momentum(mu, average ? 1 - mu : 1, c.flag("nesterov"));
    try (Muon muon = new Muon(device, 64, 8)) {
      c.follow(
          device,
          1e-4,
          1,
          (flat, shape, state, ws) -> {
            Tensor m = OptimizerCase.zeros(ws, shape[0] * shape[1]);
            double factor =
                match
                    ? 0.2 * Math.sqrt(Math.max(shape[0], shape[1]))
                    : Math.sqrt(Math.max(1, (double) shape[0] / shape[1]));
            return () -> muon.step(flat, shape[0], shape[1], m, state, momentum, (float) factor);
          });
    }
  }

  @Test
  void anUpdateIsNearlyOrthogonalWhateverTheGradientsScale() {
    try (Cpu cpu = Cpu.open(1);
        Workspace ws = Workspace.on(cpu);
        StepState state = StepState.on(cpu);
        Muon muon = new Muon(cpu, 64, 4)) {
      float[] gradient = new float[4 * 9];
      for (int i = 0; i < gradient.length; i++) {
        gradient[i] = (float) Math.sin(1 + i * i) * 1e-6f;
      }
      Tensor w = OptimizerCase.zeros(ws, gradient.length);
      Tensor g = OptimizerCase.tensor(ws, gradient);
      state.begin(0, 0, 1, 1);
      GlobalNorm.run(state, g, Float.POSITIVE_INFINITY, LossScaling.NONE);
      muon.step(
          new FlatWeights(w, null, g, List.of(new Segment(0, gradient.length, 1, 0))),
          4,
          9,
          OptimizerCase.zeros(ws, gradient.length),
          state,
          new Muon.Momentum(0.95f, 0.05f, true),
          1);
      float[] x = OptimizerCase.values(w);
      for (int a = 0; a < 4; a++) {
        for (int b = 0; b < 4; b++) {
          double product = 0;
          for (int j = 0; j < 9; j++) {
            product += x[9 * a + j] * x[9 * b + j];
          }
          // Singular values end between 0.68 and 1.13, so squares lie within half of 1.
          assertThat(Math.abs(product - (a == b ? 1 : 0))).isLessThan(0.55);
        }
      }
    }
  }

  @Test
  void aZeroGradientMovesNothingAndASkippedStepKeepsTheMomentum() {
    try (Cpu cpu = Cpu.open(1);
        Workspace ws = Workspace.on(cpu);
        StepState state = StepState.on(cpu);
        Muon muon = new Muon(cpu, 6, 2)) {
      var momentum = new Muon.Momentum(0.9f, 1, true);
      Tensor w = OptimizerCase.tensor(ws, 1, 2, 3, 4, 5, 6);
      Tensor g = OptimizerCase.zeros(ws, 6);
      Tensor m = OptimizerCase.zeros(ws, 6);
      var flat = new FlatWeights(w, null, g, List.of(new Segment(0, 6, 1, 0)));
      state.begin(0, 0, 1, 1);
      GlobalNorm.run(state, g, 1, LossScaling.NONE);
      muon.step(flat, 2, 3, m, state, momentum, 1);
      assertThat(OptimizerCase.values(w)).containsExactly(1, 2, 3, 4, 5, 6);
      Fill.constant(m, 7);
      Fill.constant(g, Float.NaN);
      GlobalNorm.run(state, g, 1, LossScaling.NONE);
      muon.step(flat, 2, 3, m, state, momentum, 1);
      assertThat(OptimizerCase.values(w)).containsExactly(1, 2, 3, 4, 5, 6);
      assertThat(OptimizerCase.values(m)).containsOnly(7);
      assertThat(OptimizerCase.values(g)).containsOnly(0);
    }
  }
}
