package dev.javelin.autograd;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.javelin.device.Cpu;
import dev.javelin.device.Cuda;
import dev.javelin.device.DType;
import dev.javelin.device.Device;
import dev.javelin.device.Memory;
import dev.javelin.device.RequiresCuda;
import dev.javelin.device.TestCuda;
import dev.javelin.kernels.BundledKernels;
import dev.javelin.tensor.Grad;
import dev.javelin.tensor.Group;
import dev.javelin.tensor.Parameter;
import dev.javelin.tensor.Shape;
import dev.javelin.tensor.Tensor;
import dev.javelin.tensor.op.LossOptions;
import dev.javelin.tensor.step.StepGraph;
import dev.javelin.tensor.step.StepState;
import dev.javelin.tensor.step.Workspace;
import java.util.Arrays;
import java.util.Random;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * Sizes that are large enough for the kernels of compute capability 9.0, which keep the logits in
 * registers: as part of a step, recorded and not, and beside the CPU's loops.
 */
class LinearCrossEntropyStepTest {
  private static final int RUNS = 4; // the third is recorded
  private static final int ROWS = 140;
  private static final int COLS = 24;
  private static final int VOCABULARY = 611;

  private record Step(double loss, double[] dx, double[] dw) {}

  /** One of the two forms, several times; a weight's gradient is the sum over them. */
  private static Step steps(
      Device device, DType type, LossOptions options, boolean root, boolean recorded) {
    var random = new Random(11);
    double[] x = values(random, ROWS * COLS, type);
    double[] w = values(random, VOCABULARY * COLS, type);
    double[] targets = random.ints(ROWS, 0, VOCABULARY).asDoubleStream().toArray();
    targets[7] = options.ignoreIndex();
    try (device;
        Workspace ws = Workspace.poisoned(device, 1 << 23);
        StepState state = StepState.on(device);
        Memory memory = device.allocate(4 << 20);
        StepGraph graph = new StepGraph("loss", ws, recorded)) {
      Tensor xs = Tensors.of(memory, 0, type, Shape.of(ROWS, COLS), x);
      Tensor dx = Tensor.of(memory, 1 << 20, type, Shape.of(ROWS, COLS));
      Tensor dw = Tensor.of(memory, 2 << 20, DType.F32, Shape.of(VOCABULARY, COLS));
      Tensor ws1 = Tensors.of(memory, 3 << 20, type, Shape.of(VOCABULARY, COLS), w);
      Tensor ts = Tensors.of(memory, (3 << 20) + (1 << 18), DType.I32, Shape.of(ROWS), targets);
      Parameter weight = new Parameter("w", ws1, dw, new Group("all", 1, 0, false));
      for (int i = 0; i < RUNS; i++) {
        state.begin(0, i, 0, 1f / ROWS);
        graph.run(
            () -> {
              Tape tape = new Tape(ws);
              Var hidden = tape.leaf(xs, new Grad(dx, false));
              Var loss =
                  root
                      ? Losses.linearCrossEntropy(hidden, tape.param(weight), ts, options, state)
                      : Losses.stepLoss(
                          Losses.linearCrossEntropyLosses(hidden, tape.param(weight), ts, options),
                          state);
              tape.backward(loss);
            });
      }
      return new Step(state.loss(), Tensors.toDoubles(dx), Tensors.toDoubles(dw));
    }
  }

  private static double[] values(Random random, int n, DType type) {
    return random.doubles(n, -1, 1).map(v -> Tensors.round(v, type)).toArray();
  }

  private static Cuda cuda() {
    Cuda cuda = TestCuda.open(new BundledKernels());
    boolean fits = cuda.properties().capability() == 90;
    if (!fits) {
      cuda.close();
    }
    assumeTrue(fits, "for compute capability 9.0");
    return cuda;
  }

  @ParameterizedTest
  @CsvSource({"BF16, true, 0", "BF16, false, 0", "BF16, true, 0.1", "F16, true, 0"})
  @RequiresCuda
  void aRecordedStepEqualsOneKernelByKernelAndTheCpuAgrees(
      DType type, boolean root, float smoothing) {
    LossOptions options = LossOptions.PLAIN.withLabelSmoothing(smoothing);
    Step eager = steps(cuda(), type, options, root, false);
    Step recorded = steps(cuda(), type, options, root, true);
    assertThat(recorded.loss).isEqualTo(eager.loss);
    assertThat(Arrays.equals(recorded.dx, eager.dx)).as("dx").isTrue();
    assertThat(Arrays.equals(recorded.dw, eager.dw)).as("dw").isTrue();

    Step cpu = steps(Cpu.open(2), type, options, root, false);
    assertThat(eager.loss).isCloseTo(cpu.loss, within(1e-4));
    assertClose(eager.dx, cpu.dx);
    assertClose(eager.dw, cpu.dw);
  }

  /** Each term is rounded twice, by 2^-8 of itself at most, dx once more. */
  private static void assertClose(double[] got, double[] want) {
    double scale = 0;
    for (double v : want) {
      scale = Math.max(scale, Math.abs(v));
    }
    for (int i = 0; i < want.length; i++) {
      assertThat(got[i]).as("%d", i).isCloseTo(want[i], within(0x1p-6 * scale));
    }
  }
}
