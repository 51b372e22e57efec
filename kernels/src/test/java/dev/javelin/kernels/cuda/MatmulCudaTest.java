package dev.javelin.kernels.cuda;

import static dev.javelin.device.DType.BF16;
import static dev.javelin.device.DType.F16;
import static dev.javelin.device.DType.F32;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.fail;
import static org.assertj.core.api.Assertions.within;

import dev.javelin.device.DType;
import dev.javelin.device.DeviceMemory;
import dev.javelin.device.Emulator;
import dev.javelin.device.TestMachine;
import dev.javelin.kernels.Activation;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * The product's kernels against plain loops in double. Memory between a matrix's rows is NaN in
 * operands, where it must not be read, and 7 in results, where it must not be written; on the
 * emulated device allocations end at a page that nobody may touch.
 */
class MatmulCudaTest {
  private static final float GAP = 7;

  /** Thread orders, and the capabilities whose code differs. */
  static Stream<TestMachine> machines() {
    return TestMachine.all().stream().filter(m -> m.capability() != 89);
  }

  private static Gpu open(TestMachine machine) {
    return guarded(Gpu.open(machine));
  }

  private static Gpu guarded(Gpu gpu) {
    if (gpu.isEmulated()) {
      Emulator.set("guard", "1");
    }
    return gpu;
  }

  /** One product. {@code gap}: elements between the stored rows of each matrix. */
  private record Case(
      DType in,
      DType out,
      boolean transA,
      boolean transB,
      int m,
      int n,
      int k,
      int gap,
      int edge,
      int parts,
      boolean accumulate) {}

  private static List<Case> cases() {
    int[][] sizes = {
      {1, 1, 1, 0},
      {2, 7, 31, 0},
      {31, 33, 7, 5},
      {66, 72, 40, 8},
      {130, 65, 127, 1},
      {7, 136, 100, 0}
    };
    List<Case> cases = new ArrayList<>();
    Random random = new Random(3);
    for (DType in : new DType[] {F32, BF16, F16}) {
      for (DType out : in == F32 ? new DType[] {F32} : new DType[] {in, F32}) {
        for (int layout = 0; layout < 4; layout++) {
          for (int edge : new int[] {64, 128}) {
            for (int[] s : sizes) {
              int parts = random.nextInt(1, 4);
              cases.add(
                  new Case(
                      in,
                      out,
                      layout / 2 == 1,
                      layout % 2 == 1,
                      s[0],
                      s[1],
                      s[2],
                      s[3],
                      edge,
                      parts,
                      random.nextBoolean()));
            }
          }
        }
      }
    }
    return cases;
  }

  @ParameterizedTest
  @MethodSource("machines")
  void everyLayoutTypeAndTileMatchesPlainLoops(TestMachine machine) {
    try (Gpu gpu = open(machine)) {
      for (Case c : cases()) {
        check(gpu, c);
      }
    }
  }

  private static void check(Gpu gpu, Case s) {
    HostMatrix a =
        HostMatrix.random(s.in, s.transA ? s.k : s.m, s.transA ? s.m : s.k, s.gap, Float.NaN, 1);
    HostMatrix b =
        HostMatrix.random(s.in, s.transB ? s.n : s.k, s.transB ? s.k : s.n, s.gap, Float.NaN, 2);
    HostMatrix before = HostMatrix.random(s.out, s.m, s.n, s.gap, GAP, 3);
    HostMatrix c = s.accumulate ? before : before.filled(Float.NaN);
    DeviceMemory memory = c.upload(gpu);
    MatmulCuda.run(
        gpu.cuda(),
        MatmulPlan.inParts(s.edge, s.parts, s.k),
        c.matrix(memory, false),
        a.matrix(a.upload(gpu), s.transA),
        b.matrix(b.upload(gpu), s.transB),
        s.m,
        s.n,
        s.k,
        1,
        s.accumulate,
        MatmulCuda.Epilogue.NONE);
    HostMatrix got = c.download(gpu, memory);
    for (int i = 0; i < s.m; i++) {
      for (int j = 0; j < s.n; j++) {
        double want = s.accumulate ? before.at(i, j) : 0;
        double absolute = Math.abs(want);
        for (int l = 0; l < s.k; l++) {
          double product =
              (double) (s.transA ? a.at(l, i) : a.at(i, l)) * (s.transB ? b.at(j, l) : b.at(l, j));
          want += product;
          absolute += Math.abs(product);
        }
        double error = Math.abs(got.at(i, j) - want);
        if (!(error <= bound(s.k + 4, absolute, want, s.out))) { // NaN included
          fail("%s: c[%d, %d] is %s, should be %s".formatted(s, i, j, got.at(i, j), want));
        }
      }
    }
    got.assertGapsAre(GAP, s.toString());
  }

  /**
   * k roundings of partial sums in fp32, none larger than Σ|a·b|, and the last one to the type.
   * Tensor cores cut off where fp32 rounds, an error twice as large, but of sums that come nowhere
   * near Σ|a·b|.
   */
  static double bound(int k, double absolute, double want, DType out) {
    double unit = out == BF16 ? 0x1p-8 : out == F16 ? 0x1p-11 : 0x1p-24;
    return k * 0x1p-24 * absolute + unit * Math.abs(want) + (out == F16 ? 0x1p-25 : 1e-40);
  }

  @Test
  void tilesBeyondTheFirstGroupOfRowsFindTheirPlace() {
    try (Gpu gpu = guarded(Gpu.open())) {
      for (DType type : new DType[] {F32, BF16}) {
        check(gpu, new Case(type, F32, false, true, 1200, 130, 9, 7, 64, 1, false));
        check(gpu, new Case(type, F32, false, true, 1200, 130, 9, 7, 128, 1, false));
      }
    }
  }

  @ParameterizedTest
  @EnumSource(Activation.class)
  void biasAndActivationAreAppliedInOneSweep(Activation f) {
    try (Gpu gpu = guarded(Gpu.open())) {
      for (DType type : new DType[] {F32, BF16, F16}) {
        for (int edge : new int[] {64, 128}) {
          for (int parts = 1; parts <= 2; parts++) {
            checkEpilogue(gpu, type, edge, parts, f, true);
          }
        }
      }
    }
  }

  @Test
  void aBiasAloneIsAdded() {
    try (Gpu gpu = guarded(Gpu.open())) {
      for (DType type : new DType[] {F32, BF16, F16}) {
        checkEpilogue(gpu, type, 64, 1, null, false);
        checkEpilogue(gpu, type, 128, 2, null, false);
      }
    }
  }

  private static void checkEpilogue(
      Gpu gpu, DType type, int edge, int parts, @Nullable Activation f, boolean keepZ) {
    int m = 37;
    int n = 67;
    int k = 40;
    HostMatrix x = HostMatrix.random(type, m, k, 0, Float.NaN, 1);
    HostMatrix w = HostMatrix.random(type, n, k, 0, Float.NaN, 2);
    HostMatrix bias = HostMatrix.random(type, 1, n, 0, Float.NaN, 3);
    HostMatrix y = HostMatrix.random(type, m, n, 3, GAP, 4).filled(Float.NaN);
    DeviceMemory yMemory = y.upload(gpu);
    DeviceMemory zMemory = y.upload(gpu);
    MatmulCuda.run(
        gpu.cuda(),
        MatmulPlan.inParts(edge, parts, k),
        y.matrix(yMemory, false),
        x.matrix(x.upload(gpu), false),
        w.matrix(w.upload(gpu), true),
        m,
        n,
        k,
        1,
        false,
        new MatmulCuda.Epilogue(bias.upload(gpu), keepZ ? zMemory : null, y.stride(), f));
    HostMatrix gotY = y.download(gpu, yMemory);
    HostMatrix gotZ = y.download(gpu, zMemory);
    double unit = type == BF16 ? 0x1p-8 : type == F16 ? 0x1p-11 : 0x1p-20;
    for (int i = 0; i < m; i++) {
      for (int j = 0; j < n; j++) {
        double z = bias.at(0, j);
        double absolute = Math.abs(z);
        for (int l = 0; l < k; l++) {
          double product = (double) x.at(i, l) * w.at(j, l);
          z += product;
          absolute += Math.abs(product);
        }
        double want = f == null ? z : apply(f, z);
        // The sum's error grows by f's slope, which is at most 2·|z| (relu²).
        double sumError = bound(k + 4, absolute, 0, F32);
        double error = unit * Math.abs(want) + sumError * (1 + 2 * Math.abs(z));
        assertThat((double) gotY.at(i, j))
            .as("%s, edge %d, %d parts, %s: y[%d, %d]", type, edge, parts, f, i, j)
            .isCloseTo(want, within(error));
        if (keepZ) {
          assertThat((double) gotZ.at(i, j))
              .as("%s, edge %d, %d parts, %s: z[%d, %d]", type, edge, parts, f, i, j)
              .isCloseTo(z, within(unit * Math.abs(z) + sumError));
        }
      }
    }
    gotY.assertGapsAre(GAP, "y");
    gotZ.assertGapsAre(GAP, "z");
  }

  private static double apply(Activation f, double z) {
    return switch (f) {
      case GELU -> z * normalCdf(z);
      case GELU_TANH ->
          z / 2 * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (z + 0.044715 * z * z * z)));
      case SILU -> z / (1 + Math.exp(-z));
      case RELU -> Math.max(z, 0);
      case RELU_SQUARED -> Math.max(z, 0) * Math.max(z, 0);
      case SIGMOID -> 1 / (1 + Math.exp(-z));
      case TANH -> Math.tanh(z);
      case SOFTPLUS -> Math.log1p(Math.exp(-Math.abs(z))) + Math.max(z, 0);
    };
  }

  /** {@code 1/2 + Σ}: the series φ(z)·(z + z³/3 + z⁵/(3·5) + …), outside of |z| ≤ 7 its limit. */
  private static double normalCdf(double z) {
    if (Math.abs(z) > 7) {
      return z > 0 ? 1 : 0;
    }
    double term = z;
    double sum = z;
    for (int i = 3; i < 300; i += 2) {
      term *= z * z / i;
      sum += term;
    }
    return 0.5 + sum * Math.exp(-z * z / 2) / Math.sqrt(2 * Math.PI);
  }

  @Test
  void batchesShareAnOperandWhoseMatricesDoNotAdvance() {
    try (Gpu gpu = guarded(Gpu.open())) {
      int m = 33;
      int n = 20;
      int k = 70;
      for (DType type : new DType[] {F32, BF16}) {
        HostMatrix a = HostMatrix.random(type, 3 * m, k, 0, Float.NaN, 1);
        HostMatrix b = HostMatrix.random(type, k, n, 0, Float.NaN, 2);
        for (int parts = 1; parts <= 2; parts++) {
          HostMatrix c = HostMatrix.random(F32, 3 * m, n, 0, GAP, 3);
          DeviceMemory batched = c.upload(gpu);
          DeviceMemory whole = c.upload(gpu);
          DeviceMemory aMemory = a.upload(gpu);
          CudaMatrix right = b.matrix(b.upload(gpu), false);
          MatmulCuda.run(
              gpu.cuda(),
              MatmulPlan.inParts(64, parts, k),
              new CudaMatrix(batched, F32, n, false, (long) m * n),
              new CudaMatrix(aMemory, type, k, false, (long) m * k),
              right,
              m,
              n,
              k,
              3,
              true,
              MatmulCuda.Epilogue.NONE);
          MatmulCuda.run(
              gpu.cuda(),
              MatmulPlan.inParts(64, parts, k),
              c.matrix(whole, false),
              a.matrix(aMemory, false),
              right,
              3 * m,
              n,
              k,
              1,
              true,
              MatmulCuda.Epilogue.NONE);
          assertThat(gpu.floats(batched, 3 * m * n)).isEqualTo(gpu.floats(whole, 3 * m * n));
        }
      }
    }
  }

  @ParameterizedTest
  @MethodSource("machines")
  void theBiasGradientSumsTheRows(TestMachine machine) {
    try (Gpu gpu = open(machine)) {
      int[][] sizes = {{1, 1, 0}, {7, 31, 0}, {33, 300, 5}, {200, 127, 1}, {1000, 24, 8}};
      for (DType type : new DType[] {F32, BF16, F16}) {
        for (int[] s : sizes) {
          HostMatrix dy = HostMatrix.random(type, s[0], s[1], s[2], Float.NaN, 1);
          HostMatrix before = HostMatrix.random(F32, 1, s[1], 0, GAP, 2);
          DeviceMemory set = before.filled(Float.NaN).upload(gpu);
          DeviceMemory added = before.upload(gpu);
          CudaMatrix matrix = dy.matrix(dy.upload(gpu), false);
          MatmulCuda.biasGradient(gpu.cuda(), set, matrix, s[0], s[1], false);
          MatmulCuda.biasGradient(gpu.cuda(), added, matrix, s[0], s[1], true);
          float[] gotSet = gpu.floats(set, s[1]);
          float[] gotAdded = gpu.floats(added, s[1]);
          for (int j = 0; j < s[1]; j++) {
            double want = 0;
            double absolute = 0;
            for (int i = 0; i < s[0]; i++) {
              want += dy.at(i, j);
              absolute += Math.abs(dy.at(i, j));
            }
            double error = bound(s[0], absolute + 4, 0, F32);
            String what = "%s [%d, %d]: db[%d]".formatted(type, s[0], s[1], j);
            assertThat((double) gotSet[j]).as(what).isCloseTo(want, within(error));
            assertThat((double) gotAdded[j])
                .as(what)
                .isCloseTo(want + before.at(0, j), within(error));
          }
        }
      }
    }
  }

  @Test
  void rejectsTypesThatNoKernelHas() {
    try (Gpu gpu = Gpu.open()) {
      DeviceMemory m = gpu.bytes(256);
      CudaMatrix half = new CudaMatrix(m, BF16, 8, false);
      CudaMatrix single = new CudaMatrix(m, F32, 8, false);
      assertThatThrownBy(() -> MatmulCuda.run(gpu.cuda(), half, single, single, 8, 8, 8, 1, false))
          .hasMessage(
              "matmul: needs A and B of one float type and C, not transposed, of theirs or F32;"
                  + " got A F32, B F32, C BF16");
      assertThatThrownBy(() -> MatmulCuda.run(gpu.cuda(), single, half, single, 8, 8, 8, 1, false))
          .isInstanceOf(IllegalArgumentException.class);
    }
  }
}
