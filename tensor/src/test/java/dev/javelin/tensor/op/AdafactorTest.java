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
import dev.javelin.tensor.io.JsonObject;
import dev.javelin.tensor.step.LossScaling;
import dev.javelin.tensor.step.StepState;
import dev.javelin.tensor.step.Workspace;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class AdafactorTest {

  @ParameterizedTest
  @ValueSource(strings = {"adafactor_torch", "adafactor_hf", "adafactor_hf_scaled_momentum"})
  void followsTheReferencesOverTenSteps(String name) {
    try (Cpu cpu = Cpu.open(2)) {
      follow(cpu, name);
    }
  }

  @RequiresCuda
  @ParameterizedTest
  @ValueSource(strings = {"adafactor_torch", "adafactor_hf", "adafactor_hf_scaled_momentum"})
  void followsTheReferencesOnAGpu(String name) {
    try (Cuda cuda = TestCuda.open(new BundledKernels())) {
      follow(cuda, name);
    }
  }

  private static void follow(Device device, String name) {
    OptimizerCase c = OptimizerCase.named(name);
    boolean torch = c.golden().text("optimizer").equals("adafactor_torch");
    JsonObject hyper = c.hyper();
    var constants =
        new Adafactor.Constants(
            c.number(torch ? "beta2_decay" : "decay_rate"),
            c.number(torch ? "d" : "clip_threshold"),
            c.number("eps2"),
            (float) hyper.number("beta1", 0),
            torch || c.flag("scale_parameter"),
            torch);
    try (Adafactor adafactor = new Adafactor(device, 12, 5)) {
      c.follow(
          device,
          1e-5,
          1,
          (flat, shape, state, ws) -> {
            boolean matrix = shape.length == 2;
            int n = (int) flat.weights().elements();
            Tensor r = OptimizerCase.zeros(ws, shape[0]);
            Tensor columns = matrix ? OptimizerCase.zeros(ws, shape[1]) : null;
            Tensor m = constants.beta1() == 0 ? null : OptimizerCase.zeros(ws, n);
            return () ->
                adafactor.step(flat, matrix ? shape[1] : 1, r, columns, m, state, constants);
          });
    }
  }

  @Test
  void aSkippedStepKeepsTheMomentsAndClearsTheGradients() {
    try (Cpu cpu = Cpu.open(1);
        Workspace ws = Workspace.on(cpu);
        StepState state = StepState.on(cpu);
        Adafactor adafactor = new Adafactor(cpu, 2, 3)) {
      Tensor w = OptimizerCase.tensor(ws, 1, 2, 3, 4, 5, 6);
      Tensor g = OptimizerCase.tensor(ws, 1, 2, Float.NaN, 4, 5, 6);
      Tensor r = OptimizerCase.tensor(ws, 7, 8);
      Tensor c = OptimizerCase.tensor(ws, 9, 10, 11);
      Tensor m = OptimizerCase.tensor(ws, 1, 1, 1, 1, 1, 1);
      state.begin(0, 0, 1, 1);
      GlobalNorm.run(state, g, 1, LossScaling.NONE);
      adafactor.step(
          new FlatWeights(w, null, g, List.of(new Segment(0, 6, 1, 0.1f))),
          3,
          r,
          c,
          m,
          state,
          new Adafactor.Constants(-0.8f, 1, 1e-3f, 0.9f, true, true));
      assertThat(OptimizerCase.values(w)).containsExactly(1, 2, 3, 4, 5, 6);
      assertThat(OptimizerCase.values(r)).containsExactly(7, 8);
      assertThat(OptimizerCase.values(c)).containsExactly(9, 10, 11);
      assertThat(OptimizerCase.values(m)).containsOnly(1);
      assertThat(OptimizerCase.values(g)).containsOnly(0);
    }
  }

  /** The scale of the loss cancels, as for every rule. */
  @Test
  void aScaledLossMovesTheSame() {
    try (Cpu cpu = Cpu.open(1);
        Workspace ws = Workspace.on(cpu);
        Adafactor adafactor = new Adafactor(cpu, 2, 3)) {
      float[][] moved = new float[2][];
      for (int scaled = 0; scaled < 2; scaled++) {
        float scale = scaled == 1 ? 4096 : 1;
        try (StepState state = StepState.on(cpu)) {
          state.restore(new StepState.Carried(scale, 0, 0, 0));
          Tensor w = OptimizerCase.tensor(ws, 1, 2, 3, 4, 5, 6);
          Tensor r = OptimizerCase.zeros(ws, 2);
          Tensor c = OptimizerCase.zeros(ws, 3);
          float s = 0.1f * scale;
          Tensor g = OptimizerCase.tensor(ws, s, -2 * s, 3 * s, 5 * s, -s, 4 * s);
          state.begin(0, 0, 0.1f, 1);
          GlobalNorm.run(state, g, 0.5f, LossScaling.DYNAMIC);
          adafactor.step(
              new FlatWeights(w, null, g, List.of(new Segment(0, 6, 1, 0.1f))),
              3,
              r,
              c,
              null,
              state,
              new Adafactor.Constants(-0.8f, 1, 1e-3f, 0, false, false));
          moved[scaled] = OptimizerCase.values(w);
        }
      }
      for (int i = 0; i < 6; i++) {
        assertThat(moved[1][i])
            .isCloseTo(moved[0][i], org.assertj.core.api.Assertions.within(1e-6f));
      }
    }
  }
}
