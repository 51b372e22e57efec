package dev.javelin.tensor.op;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
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
import dev.javelin.tensor.FlatWeights;
import dev.javelin.tensor.Segment;
import dev.javelin.tensor.Shape;
import dev.javelin.tensor.Tensor;
import dev.javelin.tensor.io.JsonObject;
import dev.javelin.tensor.step.LossScaling;
import dev.javelin.tensor.step.StepState;
import dev.javelin.tensor.step.Workspace;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.Random;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** What all update rules have in common, each rule as the golden cases have it. */
class UpdateDevicesTest {
  private static final int[] SIZES = {1, 2, 7, 31, 33, 127, 1000, 40_007};

  static List<String> cases() {
    return UpdateGoldenTest.cases();
  }

  /** What three steps leave behind, of which the second is skipped. */
  private record Outcome(List<byte[]> after, float[] precise, float[] weights, DType type) {}

  private static Outcome threeSteps(Device device, String name, int n, DType type) {
    Random random = new Random(n);
    JsonObject golden = OptimizerGolden.caseNamed("cases", name);
    int half = n / 2;
    var segments = List.of(new Segment(0, half, 1, 0.1f), new Segment(half, n, 2, 0));
    try (Workspace ws = Workspace.poisoned(device, 1 << 22);
        StepState state = StepState.on(device)) {
      Tensor weights = ws.alloc(type, Shape.of(n));
      Tensor master = type == DType.F32 ? null : UpdateRules.zeros(ws, n);
      Tensor g = UpdateRules.zeros(ws, n);
      FlatWeights flat = new FlatWeights(weights, master, g, segments);
      flat.precise().fromHost(MemorySegment.ofArray(normal(random, n, 1)));
      UpdateRules.Kept kept = UpdateRules.Kept.on(ws, n, golden.object("hyper"));
      UpdateRules.Step step =
          Objects.requireNonNull(UpdateRules.of(golden.text("optimizer"))).apply(kept);
      state.restore(new StepState.Carried(1024, 0, 0, 0));
      List<byte[]> after = new ArrayList<>();
      for (int t = 0; t < 3; t++) {
        float[] gradient = normal(random, n, 1024);
        if (t == 1) {
          gradient[n - 1] = Float.POSITIVE_INFINITY;
        }
        g.fromHost(MemorySegment.ofArray(gradient));
        state.begin(0, t, 0.1f, 1);
        GlobalNorm.run(state, g, t == 0 ? 0.5f : Float.POSITIVE_INFINITY, LossScaling.DYNAMIC);
        step.run(flat, state);
        assertThat(g.toHost().toArray(JAVA_FLOAT)).as("gradients").containsOnly(0);
        after.add(bytes(flat, kept));
      }
      return new Outcome(after, flat.precise().toHost().toArray(JAVA_FLOAT), floats(weights), type);
    }
  }

  /** All that a step must leave alone where it is skipped. */
  private static byte[] bytes(FlatWeights flat, UpdateRules.Kept kept) {
    List<Tensor> all = new ArrayList<>(kept.made());
    all.add(flat.weights());
    all.add(flat.precise());
    byte[] bytes = new byte[0];
    for (Tensor t : all) {
      byte[] more = t.toHost().toArray(JAVA_BYTE);
      int at = bytes.length;
      bytes = Arrays.copyOf(bytes, at + more.length);
      System.arraycopy(more, 0, bytes, at, more.length);
    }
    return bytes;
  }

  private static void assertSkipsAndCopies(Outcome o) {
    assertThat(o.after.get(1)).as("a skipped step").isEqualTo(o.after.get(0));
    assertThat(o.after.get(2)).as("a step").isNotEqualTo(o.after.get(1));
    for (int i = 0; i < o.precise.length; i++) {
      assertThat(o.weights[i]).as("copy %d", i).isEqualTo(rounded(o.precise[i], o.type));
    }
  }

  private static float rounded(float x, DType type) {
    return switch (type) {
      case F16 -> Float.float16ToFloat(Float.floatToFloat16(x));
      case BF16 -> {
        int bits = Float.floatToRawIntBits(x);
        int up = 0x7fff + (bits >>> 16 & 1); // to nearest, ties to even
        yield Float.intBitsToFloat((bits + up) & 0xffff0000);
      }
      default -> x;
    };
  }

  @ParameterizedTest
  @MethodSource("cases")
  void aSkippedStepChangesNothingAndThreadsNoBit(String name) {
    for (DType type : List.of(DType.F32, DType.BF16, DType.F16)) {
      for (int n : SIZES) {
        Outcome one;
        Outcome three;
        try (Cpu cpu = Cpu.open(1)) {
          one = threeSteps(cpu, name, n, type);
        }
        try (Cpu cpu = Cpu.open(3)) {
          three = threeSteps(cpu, name, n, type);
        }
        assertSkipsAndCopies(one);
        assertThat(three.after.get(2)).isEqualTo(one.after.get(2));
      }
    }
  }

  @ParameterizedTest
  @MethodSource("cases")
  @RequiresCuda
  void theGpuDoesWhatTheCpuDoes(String name) {
    for (int n : new int[] {1, 7, 33, 1000}) {
      for (DType type : List.of(DType.F32, DType.BF16)) {
        Outcome want;
        Outcome got;
        Outcome again;
        try (Cpu cpu = Cpu.open(1)) {
          want = threeSteps(cpu, name, n, type);
        }
        try (Cuda cuda = TestCuda.open(new BundledKernels())) {
          got = threeSteps(cuda, name, n, type);
          again = threeSteps(cuda, name, n, type);
        }
        assertSkipsAndCopies(got);
        assertThat(again.after.get(2)).isEqualTo(got.after.get(2));
        for (int i = 0; i < n; i++) {
          assertThat(got.precise[i])
              .as("%s: weight %d of %d", name, i, n)
              .isCloseTo(want.precise[i], within(1e-5f * Math.max(1, Math.abs(want.precise[i]))));
        }
      }
    }
  }

  private static float[] normal(Random random, int n, float scale) {
    float[] x = new float[n];
    for (int i = 0; i < n; i++) {
      x[i] = scale * (float) random.nextGaussian();
    }
    return x;
  }

  private static float[] floats(Tensor t) {
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
}
