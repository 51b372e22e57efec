package dev.javelin.autograd;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.javelin.device.Cpu;
import dev.javelin.device.Cuda;
import dev.javelin.device.CudaGraph;
import dev.javelin.device.DType;
import dev.javelin.device.Device;
import dev.javelin.device.RequiresCuda;
import dev.javelin.device.TestCuda;
import dev.javelin.kernels.BundledKernels;
import dev.javelin.kernels.cpu.Philox;
import dev.javelin.tensor.Grad;
import dev.javelin.tensor.Shape;
import dev.javelin.tensor.Tensor;
import dev.javelin.tensor.op.Dropout;
import dev.javelin.tensor.step.StepState;
import dev.javelin.tensor.step.Workspace;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.function.UnaryOperator;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;

class DropoutTest {
  private static final float P = 0.3f;
  private static final long SEED = 0x123456789ABCDEFL;
  private static final int STEP = 17;
  private static final int FIRST = 5;
  private static final int SITE = 3;

  @ParameterizedTest
  @CsvSource({"1,1,1", "2,7,1", "3,5,33", "1,4,1025"})
  void keepsWhatPhiloxSaysAndScalesIt(int batch, int seqLen, int channels) {
    try (Cpu cpu = Cpu.open(1);
        StepState state = state(cpu)) {
      OpCheck.of("dropout", in -> Functional.dropout(in[0], P, SITE, state))
          .input("x", batch, seqLen, channels)
          .oracle(in -> oracle(in[0], batch))
          .run();
    }
  }

  @Test
  void theMaskDependsOnTheSequenceOfTheWholeBatchNotOnItsSplit() {
    double[] ones = new double[6 * 50];
    Arrays.fill(ones, 1);
    try (Cpu cpu = Cpu.open(1);
        Workspace ws = Workspace.poisoned(cpu, 1 << 20);
        StepState state = state(cpu)) {
      state.firstSequence(0);
      double[] whole = dropped(ws, state, ones, 6);
      state.firstSequence(2);
      double[] part = dropped(ws, state, Arrays.copyOf(ones, 3 * 50), 3);
      assertThat(part).isEqualTo(Arrays.copyOfRange(whole, 2 * 50, 5 * 50));
      state.begin(SEED, STEP + 1, 0, 1);
      assertThat(dropped(ws, state, ones, 6)).isNotEqualTo(whole);
      state.begin(SEED + (1L << 32), STEP, 0, 1);
      assertThat(dropped(ws, state, ones, 6)).isNotEqualTo(whole);
    }
  }

  static Stream<Arguments> shapes() {
    return Stream.of(DType.F32, DType.BF16, DType.F16)
        .flatMap(
            t ->
                Stream.of(
                    Arguments.of(t, 1, 1),
                    Arguments.of(t, 2, 7),
                    Arguments.of(t, 3, 64),
                    Arguments.of(t, 5, 33),
                    Arguments.of(t, 2, 1000),
                    Arguments.of(t, 1, 4100)));
  }

  /** Values and gradients, written and added. */
  @ParameterizedTest
  @MethodSource("shapes")
  @RequiresCuda
  void aGpuGivesTheBitsOfTheCpu(DType t, int batch, int elements) {
    try (Cpu cpu = Cpu.open(2);
        Cuda cuda = TestCuda.open(new BundledKernels())) {
      assertThat(bits(cuda, t, batch, elements)).isDeepEqualTo(bits(cpu, t, batch, elements));
    }
  }

  private static double[][] bits(Device device, DType t, int batch, int elements) {
    double[] values = new Random(elements).doubles((long) batch * elements, -2, 2).toArray();
    try (Workspace ws = Workspace.poisoned(device, 1 << 20);
        StepState state = state(device)) {
      Tensor x = ws.alloc(t, Shape.of(batch, elements));
      Tensor y = ws.alloc(t, x.shape());
      Tensor added = ws.alloc(t, x.shape());
      Tensor written = ws.alloc(t, x.shape());
      Tensors.fill(x, values);
      Tensors.fill(added, values);
      Dropout.forward(y, x, P, SITE, state);
      Dropout.backward(new Grad(added, true), x, P, SITE, state);
      Dropout.backward(new Grad(written, false), x, P, SITE, state);
      return Stream.of(y, added, written).map(Tensors::toDoubles).toArray(double[][]::new);
    }
  }

  @Test
  @RequiresCuda
  void aRecordedStepDrawsTheMaskOfTheStepThatItIsReplayedIn() {
    double[] ones = new double[6 * 50];
    Arrays.fill(ones, 1);
    try (Cpu cpu = Cpu.open(1);
        Workspace ws = Workspace.poisoned(cpu, 1 << 20);
        StepState state = state(cpu);
        Cuda cuda = TestCuda.open(new BundledKernels());
        Workspace there = Workspace.poisoned(cuda, 1 << 20);
        StepState stateThere = state(cuda)) {
      Tensor x = there.alloc(DType.F32, Shape.of(6, 50));
      Tensor y = there.alloc(DType.F32, Shape.of(6, 50));
      Tensors.fill(x, ones);
      Dropout.forward(y, x, P, SITE, stateThere); // loads the kernel
      Runnable step = () -> Dropout.forward(y, x, P, SITE, stateThere);
      try (CudaGraph graph = CudaGraph.capture(cuda, step)) {
        for (int i = 1; i < 4; i++) {
          for (StepState s : List.of(state, stateThere)) {
            s.begin(SEED + ((long) i << 31), STEP + i, 0, 1);
            s.firstSequence(6 * i);
          }
          graph.launch();
          assertThat(Tensors.toDoubles(y)).isEqualTo(dropped(ws, state, ones, 6));
        }
      }
    }
  }

  @Test
  void theMeanStaysAndTheShareOfZerosIsP() {
    double[] ones = new double[200_000];
    Arrays.fill(ones, 1);
    try (Cpu cpu = Cpu.open(2);
        Workspace ws = Workspace.poisoned(cpu, 4 << 20);
        StepState state = state(cpu)) {
      double[] y = dropped(ws, state, ones, 1);
      double zeros = Arrays.stream(y).filter(v -> v == 0).count() / (double) y.length;
      double fourSigma = 4 * Math.sqrt(P * (1 - P) / y.length);
      assertThat(zeros).isCloseTo(P, within(fourSigma));
      assertThat(Arrays.stream(y).average().orElseThrow())
          .isCloseTo(1, within(fourSigma / (1 - P)));
    }
  }

  @Test
  void aRecomputedBlockDrawsTheSameMask() {
    double[] x = new double[64];
    Arrays.setAll(x, i -> i - 20.5);
    try (Cpu cpu = Cpu.open(1);
        Workspace ws = Workspace.poisoned(cpu, 1 << 20);
        StepState state = state(cpu)) {
      double[][] gradients = new double[2][];
      for (int recomputed = 0; recomputed < 2; recomputed++) {
        ws.reset();
        Tensor value = ws.alloc(DType.F32, Shape.of(2, 32));
        Tensors.fill(value, x);
        Tensor dx = ws.alloc(DType.F32, value.shape());
        Tape tape = new Tape(ws);
        Var in = tape.leaf(value, new Grad(dx, false));
        Var y = recomputed == 1 ? Recompute.block(in, block(state)) : block(state).apply(in);
        Tensor dy = ws.alloc(DType.F32, y.shape());
        Tensors.fill(dy, x);
        tape.backward(List.of(y), List.of(dy));
        gradients[recomputed] = Tensors.toDoubles(dx);
      }
      assertThat(gradients[1]).isEqualTo(gradients[0]).contains(0);
    }
  }

  @Test
  void withoutProbabilityItIsNothingAndWithAWrongOneItIsRefused() {
    try (Cpu cpu = Cpu.open(1);
        Workspace ws = Workspace.on(cpu);
        StepState state = state(cpu)) {
      Tape tape = new Tape(ws);
      Var x = tape.constant(ws.alloc(DType.F32, Shape.of(2, 3)));
      assertThat(Functional.dropout(x, 0, SITE, state)).isSameAs(x);
      assertThat(tape.names()).isEmpty();
      for (float p : new float[] {-0.1f, 1, Float.NaN}) {
        assertThatThrownBy(() -> Functional.dropout(x, p, SITE, state))
            .isInstanceOf(IllegalArgumentException.class)
            .hasMessageContaining("p must lie in [0, 1)");
      }
    }
  }

  private static UnaryOperator<Var> block(StepState state) {
    return v -> Functional.dropout(Algebra.multiply(v, v), P, SITE, state);
  }

  private static StepState state(Device device) {
    StepState state = StepState.on(device);
    state.begin(SEED, STEP, 0, 1);
    state.firstSequence(FIRST);
    return state;
  }

  private static double[] dropped(Workspace ws, StepState state, double[] x, int batch) {
    Tensor t = ws.alloc(DType.F32, Shape.of(batch, x.length / batch));
    Tensors.fill(t, x);
    Var y = Functional.dropout(Tape.inference(ws).constant(t), P, SITE, state);
    return Tensors.toDoubles(y.value());
  }

  private static double[] oracle(double[] x, int batch) {
    int n = x.length / batch;
    int[] words = new int[4];
    double[] y = new double[x.length];
    for (int i = 0; i < x.length; i++) {
      Philox.block(words, i % n / 4, FIRST + i / n, STEP, SITE, SEED);
      boolean kept = Integer.toUnsignedLong(words[i % n % 4]) >= (double) P * 0x1p32;
      y[i] = kept ? x[i] / (1 - (double) P) : 0;
    }
    return y;
  }
}
