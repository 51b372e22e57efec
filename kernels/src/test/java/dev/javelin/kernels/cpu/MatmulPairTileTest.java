package dev.javelin.kernels.cpu;

import static dev.javelin.device.DType.BF16;
import static dev.javelin.device.DType.F16;
import static dev.javelin.device.DType.F32;
import static org.assertj.core.api.Assertions.assertThat;

import dev.javelin.device.Cpu;
import dev.javelin.device.DType;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Products of bf16 through panels of pairs: by the Java twin on every machine, by machine code
 * where the processor has the instruction.
 */
class MatmulPairTileTest extends MatmulTesting {
  private static final int FUZZED = 300;
  private static final MatmulPairTile TWIN =
      new MatmulTileTwin(MatmulTileBf16.ROWS, MatmulTileBf16.COLS);

  static List<MatmulPairTile> tiles() {
    MatmulPairTile here = Bf16Products.tile();
    return here == null || here instanceof MatmulTileTwin ? List.of(TWIN) : List.of(TWIN, here);
  }

  @ParameterizedTest
  @MethodSource("tiles")
  void equalsTheDoubleLoopOverFuzzedShapes(MatmulPairTile tile) {
    Random random = new Random(14);
    DType[] results = {F32, BF16, F16};
    for (int i = 0; i < FUZZED; i++) {
      int m = 1 + random.nextInt(random.nextBoolean() ? 13 : 70);
      int n = 1 + random.nextInt(random.nextBoolean() ? 33 : 140);
      int k = 1 + random.nextInt(random.nextBoolean() ? 8 : 90);
      boolean transA = random.nextBoolean();
      boolean tiled = transA || m > MatmulFewRows.MAX_ROWS;
      boolean transB = random.nextBoolean() && tiled; // few rows are no business of tiles
      checkWholeNumbers(
          tile,
          m,
          n,
          k,
          transA,
          transB,
          random.nextBoolean(),
          random.nextInt(3) * 5,
          results[random.nextInt(results.length)],
          BF16,
          BF16);
    }
  }

  /** Several passes over k, several chunks of columns, blocks of their own packing. */
  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void equalsTheDoubleLoopWhereEveryLoopRunsMoreThanOnce(boolean accumulate) {
    MatmulPairTile tile = tiles().getLast();
    checkWholeNumbers(tile, 33, 300, 2501, false, true, accumulate, 3, F32, BF16, BF16);
    checkWholeNumbers(tile, 150, 130, 2051, true, false, accumulate, 0, BF16, BF16, BF16);
    checkWholeNumbers(tile, 35, 530, 8200, false, false, accumulate, 1, F32, BF16, BF16);
    checkWholeNumbers(tile, 1000, 40, 300, false, true, accumulate, 0, F32, BF16, BF16);
  }

  @Test
  void aLongSumWithASmallResultIsSplitAndExact() {
    MatmulPairTile tile = tiles().getLast();
    for (int k : new int[] {1024, 1025, 3000}) {
      checkWholeNumbers(tile, 31, 33, k, true, false, true, 0, F32, BF16, BF16);
      checkWholeNumbers(tile, 7, 127, k, true, false, false, 2, BF16, BF16, BF16);
    }
  }

  @Test
  void errorOfRandomNumbersGrowsLikeTheRootOfTheLength() {
    for (int k : new int[] {7, 127, 1000, 4096}) {
      Random random = new Random(k);
      Matrix a = new Matrix(BF16, 33, k, k).gaussian(random);
      Matrix b = new Matrix(BF16, 65, k, k).gaussian(random);
      Matrix c = new Matrix(F32, 33, 65, 65);
      run(cpu, tiles().getLast(), c, a, false, b, true, k, false, MatmulEpilogue.NONE);
      double[] expected = oracle(c, a, false, b, true, k);
      double worst = 0;
      for (int i = 0; i < 33 * 65; i++) {
        worst = Math.max(worst, Math.abs(c.get(i) - expected[i]));
      }
      // As for fp32 tiles: the products are exact, the sums round.
      assertThat(worst).as("k = %d", k).isLessThan(4 * 0x1p-24 * k);
    }
  }

  @ParameterizedTest
  @MethodSource("tiles")
  void bitsAreTheSameForAllNumbersOfThreads(MatmulPairTile tile) {
    for (int[] size : new int[][] {{127, 130, 1501}, {31, 65, 4096}, {300, 70, 33}}) {
      List<byte[]> results =
          new ArrayList<>(Stream.of(1, 2, 4).map(threads -> bits(tile, threads, size)).toList());
      if (tile instanceof MatmulTileTwin) { // a processor may round a pair in its own way
        results.add(bits(new MatmulTileTwin(5, 9), 2, size));
      }
      assertThat(results).allMatch(r -> Arrays.equals(r, results.getFirst()));
    }
  }

  private byte[] bits(MatmulPairTile tile, int threads, int[] size) {
    int m = size[0];
    int n = size[1];
    int k = size[2];
    Matrix a = new Matrix(BF16, k, m, m).gaussian(new Random(1));
    Matrix b = new Matrix(BF16, k, n, n).gaussian(new Random(2));
    Matrix c = new Matrix(F32, m, n, n).gaussian(new Random(3));
    try (Cpu other = Cpu.open(threads)) {
      run(other, tile, c, a, true, b, false, k, true, MatmulEpilogue.NONE);
    }
    return c.data.toArray(ValueLayout.JAVA_BYTE);
  }

  /** A unit whose step is longer than a pair, as AMX's: the panels end in zeros. */
  @Test
  void aLongerStepChangesNothing() {
    checkWholeNumbers(new LongStep(), 50, 70, 33, false, true, false, 0, F32, BF16, BF16);
    checkWholeNumbers(new LongStep(), 50, 70, 1100, true, false, true, 0, F32, BF16, BF16);
    checkWholeNumbers(new LongStep(), 20, 20, 1100, true, false, true, 0, F32, BF16, BF16);
  }

  private static final class LongStep extends MatmulPairTile {
    private static final int STEP = 32;
    private static final MatmulTileTwin TWIN_16 = new MatmulTileTwin(16, 16);

    LongStep() {
      super(16, 16, STEP);
    }

    @Override
    void multiply(long c, long rowBytes, long aPanel, long bPanel, int kc) {
      TWIN_16.multiply(c, rowBytes, aPanel, bPanel, 2 * pairs(kc));
    }
  }

  @Test
  void everyBitPatternIsPackedAsItIs() {
    int lines = 37;
    int k = 75;
    int kc = 61;
    int width = 12;
    int pairs = 36;
    try (Arena arena = Arena.ofConfined()) {
      for (boolean alongK : new boolean[] {false, true}) {
        int stride = (alongK ? k : lines) + 3;
        MemorySegment data = arena.allocate(2L * stride * (alongK ? lines : k));
        Random random = new Random(5);
        byte[] bytes = new byte[(int) data.byteSize()];
        random.nextBytes(bytes);
        data.copyFrom(MemorySegment.ofArray(bytes));
        MatmulOperand x = MatmulOperand.of("x", data, BF16, stride, alongK, lines, k);
        MemorySegment panel = arena.allocate(4L * width * pairs);
        for (int line : new int[] {0, 3, 24, 36}) {
          int count = Math.min(width, lines - line);
          panel.fill((byte) 0x55);
          MatmulPackPairs.panel(panel.address(), width, x, line, count, 9, kc, pairs);
          for (int i = 0; i < width; i++) {
            for (int p = 0; p < 2 * pairs; p++) {
              short expected =
                  i < count && p < kc
                      ? data.getAtIndex(
                          ValueLayout.JAVA_SHORT,
                          alongK ? (line + i) * stride + 9 + p : (9 + p) * stride + line + i)
                      : 0;
              assertThat(panel.getAtIndex(ValueLayout.JAVA_SHORT, 2L * (p / 2 * width + i) + p % 2))
                  .isEqualTo(expected);
            }
          }
        }
      }
    }
  }

  /** By hand, what the instruction's description says. */
  @Test
  void aPairAddsItsOddProductFirstAndFlushesWhatIsTooSmall() {
    float large = 0x1p30f;
    // (0 + 1·2^30) + 2^-8·1 loses the small one; in the other order 2^-8 + 2^30 loses it too, but
    // (2^30 - 2^30) + 2^-8 keeps it only if the two large ones come first.
    assertThat(one(new float[] {0x1p-8f, large, 0, -large})).isEqualTo(0f);
    assertThat(one(new float[] {0, large, 0x1p-8f, -large})).isEqualTo(0x1p-8f);
    assertThat(one(new float[] {-large, large, 0x1p-8f, 0})).isEqualTo(0x1p-8f);
    assertThat(one(new float[] {0x1p-127f})).isEqualTo(0f);
    assertThat(one(new float[] {0x1p-126f})).isEqualTo(0x1p-126f);
    assertThat(one(new float[] {-0x1.8p-126f, 0x1p-126f})).isZero();
    assertThat(one(new float[] {Float.POSITIVE_INFINITY, Float.NEGATIVE_INFINITY})).isNaN();
  }

  /** The sum of {@code a[k] · 1} over k. */
  private static float one(float[] a) {
    try (Arena arena = Arena.ofConfined()) {
      int pairs = Math.ceilDiv(a.length, 2);
      MemorySegment aPanel = arena.allocate(4L * pairs);
      MemorySegment bPanel = arena.allocate(4L * pairs);
      for (int k = 0; k < a.length; k++) {
        aPanel.setAtIndex(ValueLayout.JAVA_SHORT, k, Half.floatToBf16(a[k]));
        bPanel.setAtIndex(ValueLayout.JAVA_SHORT, k, Half.floatToBf16(1));
      }
      MemorySegment c = arena.allocate(4);
      new MatmulTileTwin(1, 1)
          .multiply(c.address(), 4, aPanel.address(), bPanel.address(), a.length);
      return c.get(ValueLayout.JAVA_FLOAT, 0);
    }
  }

  static Stream<MatmulTile> fp32Tiles() {
    return MatmulCpuTest.tiles().stream();
  }

  /** The two ways to the same product, as two machines go them. */
  @ParameterizedTest
  @MethodSource("fp32Tiles")
  void agreesWithTheTilesOfFp32(MatmulTile other) {
    Matrix a = new Matrix(BF16, 100, 333, 333).gaussian(new Random(1));
    Matrix b = new Matrix(BF16, 333, 90, 90).gaussian(new Random(2));
    Matrix c = new Matrix(F32, 100, 90, 90);
    Matrix d = new Matrix(F32, 100, 90, 90);
    run(cpu, tiles().getLast(), c, a, false, b, false, 333, false, MatmulEpilogue.NONE);
    run(cpu, other, d, a, false, b, false, 333, false, MatmulEpilogue.NONE);
    for (int i = 0; i < 100 * 90; i++) {
      assertThat(Math.abs(c.get(i) - d.get(i))).isLessThan(4 * 0x1p-24f * 333);
    }
  }
}
