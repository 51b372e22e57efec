package dev.javelin.tensor.op;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_SHORT;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.javelin.device.Cpu;
import dev.javelin.device.Cuda;
import dev.javelin.device.DType;
import dev.javelin.device.Device;
import dev.javelin.device.RequiresCuda;
import dev.javelin.device.TestCuda;
import dev.javelin.kernels.BundledKernels;
import dev.javelin.kernels.VectorNorm;
import dev.javelin.tensor.FlatWeights;
import dev.javelin.tensor.Segment;
import dev.javelin.tensor.Shape;
import dev.javelin.tensor.Tensor;
import dev.javelin.tensor.step.LossScaling;
import dev.javelin.tensor.step.StepState;
import dev.javelin.tensor.step.Workspace;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Norm, decisions and updates of the GPU against those of the CPU. */
@RequiresCuda
class OptimizerCudaTest {
  private static final float INFINITY = Float.POSITIVE_INFINITY;

  /** What three steps leave behind on a device. */
  private record Outcome(
      float[] weights, float[] m, float[] v, float[] grads, List<Number> state) {}

  @ParameterizedTest
  @CsvSource({
    "1, F32",
    "2, BF16",
    "7, F16",
    "31, F32",
    "33, BF16",
    "127, F16",
    "1000, F32",
    "9001, BF16"
  })
  void updatesAreTheCpusWithinRounding(int n, DType type) {
    Outcome want;
    Outcome got;
    try (Cpu cpu = Cpu.open(2)) {
      want = threeSteps(cpu, n, type);
    }
    try (Cuda cuda = TestCuda.open(new BundledKernels())) {
      got = threeSteps(cuda, n, type);
    }
    // A moment is some ten roundings of numbers near 1; an update of 0.1 three times as many.
    assertClose(got.m, want.m, 1e-6f);
    assertClose(got.v, want.v, 1e-6f);
    assertClose(got.weights, want.weights, 1e-5f + (type == DType.F32 ? 0 : 0x1p-7f));
    assertThat(got.grads).containsOnly(0);
    for (int i = 0; i < want.state.size(); i++) {
      double w = want.state.get(i).doubleValue();
      assertThat(got.state.get(i).doubleValue())
          .as("number %d of the step's state", i)
          .isCloseTo(w, within(1e-6 * Math.abs(w)));
    }
  }

  /** Clipped, skipped for an overflow, and not clipped; two segments, one that begins off 16. */
  private static Outcome threeSteps(Device device, int n, DType type) {
    Random random = new Random(n);
    int half = n / 2;
    var segments = List.of(new Segment(0, half, 1, 0.1f), new Segment(half, n, 2, 0));
    try (Workspace ws = Workspace.poisoned(device, 1 << 20);
        StepState state = StepState.on(device)) {
      Tensor weights = ws.alloc(type, Shape.of(n));
      Tensor master = type == DType.F32 ? null : ws.alloc(DType.F32, Shape.of(n));
      Tensor m = zeros(ws, n);
      Tensor v = zeros(ws, n);
      Tensor g = zeros(ws, n);
      put(master == null ? weights : master, normal(random, n, 1));
      state.restore(new StepState.Carried(1024, 0, 0, 0));
      List<Number> numbers = new ArrayList<>();
      for (int step = 0; step < 3; step++) {
        float[] gradient = normal(random, n, 1024);
        if (step == 1) {
          gradient[n - 1] = INFINITY;
        }
        put(g, gradient);
        state.begin(0, step, 0.1f, 1);
        GlobalNorm.run(state, g, step == 0 ? 0.5f : INFINITY, LossScaling.DYNAMIC);
        AdamW.step(new FlatWeights(weights, master, g, segments), m, v, state, 0.9f, 0.95f, 1e-3f);
        numbers.add(step == 1 ? 0 : state.gradNorm());
        numbers.add(state.clipFactor());
        numbers.add(state.gradScale());
        numbers.add(state.lossScale());
        numbers.add(state.appliedSteps());
        numbers.add(state.skippedSteps());
        numbers.add(state.growthTracker());
        numbers.add(state.overflow() ? 1 : 0);
      }
      return new Outcome(get(weights), get(m), get(v), get(g), numbers);
    }
  }

  @ParameterizedTest
  @CsvSource({"1, L1", "7, MAX", "1000, L2", "9001, L1", "20000, MAX"})
  void normsAndBoundsAreTheCpus(int n, VectorNorm kind) {
    float[] gradient = normal(new Random(n), n, 512);
    List<float[]> outcomes = new ArrayList<>();
    try (Cpu cpu = Cpu.open(2);
        Cuda cuda = TestCuda.open(new BundledKernels())) {
      for (Device device : List.of(cpu, cuda)) {
        outcomes.add(clipped(device, gradient, kind));
      }
    }
    assertClose(outcomes.get(1), outcomes.get(0), 1e-6f);
  }

  /** The bounded gradient, and the norm behind it; then what an element without a number leaves. */
  private static float[] clipped(Device device, float[] gradient, VectorNorm kind) {
    int n = gradient.length;
    try (Workspace ws = Workspace.poisoned(device, 1 << 20);
        StepState state = StepState.on(device)) {
      Tensor g = zeros(ws, n);
      put(g, gradient);
      state.restore(new StepState.Carried(256, 0, 0, 0));
      GlobalNorm.run(state, g, kind, 1.5f, LossScaling.DYNAMIC);
      GlobalNorm.clipValues(state, g, 1e-3f);
      float[] out = Arrays.copyOf(get(g), n + 4);
      out[n] = state.gradNorm();
      out[n + 1] = state.clipFactor();
      gradient = gradient.clone();
      gradient[n / 2] = Float.NaN;
      put(g, gradient);
      GlobalNorm.run(state, g, kind, 1.5f, LossScaling.DYNAMIC);
      GlobalNorm.clipValues(state, g, 1e-3f);
      out[n + 2] = state.overflow() ? 1 : 0;
      out[n + 3] = get(g)[0] == gradient[0] ? 1 : 0;
      assertThat(out[n + 2]).isEqualTo(1);
      return out;
    }
  }

  @Test
  void moreSegmentsThanALaunchCarriesAreUpdatedAll() {
    int n = 40;
    List<Segment> segments = new ArrayList<>();
    for (int i = 0; i < n; i++) {
      segments.add(new Segment(i, i + 1, i, 0));
    }
    try (Cuda cuda = TestCuda.open(new BundledKernels());
        Workspace ws = Workspace.poisoned(cuda, 1 << 20);
        StepState state = StepState.on(cuda)) {
      Tensor w = zeros(ws, n);
      Tensor g = zeros(ws, n);
      float[] ones = new float[n];
      Arrays.fill(ones, 1);
      put(g, ones);
      state.begin(0, 0, 0.5f, 1);
      GlobalNorm.run(state, g, INFINITY, LossScaling.NONE);
      AdamW.step(
          new FlatWeights(w, null, g, segments),
          zeros(ws, n),
          zeros(ws, n),
          state,
          0.9f,
          0.999f,
          0);
      float[] moved = get(w);
      for (int i = 0; i < n; i++) {
        assertThat(moved[i]).isCloseTo(-0.5f * i, within(1e-5f * i + 1e-30f));
      }
    }
  }

  private static Tensor zeros(Workspace ws, int n) {
    Tensor t = ws.alloc(DType.F32, Shape.of(n));
    Fill.zero(t);
    return t;
  }

  private static float[] normal(Random random, int n, float scale) {
    float[] x = new float[n];
    for (int i = 0; i < n; i++) {
      x[i] = scale * (float) random.nextGaussian();
    }
    return x;
  }

  private static void put(Tensor t, float[] values) {
    t.fromHost(MemorySegment.ofArray(values));
  }

  private static float[] get(Tensor t) {
    MemorySegment s = t.toHost();
    float[] x = new float[(int) t.elements()];
    for (int i = 0; i < x.length; i++) {
      x[i] =
          switch (t.dtype()) {
            case F16 -> Float.float16ToFloat(s.getAtIndex(JAVA_SHORT, i));
            case BF16 -> Float.intBitsToFloat(s.getAtIndex(JAVA_SHORT, i) << 16);
            default -> s.getAtIndex(JAVA_FLOAT, i);
          };
    }
    return x;
  }

  private static void assertClose(float[] got, float[] want, float tolerance) {
    for (int i = 0; i < want.length; i++) {
      assertThat(got[i])
          .as("element %d", i)
          .isCloseTo(want[i], within(tolerance * Math.max(1, Math.abs(want[i]))));
    }
  }
}
