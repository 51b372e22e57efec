package dev.javelin.tensor.op;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.javelin.device.Cpu;
import dev.javelin.device.Cuda;
import dev.javelin.device.DType;
import dev.javelin.device.Device;
import dev.javelin.device.RequiresCuda;
import dev.javelin.device.TestCuda;
import dev.javelin.kernels.BundledKernels;
import dev.javelin.tensor.FlatWeights;
import dev.javelin.tensor.Segment;
import dev.javelin.tensor.Shape;
import dev.javelin.tensor.Tensor;
import dev.javelin.tensor.WeightUpdate;
import dev.javelin.tensor.step.LossScaling;
import dev.javelin.tensor.step.StepState;
import dev.javelin.tensor.step.Workspace;
import java.lang.foreign.ValueLayout;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Half weights without masters. The rule is such that its arithmetic is exact: w - rate. */
class StochasticRoundingTest {

  /** All weights 1 or -1, moved by exactly {@code rate} in each step, after so many steps. */
  private static short[] run(
      Device device, int n, float rate, int steps, long seed, WeightUpdate rounding) {
    try (Workspace ws = Workspace.poisoned(device, 1 << 22);
        StepState state = StepState.on(device)) {
      Tensor w = ws.alloc(DType.BF16, Shape.of(n));
      Tensor m = OptimizerCase.zeros(ws, n);
      Tensor v = OptimizerCase.zeros(ws, n);
      Tensor g = OptimizerCase.zeros(ws, n);
      short[] signs = new short[n];
      for (int i = 0; i < n; i++) {
        signs[i] = (short) (i % 2 == 0 ? 0x3F80 : 0xBF80);
      }
      w.fromHost(java.lang.foreign.MemorySegment.ofArray(signs));
      int half = n / 3;
      var flat =
          new FlatWeights(
              w,
              null,
              g,
              List.of(new Segment(0, half, 1, 0), new Segment(half, n, 1, 0)),
              rounding);
      for (int t = 0; t < steps; t++) {
        Fill.constant(g, 2);
        state.begin(seed, t, rate, 1);
        GlobalNorm.run(state, g, Float.POSITIVE_INFINITY, LossScaling.NONE);
        AdamW.step(flat, m, v, state, 0, 0, 0); // m/sqrt(v) is the gradient's sign
      }
      return w.toHost().toArray(ValueLayout.JAVA_SHORT);
    }
  }

  private static double mean(short[] bf16) {
    double sum = 0;
    for (short s : bf16) {
      sum += Float.intBitsToFloat(s << 16);
    }
    return sum / bf16.length;
  }

  /** A hundredth of the last place of 1: to nearest it is lost each time. */
  @Test
  void updatesBelowHalfALastPlaceAreLostToNearestAndRightInTheMeanByChance() {
    int n = 1 << 16;
    int steps = 50;
    float rate = 0x1p-8f / 128;
    try (Cpu cpu = Cpu.open(2)) {
      double nearest = mean(run(cpu, n, rate, steps, 1, WeightUpdate.NEAREST));
      double stochastic = mean(run(cpu, n, rate, steps, 1, WeightUpdate.STOCHASTIC));
      assertThat(nearest).isZero();
      // A weight's variance is below steps·rate·2^-7; four standard deviations of the mean.
      double deviation = Math.sqrt(steps * rate * 0x1p-7 / n);
      assertThat(stochastic).isCloseTo(-steps * rate, within(4 * deviation));
      assertThat(4 * deviation).isLessThan(0.1 * steps * rate);
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 2, 7, 31, 33, 127, 1000, 20001})
  void theBitsDependOnSeedAndStepNotOnThreads(int n) {
    try (Cpu one = Cpu.open(1);
        Cpu three = Cpu.open(3)) {
      short[] bits = run(one, n, 0x1p-9f, 3, 5, WeightUpdate.STOCHASTIC);
      assertThat(run(three, n, 0x1p-9f, 3, 5, WeightUpdate.STOCHASTIC)).isEqualTo(bits);
      if (n >= 127) {
        assertThat(run(one, n, 0x1p-9f, 3, 6, WeightUpdate.STOCHASTIC)).isNotEqualTo(bits);
      }
    }
  }

  @RequiresCuda
  @ParameterizedTest
  @ValueSource(ints = {1, 2, 7, 31, 33, 127, 1000, 20001})
  void theBitsAreTheSameOnAGpu(int n) {
    try (Cpu cpu = Cpu.open(2);
        Cuda cuda = TestCuda.open(new BundledKernels())) {
      assertThat(run(cuda, n, 0x1p-9f, 3, 5, WeightUpdate.STOCHASTIC))
          .isEqualTo(run(cpu, n, 0x1p-9f, 3, 5, WeightUpdate.STOCHASTIC));
      assertThat(run(cuda, n, 0x1p-7f, 3, 5, WeightUpdate.NEAREST))
          .isEqualTo(run(cpu, n, 0x1p-7f, 3, 5, WeightUpdate.NEAREST));
    }
  }

  @Test
  void whatABf16HoldsStaysAndWhatIsNoNumberStaysOne() {
    try (Cpu cpu = Cpu.open(1)) {
      short[] bits = run(cpu, 100, 0.5f, 1, 1, WeightUpdate.STOCHASTIC);
      for (int i = 0; i < 100; i++) {
        assertThat(Float.intBitsToFloat(bits[i] << 16)).isEqualTo(i % 2 == 0 ? 0.5f : -1.5f);
      }
      short[] none = run(cpu, 10, Float.NaN, 1, 1, WeightUpdate.STOCHASTIC);
      for (short s : none) {
        assertThat(Float.intBitsToFloat(s << 16)).isNaN();
      }
    }
  }

  @Test
  void f16IsRefused() {
    try (Cpu cpu = Cpu.open(1);
        Workspace ws = Workspace.on(cpu)) {
      Tensor w = ws.alloc(DType.F16, Shape.of(3));
      Tensor g = OptimizerCase.zeros(ws, 3);
      assertThatThrownBy(() -> new FlatWeights(w, null, g, List.of(), WeightUpdate.STOCHASTIC))
          .hasMessageContaining("weights (rounded stochastically) must be BF16, got F16");
    }
  }
}
