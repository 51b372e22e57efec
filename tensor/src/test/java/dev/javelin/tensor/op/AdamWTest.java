package dev.javelin.tensor.op;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_SHORT;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.javelin.device.Cpu;
import dev.javelin.device.DType;
import dev.javelin.tensor.FlatWeights;
import dev.javelin.tensor.Segment;
import dev.javelin.tensor.Shape;
import dev.javelin.tensor.Tensor;
import dev.javelin.tensor.io.JsonObject;
import dev.javelin.tensor.step.LossScaling;
import dev.javelin.tensor.step.StepState;
import dev.javelin.tensor.step.Workspace;
import java.lang.foreign.MemorySegment;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class AdamWTest {
  private static final float INFINITY = Float.POSITIVE_INFINITY;

  @ParameterizedTest
  @ValueSource(strings = {"adamw", "adamw_lr_schedule", "adam", "adam_large_eps"})
  void followsPyTorchOverTenSteps(String name) {
    JsonObject golden = OptimizerGolden.caseNamed("cases", name);
    JsonObject hyper = golden.object("hyper");
    double[] betas = OptimizerGolden.numbers(hyper.array("betas"));
    double[] lr = OptimizerGolden.numbers(golden.array("lr_per_step"));
    try (Cpu cpu = Cpu.open(2);
        Workspace ws = Workspace.on(cpu);
        StepState state = StepState.on(cpu)) {
      for (String p : List.of("w", "b", "tall")) {
        float[] init = OptimizerGolden.tensors("init." + p);
        float[] grads = OptimizerGolden.tensors("grads." + p);
        float[] steps = OptimizerGolden.tensors(name + "/" + p + ".steps");
        int n = init.length;
        Tensor w = GlobalNormTest.tensor(ws, init);
        Tensor m = GlobalNormTest.tensor(ws, new float[n]);
        Tensor v = GlobalNormTest.tensor(ws, new float[n]);
        Tensor g = GlobalNormTest.tensor(ws, new float[n]);
        var segments = List.of(new Segment(0, n, 1, (float) hyper.number("weight_decay", 0)));
        state.restore(new StepState.Carried(1, 0, 0, 0));
        for (int t = 0; t < lr.length; t++) {
          MemorySegment.copy(grads, t * n, g.segment(), JAVA_FLOAT, 0, n);
          state.begin(0, t, (float) lr[t], 1);
          GlobalNorm.run(state, g, INFINITY, LossScaling.NONE);
          AdamW.step(
              new FlatWeights(w, null, g, segments),
              m,
              v,
              state,
              (float) betas[0],
              (float) betas[1],
              (float) hyper.number("eps"));
          double moved = 0;
          double error = 0;
          for (int i = 0; i < n; i++) {
            float expected = steps[t * n + i];
            moved = Math.max(moved, Math.abs(expected - init[i]));
            error = Math.max(error, Math.abs(expected - w.segment().getAtIndex(JAVA_FLOAT, i)));
          }
          // Rounding a weight of size 1 to fp32 in each step is the floor.
          assertThat(error)
              .as("%s %s after step %d", name, p, t + 1)
              .isLessThan(1e-5 * moved + (t + 1) * 0x1p-24);
        }
      }
    }
  }

  @Test
  void eachSegmentHasItsOwnRateAndDecay() {
    try (Cpu cpu = Cpu.open(1);
        Workspace ws = Workspace.on(cpu);
        StepState state = StepState.on(cpu)) {
      Tensor w = GlobalNormTest.tensor(ws, 2, 2, 2, 2);
      Tensor m = GlobalNormTest.tensor(ws, 0, 0, 0, 0);
      Tensor v = GlobalNormTest.tensor(ws, 0, 0, 0, 0);
      Tensor g = GlobalNormTest.tensor(ws, 5, 5, 5, 5);
      state.begin(0, 0, 0.1f, 1);
      GlobalNorm.run(state, g, INFINITY, LossScaling.NONE);
      var segments =
          List.of(new Segment(0, 1, 1, 0), new Segment(1, 2, 1, 0.5f), new Segment(2, 3, 3, 0.5f));
      AdamW.step(new FlatWeights(w, null, g, segments), m, v, state, 0.9f, 0.999f, 0);
      // In the first step m/(1-beta1) over the root of v/(1-beta2) is the gradient's sign.
      assertValues(w, 2 - 0.1f, 2 * 0.95f - 0.1f, 2 * 0.85f - 0.3f, 2);
      assertValues(g, 0, 0, 0, 5);
    }
  }

  @Test
  void anOverflowClearsTheGradientsAndChangesNothingElse() {
    try (Cpu cpu = Cpu.open(1);
        Workspace ws = Workspace.on(cpu);
        StepState state = StepState.on(cpu)) {
      Tensor w = GlobalNormTest.tensor(ws, 1, 2, 3);
      Tensor m = GlobalNormTest.tensor(ws, 4, 5, 6);
      Tensor v = GlobalNormTest.tensor(ws, 7, 8, 9);
      Tensor g = GlobalNormTest.tensor(ws, 1, INFINITY, Float.NaN);
      state.begin(0, 0, 0.1f, 1);
      GlobalNorm.run(state, g, 1, LossScaling.NONE);
      AdamW.step(
          new FlatWeights(w, null, g, List.of(new Segment(0, 3, 1, 1))),
          m,
          v,
          state,
          0.9f,
          0.999f,
          1e-8f);
      assertValues(w, 1, 2, 3);
      assertValues(m, 4, 5, 6);
      assertValues(v, 7, 8, 9);
      assertValues(g, 0, 0, 0);
      assertThat(state.appliedSteps()).isZero();
      assertThat(state.skippedSteps()).isOne();
    }
  }

  @Test
  void halfWeightsAreCopiesOfTheMasterAndTheScaleOfTheLossCancels() {
    try (Cpu cpu = Cpu.open(1);
        Workspace ws = Workspace.on(cpu);
        StepState state = StepState.on(cpu)) {
      Tensor half = ws.alloc(DType.F16, Shape.of(3));
      Tensor master = GlobalNormTest.tensor(ws, 1, 2, 3);
      Tensor w = GlobalNormTest.tensor(ws, 1, 2, 3);
      var segments = List.of(new Segment(0, 3, 1, 0.1f));
      for (int scaled = 0; scaled < 2; scaled++) {
        float scale = scaled == 1 ? 4096 : 1;
        state.restore(new StepState.Carried(scale, 0, 0, 0));
        state.begin(0, 0, 0.1f, 1);
        Tensor m = GlobalNormTest.tensor(ws, 0, 0, 0);
        Tensor v = GlobalNormTest.tensor(ws, 0, 0, 0);
        Tensor g = GlobalNormTest.tensor(ws, 0.1f * scale, 0.7f * scale, -0.3f * scale);
        GlobalNorm.run(state, g, 0.5f, LossScaling.DYNAMIC);
        if (scaled == 1) {
          AdamW.step(new FlatWeights(half, master, g, segments), m, v, state, 0.9f, 0.95f, 1e-3f);
        } else {
          AdamW.step(new FlatWeights(w, null, g, segments), m, v, state, 0.9f, 0.95f, 1e-3f);
        }
      }
      for (int i = 0; i < 3; i++) {
        float expected = w.segment().getAtIndex(JAVA_FLOAT, i);
        assertThat(master.segment().getAtIndex(JAVA_FLOAT, i)).isEqualTo(expected);
        assertThat(half.segment().getAtIndex(JAVA_SHORT, i))
            .isEqualTo(Float.floatToFloat16(expected));
      }
    }
  }

  @Test
  void refusesHalfWeightsWithoutMasterAndSegmentsBeyondTheBuffer() {
    try (Cpu cpu = Cpu.open(1);
        Workspace ws = Workspace.on(cpu);
        StepState state = StepState.on(cpu)) {
      Tensor half = ws.alloc(DType.BF16, Shape.of(3));
      Tensor x = GlobalNormTest.tensor(ws, 1, 2, 3);
      assertThatThrownBy(
              () -> AdamW.step(new FlatWeights(half, null, x, List.of()), x, x, state, 0, 0, 0))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessageContaining("weights (without master) must be F32, got BF16");
      var beyond = List.of(new Segment(2, 4, 1, 0));
      assertThatThrownBy(
              () -> AdamW.step(new FlatWeights(x, null, x, beyond), x, x, state, 0, 0, 0))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessageContaining("does not lie within 3 elements");
    }
  }

  private static void assertValues(Tensor t, float... expected) {
    for (int i = 0; i < expected.length; i++) {
      assertThat(t.segment().getAtIndex(JAVA_FLOAT, i)).isCloseTo(expected[i], within(2e-6f));
    }
  }
}
