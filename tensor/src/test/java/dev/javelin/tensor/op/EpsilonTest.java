package dev.javelin.tensor.op;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.javelin.device.Cpu;
import dev.javelin.device.Cuda;
import dev.javelin.device.Device;
import dev.javelin.device.RequiresCuda;
import dev.javelin.device.TestCuda;
import dev.javelin.kernels.BundledKernels;
import dev.javelin.kernels.EpsilonPlacement;
import dev.javelin.tensor.FlatWeights;
import dev.javelin.tensor.Segment;
import dev.javelin.tensor.Tensor;
import dev.javelin.tensor.step.LossScaling;
import dev.javelin.tensor.step.StepState;
import dev.javelin.tensor.step.Workspace;
import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

class EpsilonTest {
  private static final int N = 37;
  private static final int STEPS = 6;
  private static final float BETA1 = 0.9f;
  private static final float BETA2 = 0.95f;
  private static final float RATE = 0.01f;

  /** Elements of many sizes, some of them always 0. */
  private static float[] gradient(int step) {
    Random random = new Random(step);
    float[] g = new float[N];
    for (int i = 0; i < N; i++) {
      g[i] = i % 5 == 0 ? 0 : (float) (random.nextGaussian() * Math.pow(10, -(i % 7)));
    }
    return g;
  }

  private static float[] run(Device device, Epsilon epsilon, float scaleFromFourthStepOn) {
    try (Workspace ws = Workspace.poisoned(device, 1 << 20);
        StepState state = StepState.on(device)) {
      Tensor w = OptimizerCase.zeros(ws, N);
      Tensor m = OptimizerCase.zeros(ws, N);
      Tensor v = OptimizerCase.zeros(ws, N);
      Tensor g = OptimizerCase.zeros(ws, N);
      Tensor scale = OptimizerCase.tensor(ws, 1);
      var flat = new FlatWeights(w, null, g, List.of(new Segment(0, N, 1, 0)));
      for (int t = 0; t < STEPS; t++) {
        g.fromHost(MemorySegment.ofArray(gradient(t)));
        state.begin(0, t, RATE, 1);
        GlobalNorm.run(state, g, Float.POSITIVE_INFINITY, LossScaling.NONE);
        if (t == 3) {
          Fill.constant(scale, scaleFromFourthStepOn);
        }
        AdamW.step(flat, m, v, state, BETA1, BETA2, epsilon, scale);
      }
      return OptimizerCase.values(w);
    }
  }

  private static double[] expected(Epsilon epsilon, double scaleFromFourthStepOn) {
    double[] w = new double[N];
    double[] m = new double[N];
    double[] v = new double[N];
    for (int t = 1; t <= STEPS; t++) {
      double part = epsilon.steps() == 0 ? 0 : Math.min(1, (t - 1.0) / epsilon.steps());
      double eps =
          Math.exp((1 - part) * Math.log(epsilon.start()) + part * Math.log(epsilon.end()));
      eps = t > 3 ? eps * scaleFromFourthStepOn : eps;
      float[] g = gradient(t - 1);
      for (int i = 0; i < N; i++) {
        m[i] = BETA1 * m[i] + (1 - BETA1) * g[i];
        v[i] = BETA2 * v[i] + (1 - BETA2) * g[i] * (double) g[i];
        double mean = m[i] / (1 - Math.pow(BETA1, t));
        double square = v[i] / (1 - Math.pow(BETA2, t));
        w[i] -=
            RATE
                * switch (epsilon.placement()) {
                  case OUTSIDE -> mean / (Math.sqrt(square) + eps);
                  case INSIDE -> mean / Math.sqrt(square + eps);
                  case ZERO_SAFE -> square == 0 ? 0 : mean / (Math.sqrt(square) + eps);
                };
      }
    }
    return w;
  }

  private static void check(Device device, Epsilon epsilon, float scale) {
    float[] got = run(device, epsilon, scale);
    double[] want = expected(epsilon, scale);
    for (int i = 0; i < N; i++) {
      assertThat((double) got[i])
          .as("element %d", i)
          .isCloseTo(want[i], within(1e-5 * RATE * STEPS));
    }
  }

  @ParameterizedTest
  @EnumSource(EpsilonPlacement.class)
  void eachPlaceFollowsItsFormula(EpsilonPlacement placement) {
    try (Cpu cpu = Cpu.open(2)) {
      check(cpu, new Epsilon(placement, 1e-4f, 1e-4f, 0), 1);
      check(cpu, new Epsilon(placement, 1e-2f, 1e-6f, 4), 1);
      check(cpu, new Epsilon(placement, 1e-2f, 1e-2f, 0), 1e-3f);
    }
  }

  @RequiresCuda
  @ParameterizedTest
  @EnumSource(EpsilonPlacement.class)
  void eachPlaceFollowsItsFormulaOnAGpu(EpsilonPlacement placement) {
    try (Cuda cuda = TestCuda.open(new BundledKernels())) {
      check(cuda, new Epsilon(placement, 1e-4f, 1e-4f, 0), 1);
      check(cuda, new Epsilon(placement, 1e-2f, 1e-6f, 4), 1);
      check(cuda, new Epsilon(placement, 1e-2f, 1e-2f, 0), 1e-3f);
    }
  }

  @Test
  void withoutEpsilonElementsThatNeverHadAGradientStay() {
    try (Cpu cpu = Cpu.open(1)) {
      float[] w = run(cpu, new Epsilon(EpsilonPlacement.ZERO_SAFE, 0, 0, 0), 1);
      for (int i = 0; i < N; i++) {
        assertThat(w[i] == 0).as("element %d", i).isEqualTo(i % 5 == 0);
        assertThat(w[i]).isFinite();
      }
    }
  }

  @RequiresCuda
  @Test
  void withoutEpsilonElementsThatNeverHadAGradientStayOnAGpu() {
    try (Cuda cuda = TestCuda.open(new BundledKernels())) {
      float[] w = run(cuda, new Epsilon(EpsilonPlacement.ZERO_SAFE, 0, 0, 0), 1);
      for (int i = 0; i < N; i++) {
        assertThat(w[i] == 0).as("element %d", i).isEqualTo(i % 5 == 0);
        assertThat(w[i]).isFinite();
      }
    }
  }

  /** Outside, 1e-8 changes no root that an fp32 gradient leaves; 1e-16 inside is its square. */
  @ParameterizedTest
  @ValueSource(strings = {"adam", "adamw", "adamw_lr_schedule"})
  void theReferencesDoNotTellASmallEpsilonInsideFromOneOutside(String name) {
    OptimizerCase c = OptimizerCase.named(name);
    double[] betas = OptimizerGolden.numbers(c.hyper().array("betas"));
    var inside = new Epsilon(EpsilonPlacement.INSIDE, 1e-16f, 1e-16f, 0);
    try (Cpu cpu = Cpu.open(1)) {
      c.follow(
          cpu,
          1e-5,
          1,
          (flat, shape, state, ws) -> {
            Tensor m = OptimizerCase.zeros(ws, (int) flat.weights().elements());
            Tensor v = OptimizerCase.zeros(ws, (int) flat.weights().elements());
            return () ->
                AdamW.step(flat, m, v, state, (float) betas[0], (float) betas[1], inside, null);
          });
    }
  }

  @Test
  void itsScheduleIsGeometricAndEnds() {
    Epsilon e = new Epsilon(EpsilonPlacement.OUTSIDE, 1e-2f, 1e-8f, 3);
    assertThat(e.at(1)).isEqualTo(1e-2f);
    assertThat(e.at(2)).isCloseTo(1e-4f, within(1e-10f));
    assertThat(e.at(3)).isCloseTo(1e-6f, within(1e-12f));
    assertThat(e.at(4)).isEqualTo(1e-8f);
    assertThat(e.at(1000)).isEqualTo(1e-8f);
  }

  @Test
  void refusesWhatIsNoEpsilon() {
    assertThatThrownBy(() -> Epsilon.of(-1)).hasMessageContaining("got -1.0");
    assertThatThrownBy(() -> new Epsilon(EpsilonPlacement.INSIDE, 0, 1, 5))
        .hasMessageContaining("must be more than 0");
    assertThatThrownBy(() -> new Epsilon(EpsilonPlacement.INSIDE, 1, 0, 5))
        .hasMessageContaining("last epsilon");
  }
}
