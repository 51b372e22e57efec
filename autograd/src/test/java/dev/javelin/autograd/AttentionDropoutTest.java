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
import dev.javelin.tensor.op.Attention;
import dev.javelin.tensor.op.AttentionDropout;
import dev.javelin.tensor.op.AttentionMask;
import dev.javelin.tensor.step.StepState;
import dev.javelin.tensor.step.Workspace;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.function.UnaryOperator;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

/** Dropout of attention's weights; {@link AttentionCudaTest} has its gradients on a GPU. */
class AttentionDropoutTest {
  private static final float P = 0.3f;
  private static final long SEED = 0x123456789ABCDEFL;
  private static final int STEP = 17;
  private static final int FIRST = 5;
  private static final int SITE = 3;

  @ParameterizedTest
  @CsvSource({
    "1,1,1,1,1,1,0.5",
    "2,2,2,2,1,7,0.5",
    "1,7,7,2,2,33,0.3",
    "2,5,31,4,2,16,0.3",
    "1,33,33,3,1,8,0.1",
    "2,1,12,4,2,31,0.3",
    "1,70,90,1,1,5,0.3"
  })
  void followsItsDefinitionAndItsDerivatives(int b, int tq, int tk, int h, int kv, int d, float p) {
    AttentionTest.Oracle o = AttentionTest.Oracle.of(b, tq, tk, h, kv, d);
    try (Cpu cpu = Cpu.open(1);
        StepState state = state(cpu)) {
      check(o, AttentionMask.CAUSAL, p, state).run();
    }
  }

  @Test
  void goesWithASoftCapAndAWindow() {
    AttentionTest.Oracle o =
        new AttentionTest.Oracle(
            1, 21, 21, 2, 1, 16, true, 9, null, null, null, null, 1.5, 1 / Math.sqrt(16));
    try (Cpu cpu = Cpu.open(1);
        StepState state = state(cpu)) {
      check(o, AttentionMask.CAUSAL.window(9).softCap(1.5f), P, state).run();
    }
  }

  /** Half types have o, and with it delta, rounded: of few keys one that is dropped shows it. */
  private static OpCheck check(
      AttentionTest.Oracle o, AttentionMask mask, float p, StepState state) {
    return OpCheck.of(
            "attention with dropout",
            in ->
                Functional.attention(
                    in[0],
                    in[1],
                    in[2],
                    mask,
                    (float) o.scale(),
                    new AttentionDropout(p, SITE, state)))
        .input("q", o.batch(), o.queries(), o.heads(), o.dim())
        .input("k", o.batch(), o.keys(), o.kvHeads(), o.dim())
        .input("v", o.batch(), o.keys(), o.kvHeads(), o.dim())
        .oracle(in -> o.apply(in[0], in[1], in[2], factor(p)))
        .tolerance(2);
  }

  /** Equal scores and one-hot values: o is the row of weights, and its zeros are the mask. */
  @ParameterizedTest
  @EnumSource(names = {"F32", "BF16", "F16"})
  @RequiresCuda
  void theMaskIsWhatPhiloxSaysOnEachDevice(DType type) {
    for (int t : new int[] {1, 7, 33, 130}) {
      boolean[] want = new boolean[2 * t * 2 * t];
      for (int n = 0; n < want.length; n++) {
        int row = n / t;
        want[n] = factor(row / (2 * t), row % 2, row / 2 % t, n % t, P) > 0;
      }
      try (Cpu one = Cpu.open(1);
          Cpu three = Cpu.open(3);
          Cuda cuda = TestCuda.open(new BundledKernels())) {
        for (Device device : List.of(one, three, cuda)) {
          assertThat(mask(device, type, t)).as("%s %s, %d", device, type, t).isEqualTo(want);
        }
      }
    }
  }

  private static boolean[] mask(Device device, DType type, int t) {
    try (Workspace ws = Workspace.poisoned(device, 4 << 20);
        StepState state = state(device)) {
      Tensor q = filled(ws, type, new double[2 * t * 2 * t], 2, t, 2, t);
      double[] hot = new double[2 * t * t];
      for (int i = 0; i < 2 * t; i++) {
        hot[i * t + i % t] = 1;
      }
      Tensor v = filled(ws, type, hot, 2, t, 1, t);
      Tensor k = filled(ws, type, new double[2 * t * t], 2, t, 1, t);
      Tensor o = ws.alloc(type, q.shape());
      Tensor lse = ws.alloc(DType.F32, Shape.of(2, 2, t));
      AttentionDropout dropout = new AttentionDropout(P, SITE, state);
      Attention.forward(o, lse, q, k, v, AttentionMask.FULL, 1, dropout);
      double[] weights = Tensors.toDoubles(o);
      boolean[] kept = new boolean[weights.length];
      for (int i = 0; i < kept.length; i++) {
        kept[i] = weights[i] > 0;
      }
      for (double sum : Tensors.toDoubles(lse)) {
        assertThat(sum).isCloseTo(Math.log(t), within(1e-6));
      }
      return kept;
    }
  }

  @Test
  void theMaskIsOfTheSequenceInTheWholeBatchAndOfStepSeedAndSite() {
    try (Cpu cpu = Cpu.open(1);
        Workspace ws = Workspace.poisoned(cpu, 4 << 20);
        StepState state = state(cpu)) {
      double[] x = new Random(1).doubles(4 * 20 * 2 * 8, -1, 1).toArray();
      double[] whole = self(ws, x, 4, new AttentionDropout(P, SITE, state));
      state.firstSequence(FIRST + 1);
      int one = x.length / 4;
      double[] part = Arrays.copyOfRange(x, one, 3 * one);
      assertThat(self(ws, part, 2, new AttentionDropout(P, SITE, state)))
          .isEqualTo(Arrays.copyOfRange(whole, one, 3 * one));
      state.firstSequence(FIRST);
      assertThat(self(ws, x, 4, new AttentionDropout(P, SITE + 1, state))).isNotEqualTo(whole);
      state.begin(SEED, STEP + 1, 0, 1);
      assertThat(self(ws, x, 4, new AttentionDropout(P, SITE, state))).isNotEqualTo(whole);
      state.begin(SEED + (1L << 32), STEP, 0, 1);
      assertThat(self(ws, x, 4, new AttentionDropout(P, SITE, state))).isNotEqualTo(whole);
      assertThat(self(ws, x, 4, new AttentionDropout(0, SITE, state)))
          .isEqualTo(self(ws, x, 4, null));
    }
  }

  /** Attention of x [batch, 20, 2, 8] to itself. */
  private static double[] self(
      Workspace ws, double[] values, int batch, @Nullable AttentionDropout dropout) {
    Tensor x = filled(ws, DType.F32, values, batch, 20, 2, 8);
    Var in = Tape.inference(ws).constant(x);
    return Tensors.toDoubles(
        Functional.attention(in, in, in, AttentionMask.CAUSAL, 1, dropout).value());
  }

  @Test
  void theShareOfZerosIsPAndNeighboursKnowNothingOfEachOther() {
    int n = 0;
    int zeros = 0;
    int[] together = new int[4]; // with the neighbour in the head, the row and the column
    for (int h = 0; h < 3; h++) {
      for (int i = 0; i < 200; i++) {
        for (int j = 0; j < 200; j++, n++) {
          boolean zero = factor(0, h, i, j, P) == 0;
          zeros += zero ? 1 : 0;
          together[0] += zero && factor(0, h + 1, i, j, P) == 0 ? 1 : 0;
          together[1] += zero && factor(0, h, i + 1, j, P) == 0 ? 1 : 0;
          together[2] += zero && factor(0, h, i, j + 1, P) == 0 ? 1 : 0;
          together[3] += zero && factor(1, h, i, j, P) == 0 ? 1 : 0;
        }
      }
    }
    assertThat(zeros / (double) n).isCloseTo(P, within(4 * Math.sqrt(P * (1 - P) / n)));
    double both = (double) P * P;
    for (int pairs : together) {
      assertThat(pairs / (double) n).isCloseTo(both, within(5 * Math.sqrt(both * (1 - both) / n)));
    }
  }

  @Test
  void aRecomputedBlockDrawsTheSameMask() {
    double[] x = new Random(2).doubles(2 * 20 * 2 * 8, -1, 1).toArray();
    try (Cpu cpu = Cpu.open(1);
        Workspace ws = Workspace.poisoned(cpu, 1 << 20);
        StepState state = state(cpu)) {
      UnaryOperator<Var> block =
          v ->
              Functional.attention(
                  v, v, v, AttentionMask.CAUSAL, 1, new AttentionDropout(P, SITE, state));
      double[][] gradients = new double[2][];
      for (int recomputed = 0; recomputed < 2; recomputed++) {
        ws.reset();
        Tensor value = filled(ws, DType.F32, x, 2, 20, 2, 8);
        Tensor dx = ws.alloc(DType.F32, value.shape());
        Tape tape = new Tape(ws);
        Var in = tape.leaf(value, new Grad(dx, false));
        Var y = recomputed == 1 ? Recompute.block(in, block) : block.apply(in);
        tape.backward(List.of(y), List.of(filled(ws, DType.F32, x, 2, 20, 2, 8)));
        gradients[recomputed] = Tensors.toDoubles(dx);
      }
      assertThat(gradients[1]).isEqualTo(gradients[0]);
    }
  }

  @Test
  @RequiresCuda
  void aRecordedStepDrawsTheMaskOfTheStepThatItIsReplayedIn() {
    double[] x = new Random(3).doubles(4 * 20 * 2 * 8, -1, 1).toArray();
    try (Cpu cpu = Cpu.open(1);
        Workspace ws = Workspace.poisoned(cpu, 4 << 20);
        StepState state = state(cpu);
        Cuda cuda = TestCuda.open(new BundledKernels());
        Workspace there = Workspace.poisoned(cuda, 4 << 20);
        StepState stateThere = state(cuda)) {
      Tensor in = filled(there, DType.F32, x, 4, 20, 2, 8);
      Tensor o = there.alloc(DType.F32, in.shape());
      Tensor lse = there.alloc(DType.F32, Shape.of(4, 2, 20));
      AttentionDropout dropout = new AttentionDropout(P, SITE, stateThere);
      Runnable step = () -> Attention.forward(o, lse, in, in, in, AttentionMask.CAUSAL, 1, dropout);
      step.run(); // loads the kernel
      try (CudaGraph graph = CudaGraph.capture(cuda, step)) {
        for (int i = 1; i < 4; i++) {
          for (StepState s : List.of(state, stateThere)) {
            s.begin(SEED + ((long) i << 31), STEP + i, 0, 1);
            s.firstSequence(6 * i);
          }
          graph.launch();
          double[] want = self(ws, x, 4, new AttentionDropout(P, SITE, state));
          double[] got = Tensors.toDoubles(o);
          for (int n = 0; n < want.length; n++) {
            assertThat(got[n]).isCloseTo(want[n], within(1e-5));
          }
        }
      }
    }
  }

  @Test
  void aWrongProbabilityIsRefused() {
    try (Cpu cpu = Cpu.open(1);
        StepState state = state(cpu)) {
      for (float p : new float[] {-0.1f, 1, Float.NaN}) {
        assertThatThrownBy(() -> new AttentionDropout(p, SITE, state))
            .isInstanceOf(IllegalArgumentException.class)
            .hasMessageContaining("p must lie in [0, 1)");
      }
    }
  }

  private static Tensor filled(Workspace ws, DType type, double[] values, int... dims) {
    Tensor t = ws.alloc(type, Shape.of(dims));
    Tensors.fill(t, values);
    return t;
  }

  private static StepState state(Device device) {
    StepState state = StepState.on(device);
    state.begin(SEED, STEP, 0, 1);
    state.firstSequence(FIRST);
    return state;
  }

  private static AttentionTest.Oracle.Factor factor(float p) {
    return (b, h, i, j) -> factor(b, h, i, j, p);
  }

  /** What a weight is multiplied by, by the definition. */
  private static double factor(int b, int h, int i, int j, float p) {
    int[] words = new int[4];
    Philox.block(words, h, FIRST + b, STEP, SITE, SEED);
    long key = Integer.toUnsignedLong(words[0]) + ((long) words[1] << 32);
    Philox.block(words, 8 * (j / 16) + j % 8, 8 * (i / 16) + i % 8, 0, 0, key);
    int word = words[i / 8 % 2 * 2 + j / 8 % 2];
    return Integer.toUnsignedLong(word) >= (double) p * 0x1p32 ? 1 / (1 - (double) p) : 0;
  }
}
