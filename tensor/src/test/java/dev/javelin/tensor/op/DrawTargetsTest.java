package dev.javelin.tensor.op;

import static java.lang.foreign.ValueLayout.JAVA_INT;
import static org.assertj.core.api.Assertions.assertThat;

import dev.javelin.device.Cpu;
import dev.javelin.device.Cuda;
import dev.javelin.device.DType;
import dev.javelin.device.Device;
import dev.javelin.device.RequiresCuda;
import dev.javelin.device.TestCuda;
import dev.javelin.kernels.BundledKernels;
import dev.javelin.tensor.Shape;
import dev.javelin.tensor.Tensor;
import dev.javelin.tensor.step.StepState;
import dev.javelin.tensor.step.Workspace;
import java.lang.foreign.MemorySegment;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class DrawTargetsTest {
  private static final int IGNORED = LossOptions.IGNORED;

  /** Draws for {@code rows} rows of the same logits; every seventh target is ignored. */
  private static int[] drawn(
      Device device, float[] logits, int rows, int first, int step, LossOptions options) {
    int cols = logits.length;
    try (Workspace ws = Workspace.on(device);
        StepState state = StepState.on(device)) {
      Tensor x = ws.alloc(DType.F32, Shape.of(rows, cols));
      Tensor ids = ws.alloc(DType.I32, Shape.of(rows));
      Tensor targets = ws.alloc(DType.I32, Shape.of(rows));
      float[] all = new float[rows * cols];
      int[] wanted = new int[rows];
      for (int r = 0; r < rows; r++) {
        System.arraycopy(logits, 0, all, r * cols, cols);
        wanted[r] = r % 7 == 3 ? IGNORED : 0;
      }
      x.fromHost(MemorySegment.ofArray(all));
      targets.fromHost(MemorySegment.ofArray(wanted));
      state.begin(5, step, 0, 1);
      DrawTargets.run(ids, x, targets, first, rows, options, state);
      return ids.toHost().toArray(JAVA_INT);
    }
  }

  private static float[] logits(int cols) {
    Random random = new Random(cols);
    float[] logits = new float[cols];
    for (int c = 0; c < cols; c++) {
      logits[c] = (float) (2 * random.nextGaussian());
    }
    return logits;
  }

  /** Chi-squared of the counts against the softmax, in double. */
  @ParameterizedTest
  @ValueSource(ints = {1, 2, 7, 31, 33, 127})
  void frequenciesAreTheSoftmax(int cols) {
    int rows = 40_000;
    float[] logits = logits(cols);
    for (float cap : new float[] {0, 1.5f}) {
      double[] p = new double[cols];
      double total = 0;
      for (int c = 0; c < cols; c++) {
        p[c] = Math.exp(cap > 0 ? cap * Math.tanh(logits[c] / cap) : logits[c]);
        total += p[c];
      }
      int[] counts = new int[cols];
      int draws = 0;
      try (Cpu cpu = Cpu.open(2)) {
        int[] ids = drawn(cpu, logits, rows, 0, 1, LossOptions.PLAIN.withSoftCap(cap));
        for (int r = 0; r < rows; r++) {
          if (r % 7 == 3) {
            assertThat(ids[r]).isEqualTo(IGNORED);
          } else {
            counts[ids[r]]++;
            draws++;
          }
        }
      }
      double chi = 0;
      for (int c = 0; c < cols; c++) {
        double expected = draws * p[c] / total;
        chi += (counts[c] - expected) * (counts[c] - expected) / Math.max(1, expected);
      }
      // Mean cols - 1, deviation sqrt(2·(cols - 1)): six deviations.
      assertThat(chi).isLessThan(cols - 1 + 6 * Math.sqrt(2.0 * (cols - 1)) + 1e-9);
    }
  }

  @Test
  void aDrawIsAFunctionOfStepAndPlace() {
    float[] logits = logits(33);
    try (Cpu one = Cpu.open(1);
        Cpu three = Cpu.open(3)) {
      int[] all = drawn(one, logits, 100, 0, 1, LossOptions.PLAIN);
      assertThat(drawn(three, logits, 100, 0, 1, LossOptions.PLAIN)).isEqualTo(all);
      assertThat(drawn(one, logits, 100, 0, 2, LossOptions.PLAIN)).isNotEqualTo(all);
      int[] later = drawn(one, logits, 58, 42, 1, LossOptions.PLAIN);
      for (int r = 0; r < 58; r++) {
        if (later[r] != IGNORED && all[42 + r] != IGNORED) {
          assertThat(later[r]).isEqualTo(all[42 + r]);
        }
      }
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 7, 31, 33, 1000})
  @RequiresCuda
  void aGpuDrawsTheSame(int cols) {
    float[] logits = logits(cols);
    int rows = 500;
    int[] got;
    try (Cuda cuda = TestCuda.open(new BundledKernels())) {
      got = drawn(cuda, logits, rows, 3, 1, LossOptions.PLAIN.withSoftCap(4));
    }
    try (Cpu cpu = Cpu.open(1)) {
      int[] want = drawn(cpu, logits, rows, 3, 1, LossOptions.PLAIN.withSoftCap(4));
      int other = 0;
      for (int r = 0; r < rows; r++) {
        other += got[r] == want[r] ? 0 : 1;
      }
      // A number within rounding of a border between two classes: 1e-6 of them a border.
      assertThat(other).isLessThanOrEqualTo(2);
    }
  }
}
