package dev.javelin.kernels.cuda;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.javelin.device.CudaException;
import dev.javelin.device.DType;
import dev.javelin.device.DeviceMemory;
import dev.javelin.device.TensorMap;
import dev.javelin.device.TensorMap.Swizzle;
import dev.javelin.device.TestMachine;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.function.Consumer;
import java.util.stream.IntStream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Barriers, bulk copies, tensor maps and wgmma of compute capability 9.0, against plain loops. */
class HopperConformanceTest {
  /** Of Σ|a·b|: 128 additions, each cut off within an ulp. */
  private static final double TOLERANCE = 128 * 0x1p-23;

  /** An older device, where it is emulated, refuses the first of these instructions by name. */
  private static void onHopper(TestMachine machine, Consumer<Gpu> test) {
    try (Gpu gpu = Gpu.open(machine)) {
      int capability = gpu.capability();
      if (capability >= 90) {
        test.accept(gpu);
      } else {
        assumeTrue(gpu.isEmulated(), "needs compute capability 9.0");
        assertThatThrownBy(() -> test.accept(gpu))
            .isInstanceOf(CudaException.class)
            .hasMessageMatching(
                "(?s).*kernel check_hopper_\\w+, block \\(0,0,0\\), thread \\(\\d+,0,0\\).*"
                    + "(mbarrier|fence|cp|prefetch|stmatrix|elect|setmaxnreg|wgmma)\\S* needs compute"
                    + " capability 9.0, this device has %d.%d.*"
                        .formatted(capability / 10, capability % 10));
      }
    }
  }

  @ParameterizedTest
  @MethodSource("dev.javelin.device.TestMachine#andChecked")
  void mbarriersHandOverARing(TestMachine machine) {
    onHopper(
        machine,
        gpu -> {
          int n = 9;
          DeviceMemory out = gpu.bytes(4L * 32 * n);
          gpu.kernel("check_hopper_ring").grid(1).ptr(out).i32(n).run();
          assertThat(gpu.ints(out, 32 * n))
              .isEqualTo(
                  IntStream.range(0, 32 * n).map(i -> 1000 * (i / 32) + 31 - i % 32).toArray());
        });
  }

  @ParameterizedTest
  @MethodSource("dev.javelin.device.TestMachine#andChecked")
  void bulkCopiesArriveOnTheirBarrier(TestMachine machine) {
    onHopper(
        machine,
        gpu -> {
          byte[] in = bytes(1008);
          DeviceMemory out = gpu.bytes(in.length);
          gpu.kernel("check_hopper_bulk")
              .grid(1)
              .ptr(out)
              .ptr(gpu.of(in))
              .i32(in.length)
              .shared(1024)
              .run();
          assertThat(gpu.byteArray(out, in.length)).isEqualTo(in);
        });
  }

  /** Where the swizzle keeps a byte of a tile: 16-byte pieces exchanged by the row of 128 bytes. */
  private static int swizzled(int offset, Swizzle swizzle) {
    int row = offset / 128;
    return offset ^ (row % pieces(swizzle)) * 16;
  }

  /** Of 16 bytes, that change places. */
  private static int pieces(Swizzle swizzle) {
    return switch (swizzle) {
      case NONE -> 1;
      case BYTES_32 -> 2;
      case BYTES_64 -> 4;
      case BYTES_128 -> 8;
    };
  }

  @ParameterizedTest
  @MethodSource("dev.javelin.device.TestMachine#andChecked")
  void tilesOfAMatrixArriveSwizzledWithZerosOutside(TestMachine machine) {
    onHopper(
        machine,
        gpu -> {
          int rows = 37;
          int columns = 88; // of a matrix whose rows lie 96 apart
          short[] matrix = Halves.random(DType.BF16, rows * 96, 1);
          DeviceMemory memory = gpu.of(matrix);
          for (Swizzle swizzle : Swizzle.values()) {
            int boxColumns = swizzle == Swizzle.NONE ? 24 : 8 * pieces(swizzle);
            int boxRows = 16;
            TensorMap map =
                TensorMap.rows(DType.BF16, memory, rows, columns, 96, boxRows, boxColumns, swizzle);
            for (int[] at : new int[][] {{0, 0}, {8, 5}, {columns - 8, rows - 3}, {-16, -2}}) {
              int bytes = boxRows * boxColumns * 2;
              DeviceMemory out = gpu.bytes(bytes);
              gpu.kernel("check_hopper_load_2d")
                  .grid(1)
                  .ptr(out)
                  .map(map)
                  .i32(bytes)
                  .i32(at[0])
                  .i32(at[1])
                  .shared(bytes)
                  .run();
              short[] got = gpu.shorts(out, bytes / 2);
              for (int i = 0; i < boxRows; i++) {
                for (int j = 0; j < boxColumns; j++) {
                  int row = at[1] + i;
                  int column = at[0] + j;
                  boolean inside = row >= 0 && row < rows && column >= 0 && column < columns;
                  assertThat(got[swizzled(2 * (i * boxColumns + j), swizzle) / 2])
                      .as("%s, box at %d, %d: element %d, %d", swizzle, at[0], at[1], i, j)
                      .isEqualTo(inside ? matrix[row * 96 + column] : 0);
                }
              }
            }
          }
        });
  }

  @ParameterizedTest
  @MethodSource("dev.javelin.device.TestMachine#andChecked")
  void tilesOfThreeDimensionsTravelBothWays(TestMachine machine) {
    onHopper(
        machine,
        gpu -> {
          int[] size = {32, 5, 7}; // innermost first
          int[] box = {16, 3, 4};
          float[] in = new float[32 * 5 * 7];
          for (int i = 0; i < in.length; i++) {
            in[i] = i + 1;
          }
          int x = 20;
          int y = 3;
          int z = -1;
          DeviceMemory source = gpu.of(in);
          DeviceMemory copy = gpu.of(new float[in.length]);
          int bytes = 4 * 16 * 3 * 4;
          DeviceMemory tile = gpu.bytes(bytes);
          gpu.kernel("check_hopper_load_3d")
              .grid(1)
              .ptr(tile)
              .map(cube(source, size, box))
              .i32(bytes)
              .i32(x)
              .i32(y)
              .i32(z)
              .shared(bytes)
              .run();
          gpu.kernel("check_hopper_store_3d")
              .grid(1)
              .ptr(tile)
              .map(cube(copy, size, box))
              .i32(bytes)
              .i32(x)
              .i32(y)
              .i32(z)
              .shared(bytes)
              .run();
          float[] got = gpu.floats(tile, bytes / 4);
          float[] there = gpu.floats(copy, in.length);
          float[] expected = new float[in.length];
          for (int k = 0; k < 4; k++) {
            for (int j = 0; j < 3; j++) {
              for (int i = 0; i < 16; i++) {
                boolean inside = x + i < 32 && y + j < 5 && z + k >= 0;
                int from = inside ? ((z + k) * 5 + y + j) * 32 + x + i : -1;
                assertThat(got[(k * 3 + j) * 16 + i]).isEqualTo(inside ? in[from] : 0f);
                if (inside) {
                  expected[from] = in[from];
                }
              }
            }
          }
          assertThat(there).isEqualTo(expected);
        });
  }

  private static TensorMap cube(DeviceMemory memory, int[] size, int[] box) {
    return TensorMap.of(
        DType.F32,
        memory,
        new long[] {size[0], size[1], size[2]},
        new long[] {4L * size[0], 4L * size[0] * size[1]},
        box,
        Swizzle.NONE);
  }

  @ParameterizedTest
  @MethodSource("dev.javelin.device.TestMachine#andChecked")
  void storesWriteTheirTileBeforeTheNextTakesItsPlace(TestMachine machine) {
    onHopper(
        machine,
        gpu -> {
          int rows = 21;
          int bytes = 8 * 128; // 8 rows of 64
          short[] in = Halves.random(DType.BF16, bytes, 2); // two tiles
          DeviceMemory matrix = gpu.of(new short[rows * 64]);
          gpu.kernel("check_hopper_store_2d")
              .grid(1)
              .ptr(gpu.of(in))
              .map(TensorMap.rows(DType.BF16, matrix, rows, 64, 64, 8, 64, Swizzle.BYTES_128))
              .i32(bytes)
              .i32(0)
              .i32(3)
              .i32(16)
              .shared(bytes)
              .run();
          short[] got = gpu.shorts(matrix, rows * 64);
          short[] expected = new short[rows * 64];
          for (int part = 0; part < 2; part++) {
            for (int i = 0; i < 8; i++) {
              for (int j = 0; j < 64; j++) {
                int row = (part == 0 ? 3 : 16) + i;
                if (row < rows) {
                  expected[row * 64 + j] =
                      in[part * 512 + swizzled(2 * (i * 64 + j), Swizzle.BYTES_128) / 2];
                }
              }
            }
          }
          assertThat(got).isEqualTo(expected);
        });
  }

  @ParameterizedTest
  @MethodSource("dev.javelin.device.TestMachine#andChecked")
  void stmatrixIsTheReverseOfLdmatrix(TestMachine machine) {
    onHopper(
        machine,
        gpu -> {
          for (int count : new int[] {1, 2, 4}) {
            int[] in = new Random(count).ints(32L * count).toArray();
            for (boolean transposed : new boolean[] {false, true}) {
              DeviceMemory out = gpu.bytes(2L * 64 * count);
              gpu.kernel("check_hopper_stmatrix_x" + count + (transposed ? "_trans" : ""))
                  .grid(1)
                  .ptr(out)
                  .ptr(gpu.of(in))
                  .run();
              short[] got = gpu.shorts(out, 64 * count);
              for (int q = 0; q < count; q++) {
                for (int i = 0; i < 8; i++) {
                  for (int j = 0; j < 8; j++) {
                    int row = transposed ? j : i;
                    int column = transposed ? i : j;
                    int register = in[32 * q + 4 * row + column / 2];
                    assertThat(got[64 * q + 8 * i + j])
                        .isEqualTo((short) (register >>> 16 * (column % 2)));
                  }
                }
              }
            }
          }
        });
  }

  @ParameterizedTest
  @MethodSource("dev.javelin.device.TestMachine#andChecked")
  void oneLaneOfEachWarpIsElected(TestMachine machine) {
    onHopper(
        machine,
        gpu -> {
          DeviceMemory out = gpu.bytes(4 * 64);
          gpu.kernel("check_hopper_elect").grid(1).ptr(out).run();
          int[] got = gpu.ints(out, 64);
          assertThat(IntStream.of(got).limit(32).sum()).isEqualTo(1);
          assertThat(IntStream.of(got).skip(32).sum()).isEqualTo(1);
        });
  }

  @ParameterizedTest
  @MethodSource("dev.javelin.device.TestMachine#andChecked")
  void warpgroupsExchangeRegisters(TestMachine machine) {
    onHopper(
        machine,
        gpu -> {
          DeviceMemory out = gpu.bytes(4 * 256);
          gpu.kernel("check_hopper_registers").grid(1).ptr(out).run();
          assertThat(gpu.ints(out, 256)).isEqualTo(IntStream.range(0, 256).toArray());
        });
  }

  /** Older devices have too little shared memory to begin with. */
  @ParameterizedTest
  @MethodSource("dev.javelin.device.TestMachine#andChecked")
  void aPipelineOfWarpgroupsMultiplies(TestMachine machine) {
    try (Gpu gpu = Gpu.open(machine)) {
      assumeTrue(gpu.capability() >= 90, "needs compute capability 9.0");
      assertThat(Pipeline.run(gpu)).isEmpty();
    }
  }

  /** A kernel of the suite, and how it has its operands. */
  private record Product(
      String name, int n, DType type, boolean transposedA, boolean transposedB) {}

  private static List<Product> products() {
    List<Product> all = new ArrayList<>();
    for (int n = 8; n <= 256; n += 8) {
      all.add(new Product("wgmma_n" + n, n, DType.BF16, false, false));
    }
    all.add(new Product("wgmma_tn_n64", 64, DType.BF16, true, false));
    all.add(new Product("wgmma_nt_n64", 64, DType.BF16, false, true));
    all.add(new Product("wgmma_tt_n64", 64, DType.BF16, true, true));
    all.add(new Product("wgmma_tt_n256", 256, DType.BF16, true, true));
    all.add(new Product("wgmma_nt_n96", 96, DType.BF16, false, true));
    all.add(new Product("wgmma_f16_n128", 128, DType.F16, false, false));
    all.add(new Product("wgmma_f16_tt_n128", 128, DType.F16, true, true));
    all.add(new Product("wgmma_fragment_n64", 64, DType.BF16, false, false));
    all.add(new Product("wgmma_fragment_nt_n256", 256, DType.BF16, false, true));
    all.add(new Product("wgmma_fragment_f16_n128", 128, DType.F16, false, false));
    return all;
  }

  @ParameterizedTest
  @MethodSource("dev.javelin.device.TestMachine#andChecked")
  void wgmmaMultipliesInEveryShapeAndLayout(TestMachine machine) {
    onHopper(
        machine,
        gpu -> {
          for (Product p : products()) {
            checkProduct(gpu, p);
          }
        });
  }

  /** d = 2·a·b: the kernel adds the product to itself. */
  private static void checkProduct(Gpu gpu, Product p) {
    short[] a = Halves.random(p.type, 64 * 64, 1); // [m][k], or [k][m]
    short[] b = Halves.random(p.type, p.n * 64, 2); // [n][k], or [k][n]
    DeviceMemory left = gpu.of(a);
    DeviceMemory right = gpu.of(b);
    TensorMap mapA = TensorMap.rows(p.type, left, 64, 64, 64, 64, 64, Swizzle.BYTES_128);
    TensorMap mapB =
        p.transposedB
            ? TensorMap.rows(p.type, right, 64, p.n, p.n, 64, 64, Swizzle.BYTES_128)
            : TensorMap.rows(p.type, right, p.n, 64, 64, p.n, 64, Swizzle.BYTES_128);
    DeviceMemory d = gpu.bytes(4L * 64 * p.n);
    gpu.kernel("check_hopper_" + p.name)
        .grid(1)
        .ptr(d)
        .map(mapA)
        .map(mapB)
        .ptr(left)
        .shared(64 * 128 + 256 * 128)
        .run();
    float[] got = gpu.floats(d, 64 * p.n);
    for (int i = 0; i < 64; i++) {
      for (int j = 0; j < p.n; j++) {
        double sum = 0;
        double absolute = 0;
        for (int k = 0; k < 64; k++) {
          float x = Halves.value(p.type, a[p.transposedA ? k * 64 + i : i * 64 + k]);
          float y = Halves.value(p.type, b[p.transposedB ? k * p.n + j : j * 64 + k]);
          sum += (double) x * y;
          absolute += Math.abs((double) x * y);
        }
        double error = Math.abs(got[i * p.n + j] - 2 * sum);
        if (!(error <= TOLERANCE * 2 * absolute)) {
          assertThat((double) got[i * p.n + j])
              .as("%s, element %d, %d", p.name, i, j)
              .isCloseTo(2 * sum, within(TOLERANCE * 2 * absolute));
        }
      }
    }
  }

  private static byte[] bytes(int n) {
    byte[] values = new byte[n];
    new Random(n).nextBytes(values);
    return values;
  }
}
