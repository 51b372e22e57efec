package dev.javelin.tensor.op;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_INT;
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
import dev.javelin.tensor.Shape;
import dev.javelin.tensor.Tensor;
import dev.javelin.tensor.op.FlatSample.Part;
import dev.javelin.tensor.step.StepState;
import dev.javelin.tensor.step.Workspace;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

class FlatSampleTest {
  /** Parts of awkward sizes, with gaps; the last is larger than a sample. */
  private static final List<Part> PARTS = parts(1, 2, 7, 31, 33, 127, 1000, 16_384, 200_003);

  private static final int N = (int) PARTS.getLast().to() + 5;

  private static List<Part> parts(int... sizes) {
    List<Part> parts = new ArrayList<>();
    long at = 0;
    for (int size : sizes) {
      parts.add(new Part(at, at + size));
      at += (size + 63) / 64 * 64;
    }
    return parts;
  }

  /** What the four operators find. */
  private record Found(float[] change, int[] ratios, int[] underflow) {}

  private static Found found(Device device, DType type, float[] before, float[] after) {
    try (Workspace ws = Workspace.poisoned(device, 1 << 22);
        FlatSample sample = new FlatSample(device, PARTS)) {
      Tensor x = ws.alloc(type, Shape.of(N));
      put(x, before);
      Tensor kept = ws.alloc(DType.F32, Shape.of(sample.room()));
      sample.copy(kept, x);
      put(x, after);
      Tensor change = ws.alloc(DType.F32, Shape.of(PARTS.size(), 2));
      sample.change(change, kept, x);
      Tensor m = ws.alloc(DType.F32, Shape.of(N));
      Tensor v = ws.alloc(DType.F32, Shape.of(N));
      put(m, before);
      put(v, squares(after));
      Tensor ratios = ws.alloc(DType.I32, Shape.of(PARTS.size(), FlatSample.BINS));
      sample.ratios(ratios, m, v);
      Tensor underflow = ws.alloc(DType.I32, Shape.of(PARTS.size(), FlatSample.UNDERFLOWS));
      sample.underflow(underflow, m, DType.F16);
      return new Found(
          change.toHost().toArray(JAVA_FLOAT),
          ratios.toHost().toArray(JAVA_INT),
          underflow.toHost().toArray(JAVA_INT));
    }
  }

  private static void put(Tensor t, float[] values) {
    if (t.dtype() == DType.F32) {
      t.fromHost(MemorySegment.ofArray(values));
      return;
    }
    short[] half = new short[values.length];
    for (int i = 0; i < half.length; i++) {
      half[i] = half(t.dtype(), values[i]);
    }
    t.fromHost(MemorySegment.ofArray(half));
  }

  /** To f16, or the upper half. */
  private static short half(DType type, float x) {
    return type == DType.F16
        ? Float.floatToFloat16(x)
        : (short) (Float.floatToRawIntBits(x) >>> Short.SIZE);
  }

  private static double rounded(DType type, float x) {
    return switch (type) {
      case F16 -> Float.float16ToFloat(half(type, x));
      case BF16 -> Float.intBitsToFloat(half(type, x) << Short.SIZE);
      default -> x;
    };
  }

  private static float[] squares(float[] x) {
    float[] squares = new float[x.length];
    for (int i = 0; i < x.length; i++) {
      squares[i] = x[i] * x[i];
    }
    return squares;
  }

  /** Over many powers of two, with zeros. */
  private static float[] spread(Random random) {
    float[] x = new float[N];
    for (int i = 0; i < N; i++) {
      x[i] =
          random.nextInt(50) == 0
              ? 0
              : (float) (random.nextGaussian() * Math.scalb(1.0, -random.nextInt(30)));
    }
    return x;
  }

  private static float[] moved(float[] from, Random random) {
    float[] x = new float[N];
    for (int i = 0; i < N; i++) {
      x[i] = from[i] + 0.01f * (float) random.nextGaussian();
    }
    return x;
  }

  private static int bin(double ratio) {
    int bin = 0;
    while (bin < FlatSample.BINS - 1
        && ratio >= Math.scalb(1.0, FlatSample.SMALLEST_EXPONENT + bin)) {
      bin++;
    }
    return bin;
  }

  /**
   * Of parts no larger than a sample every element counts: a plain loop in double is the oracle.
   */
  @ParameterizedTest
  @EnumSource(
      value = DType.class,
      names = {"F32", "BF16", "F16"})
  void smallPartsAreCountedWhole(DType type) {
    Random random = new Random(1);
    float[] before = spread(random);
    float[] after = moved(before, random);
    Found found;
    try (Cpu cpu = Cpu.open(2)) {
      found = found(cpu, type, before, after);
    }
    for (int p = 0; p < PARTS.size() - 1; p++) {
      double change = 0;
      double norm = 0;
      int[] ratios = new int[FlatSample.BINS];
      int[] underflow = new int[FlatSample.UNDERFLOWS];
      for (int i = (int) PARTS.get(p).from(); i < PARTS.get(p).to(); i++) {
        double b = rounded(type, before[i]);
        change += Math.pow(rounded(type, after[i]) - b, 2);
        norm += b * b;
        double v = after[i] * after[i];
        ratios[before[i] == 0 ? 0 : bin(Math.abs(before[i]) / Math.sqrt(v))]++;
        float half = Float.float16ToFloat(Float.floatToFloat16(before[i]));
        if (before[i] == 0) {
          underflow[0]++;
        } else if (half == 0) {
          underflow[1]++;
        } else if (Math.abs(before[i]) < 0x1p-14) {
          underflow[2]++;
        }
      }
      String part = "part " + p;
      assertThat((double) found.change[2 * p])
          .as(part)
          .isCloseTo(Math.sqrt(change), within(1e-6 * Math.sqrt(change)));
      assertThat((double) found.change[2 * p + 1])
          .as(part)
          .isCloseTo(Math.sqrt(norm), within(1e-6 * Math.sqrt(norm)));
      for (int b = 0; b < ratios.length; b++) {
        assertThat(found.ratios[p * ratios.length + b])
            .as(part + ", bin " + b)
            .isEqualTo(ratios[b]);
      }
      for (int k = 0; k < underflow.length; k++) {
        assertThat(found.underflow[3 * p + k]).as(part + ", count " + k).isEqualTo(underflow[k]);
      }
    }
  }

  @Test
  void aLargePartIsKnownFromItsSampleWithinAPercent() {
    Random random = new Random(2);
    float[] before = new float[N];
    float[] after = new float[N];
    double change = 0;
    double norm = 0;
    for (int i = 0; i < N; i++) {
      before[i] = (float) random.nextGaussian();
      after[i] = before[i] + 0.01f * (float) random.nextGaussian();
      if (i >= PARTS.getLast().from() && i < PARTS.getLast().to()) {
        change += Math.pow(after[i] - before[i], 2);
        norm += before[i] * before[i];
      }
    }
    Found found;
    try (Cpu cpu = Cpu.open(2)) {
      found = found(cpu, DType.F32, before, after);
    }
    int p = PARTS.size() - 1;
    // Two estimates, each off by half a percent.
    assertThat((double) found.change[2 * p] / found.change[2 * p + 1])
        .isCloseTo(Math.sqrt(change / norm), within(0.02 * Math.sqrt(change / norm)));
  }

  /** Rows of a power of two must not be in step with the sample: all columns are seen alike. */
  @ParameterizedTest
  @ValueSource(ints = {256, 1000, 4096})
  void everyColumnOfAMatrixIsSeen(int width) {
    int rows = (1 << 20) / width;
    try (Cpu cpu = Cpu.open(1);
        Workspace ws = Workspace.on(cpu);
        FlatSample sample = new FlatSample(cpu, List.of(new Part(0, (long) rows * width)))) {
      Tensor x = ws.alloc(DType.F32, Shape.of(rows * width));
      for (int i = 0; i < rows * width; i++) {
        x.segment().setAtIndex(JAVA_FLOAT, i, (float) (i % width) / width);
      }
      Tensor kept = ws.alloc(DType.F32, Shape.of(sample.room()));
      sample.copy(kept, x);
      int[] quarter = new int[4];
      for (int i = 0; i < sample.room(); i++) {
        quarter[(int) (4 * kept.segment().getAtIndex(JAVA_FLOAT, i))]++;
      }
      assertThat(sample.elements(0)).isEqualTo(FlatSample.MOST);
      for (int seen : quarter) {
        assertThat(seen).isBetween(FlatSample.MOST / 5, FlatSample.MOST / 3);
      }
    }
  }

  @ParameterizedTest
  @EnumSource(
      value = DType.class,
      names = {"F32", "BF16", "F16"})
  @RequiresCuda
  void theGpuFindsTheSame(DType type) {
    Random random = new Random(3);
    float[] before = spread(random);
    float[] after = moved(before, random);
    Found want;
    Found got;
    try (Cpu cpu = Cpu.open(2)) {
      want = found(cpu, type, before, after);
    }
    try (Cuda cuda = TestCuda.open(new BundledKernels())) {
      got = found(cuda, type, before, after);
    }
    assertThat(got.ratios).isEqualTo(want.ratios);
    assertThat(got.underflow).isEqualTo(want.underflow);
    for (int i = 0; i < want.change.length; i++) {
      assertThat(got.change[i]).isCloseTo(want.change[i], within(1e-6f * want.change[i]));
    }
  }

  @Test
  void threadsDoNotMatter() {
    Random random = new Random(4);
    float[] before = spread(random);
    float[] after = moved(before, random);
    try (Cpu one = Cpu.open(1);
        Cpu three = Cpu.open(3)) {
      Found a = found(one, DType.F32, before, after);
      Found b = found(three, DType.F32, before, after);
      assertThat(b.change).isEqualTo(a.change);
      assertThat(b.ratios).isEqualTo(a.ratios);
      assertThat(b.underflow).isEqualTo(a.underflow);
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 7, 1000, 200_003})
  void measuresTheUnscaledGradientOnTheCpu(int n) {
    try (Cpu cpu = Cpu.open(2)) {
      measures(cpu, n);
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 7, 1000, 200_003})
  @RequiresCuda
  void measuresTheUnscaledGradientOnTheGpu(int n) {
    try (Cuda cuda = TestCuda.open(new BundledKernels())) {
      measures(cuda, n);
    }
  }

  private static void measures(Device device, int n) {
    Random random = new Random(n);
    float[] values = new float[n];
    double squares = 0;
    for (int i = 0; i < n; i++) {
      values[i] = (float) random.nextGaussian();
      squares += (double) values[i] * values[i];
    }
    try (Workspace ws = Workspace.poisoned(device, 1 << 20);
        StepState state = StepState.on(device)) {
      state.restore(new StepState.Carried(256, 3, 5, 1));
      Tensor g = ws.alloc(DType.F32, Shape.of(n));
      put(g, values);
      Tensor to = ws.alloc(DType.F32, Shape.of());
      GlobalNorm.measure(to, state, g);
      double norm = Math.sqrt(squares) / 256;
      assertThat((double) to.toHost().get(JAVA_FLOAT, 0)).isCloseTo(norm, within(1e-6 * norm));
      assertThat(g.toHost().toArray(JAVA_FLOAT)).isEqualTo(values);
      assertThat(state.carried()).isEqualTo(new StepState.Carried(256, 3, 5, 1));
      values[n / 2] = Float.NaN;
      put(g, values);
      GlobalNorm.measure(to, state, g);
      assertThat(to.toHost().get(JAVA_FLOAT, 0)).isNaN();
    }
  }

  @Test
  void refusesWhatDoesNotFit() {
    try (Cpu cpu = Cpu.open(1);
        Workspace ws = Workspace.on(cpu);
        FlatSample sample = new FlatSample(cpu, PARTS)) {
      Tensor x = ws.alloc(DType.F32, Shape.of(N));
      assertThatThrownBy(() -> sample.copy(ws.alloc(DType.F32, Shape.of(3)), x))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessageContaining("to must be");
      assertThatThrownBy(() -> new Part(3, 3)).hasMessageContaining("must have an element");
    }
  }
}
