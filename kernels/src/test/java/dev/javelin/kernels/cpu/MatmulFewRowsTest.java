package dev.javelin.kernels.cpu;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static org.assertj.core.api.Assertions.assertThat;

import dev.javelin.device.Cpu;
import dev.javelin.device.DType;
import dev.javelin.kernels.Quantization;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Random;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Against the chains that the class documents, one float after the other: the same bits. */
class MatmulFewRowsTest {

  @ParameterizedTest
  @CsvSource({
    "1, 1, 1, F32, F32",
    "1, 7, 15, F32, F32",
    "2, 33, 16, F32, BF16",
    "3, 130, 127, BF16, F16",
    "4, 127, 1000, F16, F32",
    "1, 1000, 2048, F32, BF16",
    "4, 31, 40000, BF16, BF16",
    "7, 33, 130, F32, F16",
    "32, 31, 100, BF16, F32"
  })
  void hasTheDocumentedBitsForAnyNumberOfThreads(int m, int n, int k, DType aType, DType bType) {
    Random random = new Random(k);
    int lda = k + 3;
    int ldb = k + 1;
    int ldc = n + 2;
    try (Arena arena = Arena.ofShared()) {
      MemorySegment a = gaussian(arena, random, aType, m * lda);
      MemorySegment b = gaussian(arena, random, bType, n * ldb);
      float[] af = floats(a, aType);
      float[] bf = floats(b, bType);
      MemorySegment before = gaussian(arena, random, DType.F32, m * ldc);
      for (int threads : new int[] {1, 2, 3}) {
        MemorySegment c = arena.allocate(4L * m * ldc, 64).copyFrom(before);
        try (Cpu cpu = Cpu.open(threads)) {
          MatmulEpilogue twice =
              (sums, at, stride, row, rows, col, count) -> {
                for (int i = 0; i < rows; i++) {
                  for (int j = 0; j < count; j++) {
                    long x = at + i * stride + 4L * j;
                    sums.set(Ram.FLOAT, x, 2 * sums.get(Ram.FLOAT, x) + (row + i + col + j));
                  }
                }
              };
          MatmulCpu.run(
              cpu, c, DType.F32, ldc, a, aType, lda, false, b, bType, ldb, true, m, n, k, true,
              twice);
        }
        for (int i = 0; i < m; i++) {
          for (int j = 0; j < n; j++) {
            float old = before.getAtIndex(JAVA_FLOAT, i * ldc + j);
            float want = 2 * (old + dot(af, i * lda, bf, j * ldb, k)) + (i + j);
            assertThat(c.getAtIndex(JAVA_FLOAT, i * ldc + j)).as("%d, %d", i, j).isEqualTo(want);
          }
        }
        long gap = (long) m * ldc - 1; // not touched
        assertThat(c.getAtIndex(JAVA_FLOAT, gap)).isEqualTo(before.getAtIndex(JAVA_FLOAT, gap));
      }
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"BF16", "F16"})
  void aHalfResultIsRoundedOnceAndWhatStoodThereIsNotRead(DType type) {
    int n = 50;
    int k = 77;
    try (Arena arena = Arena.ofShared();
        Cpu cpu = Cpu.open(2)) {
      MemorySegment a = gaussian(arena, new Random(1), type, k);
      MemorySegment b = gaussian(arena, new Random(2), type, n * k);
      MemorySegment c = arena.allocate(type.bytes(n), 64).fill((byte) 0xff); // NaN
      MatmulCpu.run(cpu, c, type, n, a, type, k, false, b, type, k, true, 1, n, k, false);
      MemorySegment want = arena.allocate(type.bytes(n), 64);
      MemorySegment sums = arena.allocate(4L * n, 64);
      for (int j = 0; j < n; j++) {
        sums.setAtIndex(JAVA_FLOAT, j, dot(floats(a, type), 0, floats(b, type), j * k, k));
      }
      Half.narrow(want, 0, type, sums, 0, n);
      assertThat(c.mismatch(want)).isEqualTo(-1);
    }
  }

  @ParameterizedTest
  @EnumSource(Quantization.class)
  void quantisedWeightsHaveTheBitsOfWidenedOnes(Quantization format) {
    Random random = new Random(8);
    for (int k : new int[] {1, 15, 16, 63, 64, 70, 192, 704}) {
      for (int m : new int[] {1, 2, 3, 5, 6, 7, 8, 9, 17, 32}) {
        int n = 1 + random.nextInt(200);
        try (Arena arena = Arena.ofShared();
            Cpu cpu = Cpu.open(2)) {
          byte[] bytes = new byte[(int) format.bytes(n, k)];
          random.nextBytes(bytes);
          MemorySegment packed = arena.allocate(bytes.length, 64);
          packed.copyFrom(MemorySegment.ofArray(bytes));
          for (long at = format.scalesAt(n, k); at + 4 <= bytes.length; at += 4) {
            packed.set(JAVA_FLOAT, at, (float) random.nextGaussian());
          }
          QuantizedView w = new QuantizedView(packed, format, n, k);
          float[] wide = new float[n * k];
          w.read(wide);
          MemorySegment a = gaussian(arena, random, DType.F32, m * k);
          float[] af = floats(a, DType.F32);
          MemorySegment c = arena.allocate(4L * m * n, 64);
          MatmulCpu.run(
              cpu, c, DType.F32, n, a, DType.F32, k, w, true, m, false, MatmulEpilogue.NONE);
          for (int i = 0; i < m * n; i++) {
            float want = dot(af, i / n * k, wide, i % n * k, k);
            float got = c.getAtIndex(JAVA_FLOAT, i);
            if (Float.floatToIntBits(got) != Float.floatToIntBits(want)) {
              throw new AssertionError(
                  "[%d, %d] x [%d, %d]: C[%d, %d] is %a, should be %a"
                      .formatted(m, k, n, k, i / n, i % n, got, want));
            }
          }
        }
      }
    }
  }

  /** Over fuzzed shapes, where there is machine code. */
  @ParameterizedTest
  @EnumSource(
      value = DType.class,
      names = {"F32", "BF16", "F16"})
  void machineCodeHasTheBitsOfTheLoopsInJava(DType type) {
    Random random = new Random(15);
    try (Arena arena = Arena.ofShared();
        Cpu cpu = Cpu.open(2)) {
      for (int i = 0; i < 120; i++) {
        int m = 1 + random.nextInt(MatmulFewRows.MAX_ROWS);
        int n = 1 + random.nextInt(300);
        int k = 16 + random.nextInt(i % 10 == 0 ? 3000 : 200);
        int ldb = k + random.nextInt(3) * random.nextInt(40);
        MatmulOperand a =
            MatmulOperand.of(
                "A", gaussian(arena, random, DType.F32, m * k), DType.F32, k, true, m, k);
        MatmulOperand b =
            MatmulOperand.of("B", gaussian(arena, random, type, n * ldb), type, ldb, true, n, k);
        MemorySegment c = arena.allocate(4L * m * n, 64);
        MemorySegment want = arena.allocate(4L * m * n, 64);
        product(cpu, c, a, b, m, n, k).run();
        product(cpu, want, a, b, m, n, k).run(null);
        assertThat(c.mismatch(want)).as("[%d, %d] x [%d, %d]", m, k, n, k).isEqualTo(-1);
      }
    }
  }

  private static MatmulFewRows product(
      Cpu cpu, MemorySegment c, MatmulOperand a, MatmulOperand b, int m, int n, int k) {
    return new MatmulFewRows(cpu, c, DType.F32, n, a, b, m, n, k, false, MatmulEpilogue.NONE);
  }

  private static float dot(float[] a, int aAt, float[] b, int bAt, int k) {
    float[] chains = new float[16];
    int whole = k / 16 * 16;
    for (int i = 0; i < whole; i++) {
      chains[i % 16] = Math.fma(a[aAt + i], b[bAt + i], chains[i % 16]);
    }
    for (int width = 8; width > 0; width /= 2) {
      for (int l = 0; l < width; l++) {
        chains[l] += chains[l + width];
      }
    }
    float sum = chains[0];
    for (int i = whole; i < k; i++) {
      sum = Math.fma(a[aAt + i], b[bAt + i], sum);
    }
    return sum;
  }

  private static float[] floats(MemorySegment m, DType type) {
    int n = (int) (m.byteSize() / type.bytes(1));
    float[] f = new float[n];
    Half.widen(MemorySegment.ofArray(f), 0, m, 0, type, n);
    return f;
  }

  private static MemorySegment gaussian(Arena arena, Random random, DType type, int n) {
    MemorySegment f = arena.allocate(4L * n, 64);
    for (int i = 0; i < n; i++) {
      f.setAtIndex(JAVA_FLOAT, i, (float) random.nextGaussian());
    }
    MemorySegment m = arena.allocate(type.bytes(n), 64);
    Half.narrow(m, 0, type, f, 0, n);
    return m;
  }
}
