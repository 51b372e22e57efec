package dev.javelin.kernels.cpu;

import static dev.javelin.device.DType.BF16;
import static dev.javelin.device.DType.F16;
import static dev.javelin.device.DType.F32;
import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_SHORT;
import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.javelin.device.Cpu;
import dev.javelin.device.DType;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * The machine code of the bf16 tiles on machines that cannot run it: {@link X86Machine} interprets
 * its bytes, and the results must be those of plain loops, to the bit.
 */
class MatmulMachineCodeTest extends MatmulTesting {
  private static final MatmulPairTile AVX512 = InterpretedTiles.avx512Bf16();
  private static final MatmulPairTile AMX = InterpretedTiles.amxBf16();

  static List<MatmulPairTile> tiles() {
    return List.of(AVX512, AMX);
  }

  /** What a tile makes of panels of lines along k; {@code a[i][k]}, {@code b[j][k]}. */
  private interface Formula {
    float element(short[] a, short[] b);
  }

  /** {@code vdpbf16ps}: one chain, the odd element of a pair first. */
  private static float pairByPair(short[] a, short[] b) {
    float sum = 0;
    for (int k = 0; k < a.length; k += 2) {
      if (k + 1 < a.length) {
        sum = FlushedFloat.fma(value(a[k + 1]), value(b[k + 1]), sum);
      }
      sum = FlushedFloat.fma(value(a[k]), value(b[k]), sum);
    }
    return sum;
  }

  /** {@code tdpbf16ps}: 32 of k at once, even and odd ones apart. */
  private static float stepByStep(short[] a, short[] b) {
    float sum = 0;
    for (int step = 0; step < a.length; step += 32) {
      float[] parts = new float[2];
      for (int k = step; k < Math.min(a.length, step + 32); k++) {
        parts[k % 2] = FlushedFloat.fma(value(a[k]), value(b[k]), parts[k % 2]);
      }
      sum = FlushedFloat.add(sum, FlushedFloat.add(parts[0], parts[1]));
    }
    return sum;
  }

  private static float value(short bf16) {
    return Float.intBitsToFloat(bf16 << 16);
  }

  private static final Formula FORMULA_OF_PAIRS = MatmulMachineCodeTest::pairByPair;
  private static final Formula FORMULA_OF_STEPS = MatmulMachineCodeTest::stepByStep;

  @Test
  void avx512Bf16HasTheBitsOfItsFormulaAndOfItsTwin() {
    MatmulPairTile twin = new MatmulTileTwin(MatmulTileBf16.ROWS, MatmulTileBf16.COLS);
    for (int k : new int[] {1, 2, 7, 32, 63}) {
      for (int scale : new int[] {0, -70, 60}) {
        checkBits(AVX512, k, scale, FORMULA_OF_PAIRS);
        checkBits(twin, k, scale, FORMULA_OF_PAIRS);
      }
    }
  }

  @Test
  void amxBf16HasTheBitsOfItsFormula() {
    for (int k : new int[] {1, 31, 32, 33, 97}) {
      for (int scale : new int[] {0, -70, 60}) {
        checkBits(AMX, k, scale, FORMULA_OF_STEPS);
      }
    }
  }

  @Test
  void aProcessorThatHasTheUnitGivesTheSameBits() {
    boolean avx512 = Processor.THIS.avx512Bf16();
    assumeTrue(avx512 || Processor.THIS.amxBf16(), "this processor has no bf16 unit");
    for (int k : new int[] {1, 33, 97}) {
      for (int scale : new int[] {0, -70, 60}) {
        if (avx512) {
          checkBits(MatmulTileBf16.load().orElseThrow(), k, scale, FORMULA_OF_PAIRS);
        }
        // Linux may refuse the tiles
        MatmulTileAmx.load().ifPresent(amx -> checkBits(amx, k, scale, FORMULA_OF_STEPS));
      }
    }
  }

  /**
   * One tile over random numbers of very different sizes, some of them subnormal, infinite or NaN.
   *
   * @param scale a power of two: at −70 most products are too small, at 60 some are infinite
   */
  private static void checkBits(MatmulPairTile tile, int k, int scale, Formula formula) {
    Random random = new Random(k * 1000L + scale);
    try (Arena arena = Arena.ofConfined()) {
      short[][] a = lines(random, tile.rows, k, scale);
      short[][] b = lines(random, tile.cols, k, scale);
      MemorySegment aPanel = arena.allocate(tile.panelBytes(tile.rows, k), 64);
      MemorySegment bPanel = arena.allocate(tile.panelBytes(tile.cols, k), 64);
      int stride = tile.cols + random.nextInt(40);
      MemorySegment c = arena.allocate(4L * stride * tile.rows, 4);
      MemorySegment spare = arena.allocate(MatmulPackSteps.BYTES);
      c.fill((byte) 0x77);
      MatmulOperand aOperand = across(arena, a, k);
      MatmulOperand bOperand = across(arena, b, k);
      tile.packA(aPanel.address(), aOperand, 0, tile.rows, 0, k, spare.address());
      tile.packB(bPanel.address(), bOperand, 0, tile.cols, 0, k, spare.address());
      tile.multiply(c.address(), 4L * stride, aPanel.address(), bPanel.address(), k);
      for (int i = 0; i < tile.rows; i++) {
        for (int j = 0; j < stride; j++) {
          float got = c.getAtIndex(JAVA_FLOAT, (long) i * stride + j);
          int bits = c.getAtIndex(JAVA_INT, (long) i * stride + j);
          float want = j < tile.cols ? formula.element(a[i], b[j]) : 0;
          boolean right =
              j >= tile.cols
                  ? bits == 0x77777777
                  : Float.floatToIntBits(got) == Float.floatToIntBits(want);
          if (!right) {
            throw new AssertionError(
                "k = %d, scale 2^%d: C[%d, %d] is %a, should be %a"
                    .formatted(k, scale, i, j, got, want));
          }
        }
      }
    }
  }

  private static short[][] lines(Random random, int lines, int k, int scale) {
    short[][] x = new short[lines][k];
    for (int i = 0; i < lines; i++) {
      // most lines are finite: a NaN in each would hide everything else
      boolean special = random.nextInt(8) == 0;
      for (int p = 0; p < k; p++) {
        float v = Math.scalb((float) random.nextGaussian(), scale + random.nextInt(9) - 4);
        x[i][p] = Half.floatToBf16(v);
        if (special && random.nextInt(2 * k) == 0) {
          x[i][p] = (short) random.nextInt();
        }
      }
    }
    return x;
  }

  /** The lines as a matrix stored across k. */
  private static MatmulOperand across(Arena arena, short[][] x, int k) {
    MemorySegment s = arena.allocate(2L * x.length * k, 2);
    for (int i = 0; i < x.length; i++) {
      for (int p = 0; p < k; p++) {
        s.setAtIndex(JAVA_SHORT, (long) p * x.length + i, x[i][p]);
      }
    }
    return MatmulOperand.of("x", s, BF16, x.length, false, x.length, k);
  }

  @ParameterizedTest
  @MethodSource("tiles")
  void wholeProductsEqualTheDoubleLoopOverFuzzedShapes(MatmulPairTile tile) {
    Random random = new Random(14);
    DType[] results = {F32, BF16, F16};
    for (int i = 0; i < 25; i++) {
      boolean transA = random.nextBoolean();
      int m = transA ? 1 + random.nextInt(34) : 33 + random.nextInt(20);
      int n = 1 + random.nextInt(40);
      int k = 1 + random.nextInt(70);
      boolean transB = random.nextBoolean() && (transA || m > MatmulFewRows.MAX_ROWS);
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

  @ParameterizedTest
  @MethodSource("tiles")
  void severalPassesOverKAndASplitAreExact(MatmulPairTile tile) {
    checkWholeNumbers(tile, 33, 31, 1100, false, true, true, 1, F32, BF16, BF16);
    checkWholeNumbers(tile, 7, 31, 1100, true, false, true, 0, BF16, BF16, BF16);
  }

  @ParameterizedTest
  @MethodSource("tiles")
  void bitsAreTheSameForAnyNumberOfThreads(MatmulPairTile tile) {
    int m = 40;
    int n = 35;
    int k = 70;
    Matrix a = new Matrix(BF16, k, m, m).gaussian(new Random(1));
    Matrix b = new Matrix(BF16, k, n, n).gaussian(new Random(2));
    List<byte[]> results = new ArrayList<>();
    for (int threads : new int[] {1, 2, 3}) {
      try (Cpu other = Cpu.open(threads)) {
        Matrix c = new Matrix(F32, m, n, n).gaussian(new Random(3));
        run(other, tile, c, a, true, b, false, k, true, MatmulEpilogue.NONE);
        results.add(c.data.toArray(JAVA_BYTE));
      }
    }
    assertThat(results).allMatch(r -> Arrays.equals(r, results.getFirst()));
  }

  /** However wide it is, and whether the tile rounds or the loops around it do. */
  @ParameterizedTest
  @MethodSource("tiles")
  void aBf16ResultIsTheRoundedSum(MatmulPairTile tile) {
    int k = 34;
    for (int n : new int[] {1, 15, 16, 17, 32, 49}) {
      Matrix a = new Matrix(BF16, 38, k, k).gaussian(new Random(1));
      Matrix b = new Matrix(BF16, n, k, k).gaussian(new Random(2));
      Matrix sums = new Matrix(F32, 38, n, n);
      Matrix rounded = new Matrix(BF16, 38, n, n);
      run(cpu, tile, sums, a, false, b, true, k, false, MatmulEpilogue.NONE);
      run(cpu, tile, rounded, a, false, b, true, k, false, MatmulEpilogue.NONE);
      for (int i = 0; i < 38 * n; i++) {
        float sum = sums.data.getAtIndex(JAVA_FLOAT, i);
        assertThat(rounded.data.getAtIndex(JAVA_SHORT, i)).isEqualTo(Half.floatToBf16(sum));
      }
    }
  }

  @ParameterizedTest
  @MethodSource("tiles")
  void errorOfRandomNumbersStaysWithinRounding(MatmulPairTile tile) {
    int k = 200;
    Matrix a = new Matrix(BF16, 33, k, k).gaussian(new Random(1));
    Matrix b = new Matrix(BF16, 33, k, k).gaussian(new Random(2));
    Matrix c = new Matrix(F32, 33, 33, 33);
    run(cpu, tile, c, a, false, b, true, k, false, MatmulEpilogue.NONE);
    double[] expected = oracle(c, a, false, b, true, k);
    for (int i = 0; i < expected.length; i++) {
      // The products are exact, the sums of numbers of about sqrt(k) round.
      assertThat(Math.abs(c.get(i) - expected[i])).isLessThan(4 * 0x1p-24 * k);
    }
  }

  @Test
  void manyPanelsAreWovenAsJavaDoes() {
    MatmulPairTile twin = new MatmulTileTwin(MatmulTileBf16.ROWS, MatmulTileBf16.COLS);
    List<MatmulPairTile> tiles = new ArrayList<>(List.of(AVX512));
    if (Processor.THIS.avx512Bf16()) {
      MatmulTileBf16.load().ifPresent(tiles::add); // Linux may refuse the pages
    }
    int stride = 301;
    try (Arena arena = Arena.ofConfined()) {
      byte[] bytes = new byte[2 * stride * 20];
      new Random(6).nextBytes(bytes);
      MemorySegment data = arena.allocate(bytes.length).copyFrom(MemorySegment.ofArray(bytes));
      MatmulOperand x = MatmulOperand.of("x", data, BF16, stride, false, 300, 20);
      for (MatmulPairTile tile : tiles) {
        for (int width : new int[] {MatmulTileBf16.ROWS, MatmulTileBf16.COLS}) {
          for (int lines : new int[] {1, width, 3 * width + 5, 8 * width, 290}) {
            for (int kc : new int[] {1, 2, 7, 16}) {
              long size = Math.ceilDiv(lines, width) * twin.panelBytes(width, kc);
              MemorySegment got = arena.allocate(size + 64, 64).fill((byte) 0x55);
              MemorySegment want = arena.allocate(size + 64, 64).fill((byte) 0x55);
              tile.pack(got.address(), width, x, 3, lines, 2, kc);
              twin.pack(want.address(), width, x, 3, lines, 2, kc);
              assertThat(got.mismatch(want)).as("%d x %d, k %d", lines, width, kc).isEqualTo(-1);
            }
          }
        }
      }
    }
  }

  @Test
  void everyBitPatternIsPackedForAmxAsItIs() {
    int lines = 70;
    int k = 75;
    int step = MatmulTileAmx.STEP;
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment panel = arena.allocate(AMX.panelBytes(AMX.rows, k), 64);
      MemorySegment spare = arena.allocate(MatmulPackSteps.BYTES, 64);
      for (boolean alongK : new boolean[] {false, true}) {
        int stride = (alongK ? k : lines) + 3;
        byte[] bytes = new byte[2 * stride * (alongK ? lines : k)];
        new Random(5).nextBytes(bytes);
        MemorySegment data = arena.allocate(bytes.length).copyFrom(MemorySegment.ofArray(bytes));
        MatmulOperand x = MatmulOperand.of("x", data, BF16, stride, alongK, lines, k);
        for (int line : new int[] {0, 7, 64}) {
          for (int kc : new int[] {1, 31, 32, 40, 66}) {
            int count = Math.min(AMX.rows, lines - line);
            panel.fill((byte) 0x55);
            AMX.packA(panel.address(), x, line, count, 9, kc, spare.address());
            for (int p = 0; p < Math.ceilDiv(kc, step) * step; p++) {
              for (int i = 0; i < AMX.rows; i++) {
                int from = alongK ? (line + i) * stride + 9 + p : (9 + p) * stride + line + i;
                short want = i < count && p < kc ? data.getAtIndex(JAVA_SHORT, from) : 0;
                long at = (p / step * AMX.rows + i) * (long) step + p % step;
                if (panel.getAtIndex(JAVA_SHORT, at) != want) {
                  throw new AssertionError(
                      "alongK=%s line=%d kc=%d: [%d, %d]".formatted(alongK, line, kc, i, p));
                }
              }
            }
          }
        }
      }
    }
  }

  // What is asked of the processor and of Linux

  /** A Sapphire Rapids as far as the questions go: leaf 7 and XCR0 as its kernel sets it. */
  private static final X86Machine.Identity SAPPHIRE_RAPIDS =
      new X86Machine.Identity() {
        @Override
        public int[] cpuid(int leaf, int subleaf) {
          assertThat(leaf).isEqualTo(7);
          return subleaf == 0
              ? new int[] {2, 1 << 16, 0, 1 << 22 | 1 << 24 | 1 << 25}
              : new int[] {1 << 4 | 1 << 5, 0, 0, 0};
        }

        @Override
        public long xcr0() {
          return 0x602e7;
        }

        @Override
        public long syscall(long number, long a, long b, long c) {
          boolean tiles = number == 158 && a == 0x1023 && b == 18; // arch_prctl
          return tiles ? 0 : -38;
        }
      };

  @Test
  void theCodeThatAsksTheProcessorAndLinuxDoesSo() {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment s = arena.allocate(16, 16);
      int[][] answers = new int[2][];
      for (int subleaf = 0; subleaf < 2; subleaf++) {
        machine(Processor.cpuidCode(), s).run(s.address(), 7, subleaf);
        answers[subleaf] = s.toArray(JAVA_INT);
      }
      machine(Processor.xgetbvCode(), s).run(s.address());
      long xcr0 = s.getAtIndex(JAVA_INT, 0) & 0xffffffffL | (long) s.getAtIndex(JAVA_INT, 1) << 32;
      assertThat(Processor.of(answers[0], answers[1], xcr0))
          .isEqualTo(new Processor(true, true, false));
      assertThat(machine(MatmulTileAmx.requestCode(), s).run()).isZero();
    }
  }

  private static X86Machine machine(byte[] code, MemorySegment memory) {
    return new X86Machine(code).memory(memory).identity(SAPPHIRE_RAPIDS);
  }
}
