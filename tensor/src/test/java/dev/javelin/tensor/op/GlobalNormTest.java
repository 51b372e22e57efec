package dev.javelin.tensor.op;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.javelin.device.Cpu;
import dev.javelin.device.DType;
import dev.javelin.kernels.VectorNorm;
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

class GlobalNormTest {

  @ParameterizedTest
  @ValueSource(
      strings = {
        "clip_above",
        "clip_below",
        "clip_tiny_max",
        "clip_inf_norm",
        "clip_l1_norm",
        "clip_zero_grads",
        "clip_huge_grads_1e20"
      })
  void clipsAsPyTorchDoes(String name) {
    JsonObject golden = OptimizerGolden.caseNamed("clipping", name);
    float[] grad = OptimizerGolden.tensors(name + "/w.grad", name + "/b.grad", name + "/tall.grad");
    float[] clipped =
        OptimizerGolden.tensors(name + "/w.clipped", name + "/b.clipped", name + "/tall.clipped");
    try (Cpu cpu = Cpu.open(1);
        Workspace ws = Workspace.on(cpu);
        StepState state = StepState.on(cpu)) {
      float maxNorm = (float) golden.number("max_norm");
      GlobalNorm.run(state, tensor(ws, grad), norm(golden), maxNorm, LossScaling.NONE);
      double norm = golden.number("total_norm");
      assertThat((double) state.gradNorm()).isCloseTo(norm, within(1e-6 * norm));
      assertThat(state.overflow()).isFalse();
      double largest = 0;
      for (float c : clipped) {
        largest = Math.max(largest, Math.abs(c));
      }
      for (int i = 0; i < grad.length; i++) {
        assertThat((double) grad[i] * state.gradScale())
            .isCloseTo(clipped[i], within(1e-6 * largest));
      }
    }
  }

  static VectorNorm norm(JsonObject golden) {
    return switch (String.valueOf(golden.members().get("norm_type"))) {
      case "inf" -> VectorNorm.MAX;
      case "1.0" -> VectorNorm.L1;
      default -> VectorNorm.L2;
    };
  }

  @ParameterizedTest
  @ValueSource(floats = {1, 1024})
  void clipsValuesAsPyTorchDoesWhateverTheLossScale(float scale) {
    float bound = (float) OptimizerGolden.caseNamed("clipping", "clip_value").number("clip_value");
    float[] grad =
        OptimizerGolden.tensors("clip_value/w.grad", "clip_value/b.grad", "clip_value/tall.grad");
    float[] clipped =
        OptimizerGolden.tensors(
            "clip_value/w.clipped", "clip_value/b.clipped", "clip_value/tall.clipped");
    try (Cpu cpu = Cpu.open(1);
        Workspace ws = Workspace.on(cpu);
        StepState state = StepState.on(cpu)) {
      state.restore(new StepState.Carried(scale, 0, 0, 0));
      float[] scaled = new float[grad.length];
      for (int i = 0; i < grad.length; i++) {
        scaled[i] = grad[i] * scale;
      }
      Tensor g = tensor(ws, scaled);
      GlobalNorm.run(state, g, Float.POSITIVE_INFINITY, LossScaling.DYNAMIC);
      GlobalNorm.clipValues(state, g, bound);
      for (int i = 0; i < grad.length; i++) {
        assertThat(g.segment().getAtIndex(JAVA_FLOAT, i) * state.gradScale()).isEqualTo(clipped[i]);
      }
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"main", "starts_with_overflow", "interval_1"})
  void movesTheLossScaleAsPyTorchDoes(String name) {
    JsonObject sequence =
        OptimizerGolden.json("loss_scaling.json").object("sequences").object(name);
    float initial = (float) sequence.number("init_scale");
    var scaling =
        new LossScaling(
            initial,
            (float) sequence.number("growth_factor"),
            (float) sequence.number("backoff_factor"),
            sequence.integer("growth_interval", 1, 1000),
            0x1p-20f);
    try (Cpu cpu = Cpu.open(1);
        Workspace ws = Workspace.on(cpu);
        StepState state = StepState.on(cpu)) {
      state.restore(new StepState.Carried(initial, 0, 0, 0));
      int applied = 0;
      for (Object s : sequence.array("steps")) {
        JsonObject step = OptimizerGolden.object(s);
        assertThat((double) state.lossScale()).isEqualTo(step.number("scale_before"));
        float bad =
            switch (step.text("event")) {
              case "inf" -> Float.POSITIVE_INFINITY;
              case "-inf" -> Float.NEGATIVE_INFINITY;
              case "nan" -> Float.NaN;
              default -> 1f;
            };
        GlobalNorm.run(state, tensor(ws, 1f, bad, -3f), Float.POSITIVE_INFINITY, scaling);
        boolean skipped = step.flag("skipped", false);
        applied += skipped ? 0 : 1;
        assertThat(state.overflow()).isEqualTo(skipped);
        assertThat(state.appliedSteps()).isEqualTo(applied);
        assertThat((double) state.lossScale()).isEqualTo(step.number("scale_after"));
        assertThat(state.growthTracker()).isEqualTo(step.integer("growth_tracker_after", 0, 1000));
        assertThat(state.skippedSteps()).isEqualTo(step.integer("total_skipped", 0, 1000));
      }
    }
  }

  @Test
  void theScaleNeitherFallsBelowItsMinimumNorGrowsToInfinity() {
    try (Cpu cpu = Cpu.open(1);
        StepState state = StepState.on(cpu)) {
      var scaling = new LossScaling(4, 2, 0.5f, 1, 2);
      state.restore(new StepState.Carried(4, 0, 0, 0));
      state.decide(Double.NaN, 1, scaling);
      state.decide(Double.POSITIVE_INFINITY, 1, scaling);
      assertThat(state.lossScale()).isEqualTo(2);
      state.restore(new StepState.Carried(0x1p127f, 0, 0, 0));
      state.decide(1, 1, scaling);
      assertThat(state.lossScale()).isEqualTo(0x1p127f);
    }
  }

  @Test
  void normAndGradientScaleAreOfTheUnscaledGradient() {
    try (Cpu cpu = Cpu.open(1);
        Workspace ws = Workspace.on(cpu);
        StepState state = StepState.on(cpu)) {
      state.restore(new StepState.Carried(1024, 0, 0, 0));
      GlobalNorm.run(state, tensor(ws, 3 * 1024f, 4 * 1024f), 2.5f, LossScaling.DYNAMIC);
      assertThat(state.gradNorm()).isEqualTo(5);
      assertThat(state.clipFactor()).isCloseTo(0.5f, within(1e-6f));
      assertThat(state.gradScale()).isEqualTo(state.clipFactor() / 1024);
    }
  }

  /** A step that is {@code bad}, by what {@link GlobalNorm} is told of it. */
  private static void decide(StepState state, Workspace ws, String bad, LossScaling scaling) {
    state.begin(1, state.step() + 1, 1e-3f, 1);
    state.addLoss(bad.equals("loss") ? Double.NaN : 2);
    GlobalNorm.watch(
        state, List.of(tensor(ws, 1f, 2f), tensor(ws, bad.equals("moment") ? Float.NaN : 0f)));
    float g = bad.equals("gradient") ? Float.NaN : bad.equals("huge") ? 1e20f : 1f;
    GlobalNorm.run(state, tensor(ws, 1f, g), Float.POSITIVE_INFINITY, scaling);
  }

  @ParameterizedTest
  @ValueSource(strings = {"loss", "gradient", "huge", "moment"})
  void whatWouldSpoilWeightsOrMomentsSkipsTheStepAndIsCounted(String bad) {
    try (Cpu cpu = Cpu.open(1);
        Workspace ws = Workspace.on(cpu);
        StepState state = StepState.on(cpu)) {
      assertThat(state.lastBadStep()).isEqualTo(-1);
      decide(state, ws, "nothing", LossScaling.NONE);
      assertThat(state.overflow()).isFalse();
      decide(state, ws, bad, LossScaling.NONE);
      decide(state, ws, bad, LossScaling.NONE);
      assertThat(state.overflow()).isTrue();
      assertThat(state.gradScale()).isZero();
      assertThat(state.badSteps()).isEqualTo(2);
      assertThat(state.lastBadStep()).isEqualTo(3);
      assertThat(state.isSpoiled()).isEqualTo(bad.equals("moment"));
      assertThat(state.appliedSteps()).isEqualTo(1);
      decide(state, ws, "nothing", LossScaling.NONE);
      assertThat(state.overflow()).isFalse();
      assertThat(state.badSteps()).isZero();
      assertThat(state.lastBadStep()).isEqualTo(3);
    }
  }

  @Test
  void aGradientThatClippingMakesSmallIsAppliedHoweverLarge() {
    try (Cpu cpu = Cpu.open(1);
        Workspace ws = Workspace.on(cpu);
        StepState state = StepState.on(cpu)) {
      GlobalNorm.run(state, tensor(ws, 1e20f, 1e30f), 1, LossScaling.NONE);
      assertThat(state.overflow()).isFalse();
      assertThat(state.gradScale()).isCloseTo(1e-30f, within(1e-35f));
    }
  }

  @Test
  void aScaleThatCanStillFallIsNoBadStepAndSpoiltMomentsDoNotMoveIt() {
    try (Cpu cpu = Cpu.open(1);
        Workspace ws = Workspace.on(cpu);
        StepState state = StepState.on(cpu)) {
      state.restore(new StepState.Carried(2, 0, 0, 0));
      decide(state, ws, "moment", LossScaling.DYNAMIC);
      assertThat(state.badSteps()).isEqualTo(1);
      assertThat(state.lossScale()).isEqualTo(2);
      decide(state, ws, "nothing", LossScaling.DYNAMIC);
      decide(state, ws, "gradient", LossScaling.DYNAMIC);
      assertThat(state.badSteps()).isZero();
      assertThat(state.lossScale()).isEqualTo(1);
      decide(state, ws, "gradient", LossScaling.DYNAMIC);
      assertThat(state.badSteps()).isEqualTo(1);
    }
  }

  @Test
  void refusesAnotherType() {
    try (Cpu cpu = Cpu.open(1);
        Workspace ws = Workspace.on(cpu);
        StepState state = StepState.on(cpu)) {
      Tensor grads = ws.alloc(DType.BF16, Shape.of(8));
      assertThatThrownBy(() -> GlobalNorm.run(state, grads, 1, LossScaling.NONE))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage("globalNorm: grads must be F32, got BF16");
    }
  }

  static Tensor tensor(Workspace ws, float... values) {
    Tensor t = ws.alloc(DType.F32, Shape.of(values.length));
    MemorySegment.copy(values, 0, t.segment(), JAVA_FLOAT, 0, values.length);
    return t;
  }
}
