package dev.javelin.autograd;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.javelin.device.Cpu;
import dev.javelin.device.Cuda;
import dev.javelin.device.DType;
import dev.javelin.device.Device;
import dev.javelin.device.RequiresCuda;
import dev.javelin.device.TestCuda;
import dev.javelin.kernels.Activation;
import dev.javelin.kernels.BundledKernels;
import dev.javelin.kernels.Quantization;
import dev.javelin.kernels.Quantizer;
import dev.javelin.tensor.Grad;
import dev.javelin.tensor.QuantizedMatrix;
import dev.javelin.tensor.Shape;
import dev.javelin.tensor.Tensor;
import dev.javelin.tensor.op.Linear;
import dev.javelin.tensor.op.QuantizedLinear;
import dev.javelin.tensor.step.Workspace;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;

class QuantizedLinearTest {
  static Stream<Arguments> shapes() {
    return Arrays.stream(Quantization.values())
        .flatMap(
            q ->
                Stream.of(
                    Arguments.of(q, 1, 3, 64),
                    Arguments.of(q, 7, 33, 192),
                    Arguments.of(q, 31, 127, 128),
                    Arguments.of(q, 33, 50, 320),
                    Arguments.of(q, 34, 31, 37),
                    Arguments.of(q, 2, 19, 172),
                    Arguments.of(q, 130, 96, 1088)));
  }

  /** What {@link Linear} makes of the numbers that the bytes stand for, in fp32. */
  @ParameterizedTest
  @MethodSource("shapes")
  void hasTheBitsOfItsWidenedWeightForAnyNumberOfThreads(Quantization q, int rows, int n, int k) {
    double[][] wide;
    try (Cpu cpu = Cpu.open(1)) {
      wide = run(cpu, DType.F32, q, rows, n, k, true, Activation.GELU_TANH);
      assertThat(run(cpu, DType.F32, q, rows, n, k, false, Activation.GELU_TANH))
          .isDeepEqualTo(wide);
    }
    try (Cpu cpu = Cpu.open(3)) {
      assertThat(run(cpu, DType.F32, q, rows, n, k, false, Activation.GELU_TANH))
          .isDeepEqualTo(wide);
    }
  }

  @ParameterizedTest
  @MethodSource("shapes")
  @RequiresCuda
  void agreesOnAGpuWithTheCpu(Quantization q, int rows, int n, int k) {
    for (DType t : List.of(DType.F32, DType.BF16, DType.F16)) {
      double[][] want;
      double[][] got;
      try (Cpu cpu = Cpu.open(2)) {
        want = run(cpu, t, q, rows, n, k, false, null);
      }
      try (Cuda cuda = TestCuda.open(new BundledKernels())) {
        got = run(cuda, t, q, rows, n, k, false, null);
      }
      for (int i = 0; i < want.length; i++) {
        double most = Arrays.stream(want[i]).map(Math::abs).max().orElseThrow();
        double tolerance = 3 * Tolerances.output(t) * most; // the weight is rounded, too
        for (int j = 0; j < want[i].length; j++) {
          assertThat(Math.abs(got[i][j] - want[i][j]))
              .as("%s %d [%d]", t, i, j)
              .isLessThanOrEqualTo(tolerance);
        }
      }
    }
  }

  /** y, dx written, dx added to, db. */
  private static double[][] run(
      Device device,
      DType t,
      Quantization q,
      int rows,
      int n,
      int k,
      boolean widened,
      @Nullable Activation f) {
    Random random = new Random(n);
    try (Workspace ws = Workspace.poisoned(device, 64 << 20)) {
      Tensor x = filled(ws, random, t, rows, k);
      Tensor b = filled(ws, random, t, n);
      Tensor dz = filled(ws, random, t, rows, n);
      Tensor added = filled(ws, random, t, rows, k);
      Tensor written = ws.alloc(t, x.shape());
      Tensor db = ws.alloc(DType.F32, Shape.of(n));
      Tensor y = ws.alloc(t, dz.shape());
      Tensor z = f == null ? null : ws.alloc(t, dz.shape());
      QuantizedMatrix w = quantized(ws, q, n, k);
      if (widened) {
        Tensor wide = ws.alloc(DType.F32, w.shape());
        wide.fromHost(MemorySegment.ofArray(w.toFloats()));
        Linear.forward(y, z, x, wide, b, f);
        Linear.backward(new Grad(written, false), null, new Grad(db, false), dz, x, wide);
        Linear.backward(new Grad(added, true), null, null, dz, x, wide);
      } else {
        QuantizedLinear.forward(ws, y, z, x, w, b, f);
        QuantizedLinear.backward(ws, new Grad(written, false), new Grad(db, false), dz, w);
        QuantizedLinear.backward(ws, new Grad(added, true), null, dz, w);
      }
      return Stream.of(y, written, added, db).map(Tensors::toDoubles).toArray(double[][]::new);
    }
  }

  /** The definition in double, with central differences for x and the bias. */
  @ParameterizedTest
  @MethodSource("shapes")
  void followsItsDefinitionAndItsDerivatives(Quantization q, int rows, int n, int k) {
    int few = Math.min(rows, 3);
    try (Cpu cpu = Cpu.open(1);
        Workspace ws = Workspace.on(cpu, 8 << 20)) {
      QuantizedMatrix w = quantized(ws, q, n, k);
      float[] wide = w.toFloats();
      OpCheck.of("quantized linear", in -> Functional.linear(in[0], w, in[1], Activation.SILU))
          .input("x", few, k)
          .input("b", n)
          .oracle(
              in -> {
                double[] y = new double[few * n];
                for (int i = 0; i < y.length; i++) {
                  double z = in[1][i % n];
                  for (int j = 0; j < k; j++) {
                    z += in[0][i / n * k + j] * wide[i % n * k + j];
                  }
                  y[i] = z / (1 + Math.exp(-z));
                }
                return y;
              })
          .dtypes(DType.F32)
          .tolerance(4)
          .run();
    }
  }

  @Test
  void otherShapesAreRefused() {
    try (Cpu cpu = Cpu.open(1);
        Workspace ws = Workspace.on(cpu, 1 << 20)) {
      QuantizedMatrix w = quantized(ws, Quantization.INT8, 3, 8);
      Tensor x = ws.alloc(DType.F32, Shape.of(2, 7));
      Tensor y = ws.alloc(DType.F32, Shape.of(2, 3));
      assertThatThrownBy(() -> QuantizedLinear.forward(ws, y, null, x, w, null, null))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessageContaining("w must be [N, 7], got [3, 8]");
      Tensor bytes = ws.alloc(DType.U8, Shape.of(5));
      assertThatThrownBy(() -> new QuantizedMatrix(bytes, Quantization.INT8, 3, 8))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessageContaining("int8 [3, 8] is 36 bytes");
    }
  }

  /** Rounding x to 8 bits costs about 1 % of a typical sum, and no row heeds those beside it. */
  @ParameterizedTest
  @EnumSource
  void activationsOf8BitsAreNearAndEachRowIsItsOwn(Quantization q) {
    int n = 50;
    int k = 192;
    int rows = 40;
    try (Cpu cpu = Cpu.open(2);
        Workspace ws = Workspace.poisoned(cpu, 8 << 20)) {
      QuantizedMatrix plain = quantized(ws, q, n, k);
      QuantizedMatrix w = new QuantizedMatrix(plain.bytes(), q, n, k, true);
      Tensor x = filled(ws, new Random(2), DType.F32, rows, k);
      Tensor exact = ws.alloc(DType.F32, Shape.of(rows, n));
      Tensor y = ws.alloc(DType.F32, Shape.of(rows, n));
      QuantizedLinear.forward(ws, exact, null, x, plain, null, null);
      QuantizedLinear.forward(ws, y, null, x, w, null, null);
      double[] want = Tensors.toDoubles(exact);
      double[] got = Tensors.toDoubles(y);
      double error = 0;
      double square = 0;
      for (int i = 0; i < want.length; i++) {
        error += (got[i] - want[i]) * (got[i] - want[i]);
        square += want[i] * want[i];
      }
      assertThat(Math.sqrt(error / square)).isBetween(0.002, 0.015);
      for (int r : new int[] {0, 17, 39}) {
        Tensor alone = ws.alloc(DType.F32, Shape.of(1, n));
        QuantizedLinear.forward(ws, alone, null, x.slice(0, r, r + 1), w, null, null);
        assertThat(Tensors.toDoubles(alone)).isEqualTo(Arrays.copyOfRange(got, r * n, (r + 1) * n));
      }
    }
  }

  @Test
  void activationsOf8BitsHaveNoGradient() {
    try (Cpu cpu = Cpu.open(1);
        Workspace ws = Workspace.on(cpu, 1 << 20)) {
      QuantizedMatrix plain = quantized(ws, Quantization.INT8, 3, 8);
      QuantizedMatrix w = new QuantizedMatrix(plain.bytes(), plain.format(), 3, 8, true);
      Tape tape = new Tape(ws);
      Grad dx = new Grad(ws.alloc(DType.F32, Shape.of(2, 8)), false);
      Var x = tape.leaf(ws.alloc(DType.F32, Shape.of(2, 8)), dx);
      assertThatThrownBy(() -> Functional.linear(x, w, null, null))
          .isInstanceOf(IllegalStateException.class)
          .hasMessageContaining("activations of 8 bits have no gradient");
    }
  }

  @Test
  @RequiresCuda
  void activationsOf8BitsAreRefusedOnAGpu() {
    try (Cuda cuda = TestCuda.open(new BundledKernels());
        Workspace ws = Workspace.on(cuda, 1 << 20)) {
      QuantizedMatrix plain = quantized(ws, Quantization.INT8, 3, 8);
      QuantizedMatrix w = new QuantizedMatrix(plain.bytes(), plain.format(), 3, 8, true);
      Tensor x = filled(ws, new Random(2), DType.F32, 2, 8);
      Tensor y = ws.alloc(DType.F32, Shape.of(2, 3));
      assertThatThrownBy(() -> QuantizedLinear.forward(ws, y, null, x, w, null, null))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessageContaining("activations of 8 bits are for CPUs");
    }
  }

  private static QuantizedMatrix quantized(Workspace ws, Quantization q, int out, int in) {
    Random random = new Random(7);
    byte[] bytes = new byte[(int) q.bytes(out, in)];
    Quantizer quantizer = new Quantizer(q, out, in, MemorySegment.ofArray(bytes));
    for (int r = 0; r < out; r++) {
      float[] row = new float[in];
      for (int i = 0; i < in; i++) {
        row[i] = (float) random.nextGaussian() / 8;
      }
      quantizer.put(r, row);
    }
    Tensor t = ws.alloc(DType.U8, Shape.of(bytes.length));
    t.fromHost(MemorySegment.ofArray(bytes));
    return new QuantizedMatrix(t, q, out, in);
  }

  private static Tensor filled(Workspace ws, Random random, DType t, int... dims) {
    Tensor x = ws.alloc(t, Shape.of(dims));
    double[] values = new double[(int) x.elements()];
    Arrays.setAll(values, i -> Tensors.round(random.nextGaussian(), t));
    Tensors.fill(x, values);
    return x;
  }
}
