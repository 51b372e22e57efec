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
import dev.javelin.tensor.step.LossScaling;
import dev.javelin.tensor.step.StepState;
import dev.javelin.tensor.step.Workspace;
import java.util.List;
import org.junit.jupiter.api.Test;

class AdamWTest {
  private static final float INFINITY = Float.POSITIVE_INFINITY;

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
