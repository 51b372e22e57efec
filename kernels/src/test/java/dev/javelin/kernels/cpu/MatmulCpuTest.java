package dev.javelin.kernels.cpu;

import static dev.javelin.device.DType.BF16;
import static dev.javelin.device.DType.F16;
import static dev.javelin.device.DType.F32;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.javelin.device.Cpu;
import dev.javelin.device.DType;
import java.io.IOException;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

class MatmulCpuTest extends MatmulTesting {
  private static final int[] AWKWARD = {1, 2, 7, 31, 33, 127, 1000};
  private static final long MAX_ORACLE_SIZE = 1_200_000;

  /** Those whose vectors this machine has; narrower machines run these tests with theirs. */
  static List<MatmulTile> tiles() {
    return Stream.concat(
            MatmulTileFma.load().stream(),
            IntStream.of(512, 256, 128)
                .filter(bits -> bits <= Lanes.SPECIES.vectorBitSize())
                .mapToObj(MatmulTile::of))
        .toList();
  }

  private static MatmulTile widestTile() {
    return tiles().getFirst();
  }

  @ParameterizedTest
  @MethodSource("tiles")
  void equalsTheDoubleLoopForAwkwardSizesAndAllTransposes(MatmulTile tile) {
    int cases = 0;
    for (int m : AWKWARD) {
      for (int n : AWKWARD) {
        for (int k : AWKWARD) {
          if ((long) m * n * k <= MAX_ORACLE_SIZE) {
            int kind = cases++;
            boolean accumulate = kind % 3 == 0;
            int gap = kind % 2 * 5;
            checkWholeNumbers(tile, m, n, k, false, true, accumulate, gap, F32, F32, F32);
            checkWholeNumbers(tile, m, n, k, false, false, accumulate, gap, F32, F32, F32);
            checkWholeNumbers(tile, m, n, k, true, false, accumulate, gap, F32, F32, F32);
            checkWholeNumbers(tile, m, n, k, true, true, accumulate, gap, F32, F32, F32);
          }
        }
      }
    }
    assertThat(cases).isGreaterThan(200);
  }

  @ParameterizedTest
  @MethodSource("tiles")
  void everyCombinationOfFloatTypesIsRoundedOnce(MatmulTile tile) {
    DType[] floats = {F32, BF16, F16};
    int kind = 0;
    for (DType cType : floats) {
      for (DType aType : floats) {
        for (DType bType : floats) {
          for (int[] size :
              new int[][] {
                {1, 33, 127}, {31, 7, 33}, {33, 127, 31}, {127, 1000, 7}, {7, 2, 1000}
              }) {
            for (int trans = 0; trans < 4; trans++) {
              checkWholeNumbers(
                  tile,
                  size[0],
                  size[1],
                  size[2],
                  (trans & 1) != 0,
                  (trans & 2) != 0,
                  kind % 2 == 0,
                  kind % 3,
                  cType,
                  aType,
                  bType);
              kind++;
            }
          }
        }
      }
    }
  }

  /** Several passes over k, several chunks of columns, blocks of their own packing. */
  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void equalsTheDoubleLoopWhereEveryLoopRunsMoreThanOnce(boolean accumulate) {
    for (MatmulTile tile : List.of(tiles().getFirst(), tiles().getLast())) {
      checkWholeNumbers(tile, 33, 300, 2500, false, true, accumulate, 3, F32, F32, F32);
      checkWholeNumbers(tile, 150, 130, 2050, true, false, accumulate, 0, BF16, BF16, F32);
      checkWholeNumbers(tile, 5, 530, 8200, false, false, accumulate, 1, F32, F32, F16);
      checkWholeNumbers(tile, 1000, 40, 300, false, true, accumulate, 0, F16, BF16, F32);
      checkWholeNumbers(tile, 1000, 40, 300, false, false, accumulate, 0, F16, F32, F32);
      checkWholeNumbers(tile, 140, 70, 2050, true, false, accumulate, 1, BF16, F32, F32);
    }
  }

  @ParameterizedTest
  @EnumSource(names = {"F32", "BF16", "F16"})
  void aLongSumWithASmallResultIsSplitAndExact(DType type) {
    MatmulTile tile = widestTile();
    for (int k : new int[] {1024, 1025, 3000, 5000}) {
      checkWholeNumbers(tile, 31, 33, k, true, false, true, 0, type, F32, F32);
      checkWholeNumbers(tile, 7, 127, k, true, false, false, 2, type, type, type);
    }
  }

  @Test
  void errorOfRandomNumbersGrowsLikeTheRootOfTheLength() {
    for (int k : new int[] {7, 127, 1000, 4096}) {
      Random random = new Random(k);
      Matrix a = new Matrix(F32, 33, k, k).gaussian(random);
      Matrix b = new Matrix(F32, 65, k, k).gaussian(random);
      Matrix c = new Matrix(F32, 33, 65, 65);
      run(cpu, widestTile(), c, a, false, b, true, k, false, MatmulEpilogue.NONE);
      double[] expected = oracle(c, a, false, b, true, k);
      double worst = 0;
      for (int i = 0; i < 33 * 65; i++) {
        worst = Math.max(worst, Math.abs(c.get(i) - expected[i]));
      }
      // Partial sums are about sqrt(k); a rounding of each, half an ulp at most, adds like a walk.
      assertThat(worst).as("k = %d", k).isLessThan(4 * 0x1p-24 * k);
    }
  }

  @Test
  void bitsAreTheSameForAllTilesAndNumbersOfThreads() {
    // Factors are read in place or packed: A up to 256 columns, B up to 512 rows, unless the stride
    // is a multiple of 2048 or 4096 bytes.
    int[][] sizes = {
      {127, 130, 1500},
      {31, 65, 4096},
      {300, 70, 33},
      {530, 270, 70},
      {530, 70, 1024},
      {40, 512, 70}
    };
    for (int i = 0; i < 4 * sizes.length; i++) {
      boolean transA = i % 2 == 1;
      boolean transB = i / 2 % 2 == 1;
      int m = sizes[i / 4][0];
      int n = sizes[i / 4][1];
      int k = sizes[i / 4][2];
      Matrix a = new Matrix(F32, transA ? k : m, transA ? m : k, transA ? m : k);
      Matrix b = new Matrix(F32, transB ? n : k, transB ? k : n, transB ? k : n);
      a.gaussian(new Random(1));
      b.gaussian(new Random(2));
      List<byte[]> results = new ArrayList<>();
      for (int threads : new int[] {1, 2, 4}) {
        try (Cpu other = Cpu.open(threads)) {
          for (MatmulTile tile : tiles()) {
            Matrix c = new Matrix(F32, m, n, n).gaussian(new Random(3));
            run(other, tile, c, a, transA, b, transB, k, true, MatmulEpilogue.NONE);
            results.add(c.data.toArray(ValueLayout.JAVA_BYTE));
          }
        }
      }
      assertThat(results).allMatch(r -> Arrays.equals(r, results.getFirst()));
    }
  }

  @ParameterizedTest
  @EnumSource(names = {"F32", "BF16"})
  void epilogueSeesEveryElementOnceBeforeItIsRounded(DType type) {
    for (int[] size : new int[][] {{33, 127, 31}, {3, 65, 128}, {100, 1000, 7}, {20, 20, 2000}}) {
      int m = size[0];
      int n = size[1];
      int k = size[2];
      Matrix a = new Matrix(F32, m, k, k).wholeNumbers(new Random(1));
      Matrix b = new Matrix(F32, n, k, k).wholeNumbers(new Random(2));
      Matrix c = new Matrix(type, m, n, n);
      run(
          cpu,
          widestTile(),
          c,
          a,
          false,
          b,
          true,
          k,
          false,
          (sums, at, stride, row, rows, col, count) -> {
            for (int i = 0; i < rows; i++) {
              for (int j = 0; j < count; j++) {
                long p = at + i * stride + 4L * j;
                sums.set(Ram.FLOAT, p, sums.get(Ram.FLOAT, p) * 2 + row + i + (col + j) * 0.25f);
              }
            }
          });
      double[] expected = oracle(c, a, false, b, true, k);
      for (int i = 0; i < m * n; i++) {
        int row = i / n;
        assertThat(c.get(i)).isEqualTo(c.rounded(expected[i] * 2 + row + i % n * 0.25));
      }
    }
  }

  @Test
  void refusesMatricesThatDoNotFitTheirMemory() {
    Matrix a = new Matrix(F32, 4, 8, 8);
    Matrix b = new Matrix(F32, 8, 4, 4);
    Matrix c = new Matrix(F32, 4, 4, 4);
    assertThatThrownBy(
            () ->
                MatmulCpu.run(
                    cpu, c.data, F32, 4, a.data, F32, 9, false, b.data, F32, 4, false, 4, 4, 8,
                    false))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("matmul: A is stored as [4, 8] f32 with row stride 9");
    assertThatThrownBy(
            () ->
                MatmulCpu.run(
                    cpu, c.data, F32, 4, a.data, F32, 8, false, b.data, DType.I32, 4, false, 4, 4,
                    8, false))
        .hasMessageContaining("B must be f32, bf16 or f16, got i32");
    assertThatThrownBy(
            () ->
                MatmulCpu.run(
                    cpu, c.data, F32, 4, a.data, F32, 8, false, b.data, F32, 4, false, 4, 4, 0,
                    false))
        .hasMessageContaining("k >= 1");
  }

  @Test
  void tilesAreWhatTheGeneratorWrites() throws IOException {
    for (int[] tile : MatmulTileSource.TILES) {
      assertThat(Files.readString(MatmulTileSource.file(Path.of(""), tile[0])))
          .isEqualTo(MatmulTileSource.source(tile[0], tile[1]));
    }
  }
}
