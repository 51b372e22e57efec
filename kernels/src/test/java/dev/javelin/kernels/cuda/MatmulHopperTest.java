package dev.javelin.kernels.cuda;

import static dev.javelin.device.DType.BF16;
import static dev.javelin.device.DType.F16;
import static dev.javelin.device.DType.F32;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.fail;

import dev.javelin.device.DType;
import dev.javelin.device.DeviceMemory;
import dev.javelin.device.Emulator;
import dev.javelin.device.TestMachine;
import dev.javelin.kernels.Activation;
import java.util.stream.Stream;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * The product's kernels for compute capability 9.0 against plain loops in double, and against those
 * for older devices. Memory between rows is NaN in operands and 7 in results, as in {@link
 * MatmulCudaTest}.
 */
class MatmulHopperTest {
  private static final float GAP = 7;
  private static final int[] COLUMNS = {128, 192, 256};

  /** m, n, k, gap. The last has more tiles than the emulated device has multiprocessors. */
  private static final int[][] SIZES = {
    {2, 2, 2, 6}, {130, 266, 74, 6}, {72, 200, 136, 0}, {50, 66, 258, 6}, {602, 18, 90, 6}
  };

  static Stream<TestMachine> machines() {
    return TestMachine.andChecked().filter(m -> m.capability() == 90 || m.capability() == 0);
  }

  private static Gpu open(TestMachine machine) {
    Gpu gpu = Gpu.open(machine);
    if (gpu.isEmulated()) {
      Emulator.set("guard", "1");
    }
    Assumptions.assumeTrue(gpu.capability() == 90, "for compute capability 9.0");
    return gpu;
  }

  /** One product. */
  private record Case(
      DType in,
      DType out,
      boolean transA,
      boolean transB,
      int[] size,
      int columns,
      int parts,
      int cluster) {
    int m() {
      return size[0];
    }

    int n() {
      return size[1];
    }

    int k() {
      return size[2];
    }

    @Override
    public String toString() {
      return "%s to %s, %s%s, %dx%dx%d, tiles of %d columns, %d parts, clusters of %d"
          .formatted(
              in,
              out,
              transA ? "t" : "n",
              transB ? "t" : "n",
              m(),
              n(),
              k(),
              columns,
              parts,
              cluster);
    }

    Case inClusters(int blocks) {
      return new Case(in, out, transA, transB, size, columns, parts, blocks);
    }
  }

  @ParameterizedTest
  @MethodSource("machines")
  void everyLayoutTypeAndTileMatchesPlainLoops(TestMachine machine) {
    try (Gpu gpu = open(machine)) {
      int i = 0;
      for (DType in : new DType[] {BF16, F16}) {
        for (DType out : new DType[] {in, F32}) {
          for (int layout = 0; layout < 3; layout++) {
            for (int columns : COLUMNS) {
              int[] size = SIZES[i % SIZES.length];
              int parts = 1 + i / 2 % 3;
              int cluster = 1 + (i / 9 + i) % 2;
              Case c = new Case(in, out, layout == 2, layout == 1, size, columns, parts, cluster);
              check(gpu, c, i / 2 % 2 == 0);
              i++;
            }
          }
        }
      }
    }
  }

  /** Whoever brings the columns' operand. */
  @Test
  void pairsGiveTheSameBits() {
    try (Gpu gpu = open(machines().findFirst().orElseThrow())) {
      int i = 0;
      for (int layout = 0; layout < 3; layout++) {
        for (int columns : COLUMNS) {
          DType in = i % 2 == 0 ? BF16 : F16;
          int[] size = SIZES[1 + i % 4];
          int parts = 1 + i % 3;
          DType out = i / 2 % 2 == 0 ? in : F32;
          Case c = new Case(in, out, layout == 2, layout == 1, size, columns, parts, 1);
          assertThat(check(gpu, c.inClusters(2), i % 2 == 0).values())
              .as(c.toString())
              .containsExactly(check(gpu, c, i % 2 == 0).values());
          i++;
        }
      }
    }
  }

  private static HostMatrix check(Gpu gpu, Case s, boolean accumulate) {
    int gap = s.size[3];
    int m = s.m();
    int n = s.n();
    int k = s.k();
    HostMatrix a = HostMatrix.random(s.in, s.transA ? k : m, s.transA ? m : k, gap, Float.NaN, 1);
    HostMatrix b = HostMatrix.random(s.in, s.transB ? n : k, s.transB ? k : n, gap, Float.NaN, 2);
    HostMatrix before = HostMatrix.random(s.out, m, n, gap, GAP, 3);
    HostMatrix c = accumulate ? before : before.filled(Float.NaN);
    DeviceMemory memory = c.upload(gpu);
    CudaMatrix left = a.matrix(a.upload(gpu), s.transA);
    CudaMatrix right = b.matrix(b.upload(gpu), s.transB);
    CudaMatrix to = c.matrix(memory, false);
    assertThat(MatmulHopper.fits(gpu.cuda(), to, left, right, n, 1, MatmulCuda.Epilogue.NONE))
        .as(s.toString())
        .isTrue();
    MatmulHopper.run(
        gpu.cuda(),
        MatmulHopperPlan.inParts(s.columns, s.parts, k).inClusters(s.cluster),
        to,
        left,
        right,
        m,
        n,
        k,
        accumulate,
        MatmulCuda.Epilogue.NONE);
    HostMatrix got = c.download(gpu, memory);
    for (int i = 0; i < m; i++) {
      for (int j = 0; j < n; j++) {
        double want = accumulate ? before.at(i, j) : 0;
        double absolute = Math.abs(want);
        for (int l = 0; l < k; l++) {
          double product =
              (double) (s.transA ? a.at(l, i) : a.at(i, l)) * (s.transB ? b.at(j, l) : b.at(l, j));
          want += product;
          absolute += Math.abs(product);
        }
        double error = Math.abs(got.at(i, j) - want);
        if (!(error <= MatmulCudaTest.bound(k + 4, absolute, want, s.out))) { // NaN included
          fail("%s: c[%d, %d] is %s, should be %s".formatted(s, i, j, got.at(i, j), want));
        }
      }
    }
    got.assertGapsAre(GAP, s.toString());
    return got;
  }

  /**
   * Sums of small integers are exact, so both kernels' epilogues see the same and give the same.
   */
  @ParameterizedTest
  @MethodSource("machines")
  void itsEpilogueGivesTheBitsOfTheOlderKernel(TestMachine machine) {
    try (Gpu gpu = open(machine)) {
      int i = 0;
      for (Activation f : Activation.values()) {
        DType type = i % 2 == 0 ? BF16 : F16;
        int columns = COLUMNS[i % 3];
        HostMatrix x = HostMatrix.integers(type, 70, 72, 1);
        HostMatrix w = HostMatrix.integers(type, 274, 72, 2);
        HostMatrix bias = HostMatrix.integers(type, 1, 274, 3);
        HostMatrix y = HostMatrix.random(type, 70, 274, 6, GAP, 4).filled(Float.NaN);
        CudaMatrix left = x.matrix(x.upload(gpu), false);
        CudaMatrix right = w.matrix(w.upload(gpu), true);
        DeviceMemory[] ys = {y.upload(gpu), y.upload(gpu)};
        DeviceMemory[] zs = {y.upload(gpu), y.upload(gpu)};
        DeviceMemory b = bias.upload(gpu);
        boolean keepZ = i < 6;
        var first = new MatmulCuda.Epilogue(b, keepZ ? zs[0] : null, y.stride(), f);
        var second = new MatmulCuda.Epilogue(b, keepZ ? zs[1] : null, y.stride(), f);
        MatmulHopper.run(
            gpu.cuda(),
            MatmulHopperPlan.inParts(columns, 1 + i / 5, 72).inClusters(1 + i / 3 % 2),
            y.matrix(ys[0], false),
            left,
            right,
            70,
            274,
            72,
            false,
            first);
        MatmulCuda.run(
            gpu.cuda(),
            MatmulPlan.inParts(64, 1, 72),
            y.matrix(ys[1], false),
            left,
            right,
            70,
            274,
            72,
            1,
            false,
            second);
        assertThat(y.download(gpu, ys[0]).values())
            .as("y, %s, %s", type, f)
            .containsExactly(y.download(gpu, ys[1]).values());
        assertThat(y.download(gpu, zs[0]).values())
            .as("z, %s, %s", type, f)
            .containsExactly(y.download(gpu, zs[1]).values());
        i++;
      }
    }
  }

  /** Integers: sums are exact in whatever order, and so is each place of a tile. */
  @ParameterizedTest
  @ValueSource(ints = {1, 2})
  void tilesBeyondTheFirstGroupOfRowsFindTheirPlace(int cluster) {
    try (Gpu gpu = open(machines().findFirst().orElseThrow())) {
      int m = 2200; // 18 tile rows
      HostMatrix a = HostMatrix.integers(BF16, m, 8, 1);
      HostMatrix b = HostMatrix.integers(BF16, 8, 136, 2);
      DeviceMemory memory = gpu.bytes(4L * m * 136);
      MatmulHopper.run(
          gpu.cuda(),
          MatmulHopperPlan.inParts(128, 1, 8).inClusters(cluster),
          new CudaMatrix(memory, F32, 136, false),
          a.matrix(a.upload(gpu), false),
          b.matrix(b.upload(gpu), false),
          m,
          136,
          8,
          false,
          MatmulCuda.Epilogue.NONE);
      float[] got = gpu.floats(memory, m * 136);
      for (int i = 0; i < got.length; i++) {
        float sum = 0;
        for (int l = 0; l < 8; l++) {
          sum += a.at(i / 136, l) * b.at(l, i % 136);
        }
        assertThat(got[i]).as("element %d", i).isEqualTo(sum);
      }
    }
  }

  @Test
  void matricesWithoutATensorMapAreLeftToTheOlderKernel() {
    try (Gpu gpu = open(machines().findFirst().orElseThrow())) {
      DeviceMemory memory = gpu.bytes(1024);
      CudaMatrix good = new CudaMatrix(memory, BF16, 8, false);
      CudaMatrix odd = new CudaMatrix(() -> memory.address() + 8, BF16, 8, false);
      CudaMatrix narrow = new CudaMatrix(memory, BF16, 12, false);
      CudaMatrix turned = new CudaMatrix(memory, BF16, 8, true);
      assertThat(fits(gpu, good, good, good, 8, 1)).isTrue();
      assertThat(fits(gpu, good, odd, good, 8, 1)).isFalse();
      assertThat(fits(gpu, good, good, narrow, 8, 1)).isFalse();
      assertThat(fits(gpu, narrow, good, good, 8, 1)).isFalse();
      assertThat(fits(gpu, good, turned, turned, 8, 1)).isFalse();
      assertThat(fits(gpu, good, good, good, 7, 1)).isFalse();
      assertThat(fits(gpu, good, good, good, 8, 2)).isFalse();
    }
  }

  private static boolean fits(Gpu gpu, CudaMatrix c, CudaMatrix a, CudaMatrix b, int n, int batch) {
    return MatmulHopper.fits(gpu.cuda(), c, a, b, n, batch, MatmulCuda.Epilogue.NONE);
  }
}
