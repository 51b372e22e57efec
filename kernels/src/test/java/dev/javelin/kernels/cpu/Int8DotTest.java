package dev.javelin.kernels.cpu;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static org.assertj.core.api.Assertions.assertThat;

import dev.javelin.device.Cpu;
import dev.javelin.device.DType;
import dev.javelin.kernels.Activation;
import dev.javelin.kernels.Quantization;
import dev.javelin.kernels.Quantizer;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.assertj.core.data.Offset;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

/** Against plain loops over the documented codes, in whole numbers and in double. */
class Int8DotTest {
  private static final int BLOCK = 64;

  @ParameterizedTest
  @CsvSource({
    "INT8, 1, 1, 1",
    "INT8, 1, 7, 63",
    "INT8, 2, 33, 64",
    "INT8, 3, 130, 127",
    "INT8, 5, 31, 1000",
    "INT8, 8, 129, 2048",
    "INT8, 9, 17, 172",
    "INT8, 300, 35, 70",
    "INT8, 1, 3, 40000",
    "NF4, 1, 1, 64",
    "NF4, 2, 33, 128",
    "NF4, 6, 129, 192",
    "NF4, 7, 31, 2048",
    "NF4, 270, 35, 64"
  })
  void hasTheDocumentedBitsForAnyNumberOfThreads(Quantization format, int m, int n, int k) {
    Random random = new Random(k);
    try (Arena arena = Arena.ofShared()) {
      Case c = new Case(arena, random, format, m, n, k, DType.F32);
      float[] want = c.documented();
      for (int threads : new int[] {1, 2, 3}) {
        try (Cpu cpu = Cpu.open(threads)) {
          c.check(want, c.machine(cpu), "machine code, " + threads + " threads");
          c.check(want, c.java(cpu), "Java, " + threads + " threads");
        }
      }
    }
  }

  @ParameterizedTest
  @EnumSource
  void machineCodeHasTheBitsOfTheLoopsInJava(Quantization format) {
    Random random = new Random(format.label().length());
    try (Cpu cpu = Cpu.open(2)) {
      for (int i = 0; i < 60; i++) {
        int m = 1 + random.nextInt(i % 10 == 0 ? 600 : 40);
        int n = 1 + random.nextInt(i % 7 == 0 ? 700 : 60);
        int k = 1 + random.nextInt(i % 5 == 0 ? 2000 : 300);
        k = format == Quantization.NF4 ? (k + 63) / 64 * 64 : k;
        DType type = List.of(DType.F32, DType.BF16, DType.F16).get(i % 3);
        try (Arena arena = Arena.ofShared()) {
          Case c = new Case(arena, random, format, m, n, k, type);
          c.check(c.java(cpu), c.machine(cpu), "machine code");
        }
      }
    }
  }

  /** What decoding with others, or reading a prompt in other parts, must not change. */
  @ParameterizedTest
  @EnumSource
  void aRowHasItsBitsBesideAnyOthers(Quantization format) {
    Random random = new Random(3);
    int n = 37;
    int k = 192;
    int m = 530;
    try (Arena arena = Arena.ofShared();
        Cpu cpu = Cpu.open(2)) {
      Case all = new Case(arena, random, format, m, n, k, DType.F32);
      float[] together = all.machine(cpu);
      for (int count : new int[] {1, 2, 3, 4, 5, 6, 7, 8, 9, 31, 33, 100, 257}) {
        for (int first : new int[] {0, 1, 200, m - count}) {
          float[] part = all.rows(first, count).machine(cpu);
          assertThat(part).isEqualTo(Arrays.copyOfRange(together, first * n, (first + count) * n));
        }
      }
    }
  }

  /**
   * Half a step of each code of x is what may be lost: |y − x · w| ≤ Σ |w| · scale / 2, beside the
   * rounding of sums; of NF4 also half a 127th of each block's largest for a level.
   */
  @ParameterizedTest
  @EnumSource
  void isAsNearToTheProductInDoubleAsItsStepsAllow(Quantization format) {
    Random random = new Random(11);
    double all = 0;
    double squares = 0;
    try (Cpu cpu = Cpu.open(2)) {
      for (int k : new int[] {64, 192, 704, 3072}) {
        try (Arena arena = Arena.ofShared()) {
          int m = 5;
          int n = 40;
          Case c = new Case(arena, random, format, m, n, k, DType.F32);
          float[] got = c.machine(cpu);
          for (int i = 0; i < m; i++) {
            for (int j = 0; j < n; j++) {
              double exact = 0;
              double bound = 0;
              for (int p = 0; p < k; p++) {
                double largest = c.largest(i, p / BLOCK);
                exact += (double) c.x[i * k + p] * c.wide[j * k + p];
                bound += Math.abs(c.wide[j * k + p]) * (largest / 127) * (0.5 + 1e-4);
                if (format == Quantization.NF4) {
                  bound += Math.abs(c.x[i * k + p] * c.factor(j, p)) * 1.01 / 254;
                  bound += largest / 254 * Math.abs(c.factor(j, p)) / 254;
                }
              }
              double error = Math.abs(got[i * n + j] - exact);
              assertThat(error).as("k %d, [%d, %d]", k, i, j).isLessThanOrEqualTo(bound + 1e-5);
              all += error * error;
              squares += exact * exact;
            }
          }
        }
      }
    }
    // Gaussian x: a step of 2.5 / 127 deviations, and its uniform error
    assertThat(Math.sqrt(all / squares)).isBetween(0.002, 0.01);
  }

  /** Bytes that no quantiser makes are multiplied all the same: −128, and the largest sums. */
  @Test
  void nothingSaturates() {
    int k = 256;
    try (Arena arena = Arena.ofShared();
        Cpu cpu = Cpu.open(1)) {
      Case c = new Case(arena, new Random(1), Quantization.INT8, 2, 3, k, DType.F32);
      for (int p = 0; p < k; p++) {
        c.w.bytes().set(JAVA_BYTE, p, (byte) -128);
        c.w.bytes().set(JAVA_BYTE, k + p, (byte) 127);
        c.w.bytes().set(JAVA_BYTE, 2L * k + p, (byte) -127);
        c.set(0, p, 1);
        c.set(1, p, -1);
      }
      for (float[] got : List.of(c.machine(cpu), c.java(cpu))) {
        for (int j = 0; j < 3; j++) {
          float code = new int[] {-128, 127, -127}[j];
          float scale = c.scale(j);
          assertThat(got[j]).isCloseTo(code * k * scale, offset(code * k * scale));
          assertThat(got[3 + j]).isEqualTo(-got[j]);
        }
      }
    }
  }

  private static Offset<Float> offset(float of) {
    return Offset.offset(Math.abs(of) * 1e-6f);
  }

  @Test
  void blocksOfZerosOfTinyNumbersAndOfNoNumbers() {
    int k = 192;
    int n = 20;
    try (Arena arena = Arena.ofShared();
        Cpu cpu = Cpu.open(1)) {
      Case c = new Case(arena, new Random(1), Quantization.INT8, 5, n, k, DType.F32);
      for (int p = 64; p < 128; p++) {
        c.set(0, p, 0);
        c.set(1, p, p % 2 == 0 ? 0x1p-120f : -Float.MIN_VALUE);
        c.set(2, p, p == 70 ? Float.NaN : 1);
        c.set(3, p, p == 71 ? Float.NEGATIVE_INFINITY : 1);
        c.set(4, p, p == 72 ? Float.MAX_VALUE : 1e38f);
      }
      float[] want = c.documented();
      c.check(want, c.machine(cpu), "machine code");
      c.check(want, c.java(cpu), "Java");
      for (int j = 0; j < n; j++) {
        assertThat(want[j]).isFinite();
        assertThat(want[n + j]).isFinite();
        assertThat(want[2 * n + j]).isNaN();
        assertThat(want[3 * n + j]).isNaN();
      }
    }
  }

  @Test
  void biasAndActivationAreThoseOfOtherProducts() {
    int m = 3;
    int n = 48;
    int k = 128;
    try (Arena arena = Arena.ofShared();
        Cpu cpu = Cpu.open(2)) {
      Case c = new Case(arena, new Random(1), Quantization.INT8, m, n, k, DType.BF16);
      MemorySegment b = gaussian(arena, new Random(2), DType.BF16, n);
      MemorySegment y = arena.allocate(2L * m * n, 64);
      MemorySegment z = arena.allocate(2L * m * n, 64);
      Rows bias = new Rows(b, DType.BF16, 1, n, n, false);
      Rows out = new Rows(y, DType.BF16, m, n, n, false);
      Rows kept = new Rows(z, DType.BF16, m, n, n, false);
      LinearCpu.forwardInt8(cpu, out, kept, c.in(), c.w, bias, Activation.SILU);
      float[] sums = c.documented();
      float[] bs = floats(b, DType.BF16);
      float[] zs = floats(z, DType.BF16);
      float[] ys = floats(y, DType.BF16);
      for (int i = 0; i < m * n; i++) {
        float sum = sums[i] + bs[i % n];
        assertThat(zs[i]).isEqualTo(Half.bf16ToFloat(Half.floatToBf16(sum)));
        double silu = sum / (1 + Math.exp(-sum));
        assertThat((double) ys[i]).isCloseTo(silu, Offset.offset(0x1p-8 * Math.abs(silu) + 1e-6));
      }
    }
  }

  /** Where blocks of weights span rows, activations stay as they are. */
  @Test
  void rowsOfNf4ThatAreNoWholeBlocksKeepTheirActivations() {
    try (Arena arena = Arena.ofShared();
        Cpu cpu = Cpu.open(1)) {
      Case c = new Case(arena, new Random(1), Quantization.NF4, 3, 20, 172, DType.F32);
      MemorySegment y = arena.allocate(4L * 3 * 20, 64);
      MemorySegment plain = arena.allocate(4L * 3 * 20, 64);
      LinearCpu.forwardInt8(cpu, c.out(y), null, c.in(), c.w, null, null);
      LinearCpu.forward(cpu, c.out(plain), null, c.in(), c.w, null, null);
      assertThat(y.mismatch(plain)).isEqualTo(-1);
    }
  }

  /** One product: x [m, k] in rows that lie apart, w [n, k]. */
  private static final class Case {
    final float[] x;
    final float[] wide;
    final QuantizedView w;
    private final Arena arena;
    private final Quantization format;
    private final int m;
    private final int n;
    private final int k;
    private final DType type;
    private final MemorySegment memory;
    private final int first;

    Case(Arena arena, Random random, Quantization format, int m, int n, int k, DType type) {
      this.arena = arena;
      this.format = format;
      this.m = m;
      this.n = n;
      this.k = k;
      this.type = type;
      this.first = 0;
      this.memory = gaussian(arena, random, type, m * (k + 3));
      this.x = new float[m * k];
      float[] all = floats(memory, type);
      for (int i = 0; i < m; i++) {
        System.arraycopy(all, i * (k + 3), x, i * k, k);
      }
      MemorySegment bytes = arena.allocate(format.bytes(n, k), 64);
      Quantizer quantizer = new Quantizer(format, n, k, bytes);
      for (int j = 0; j < n; j++) {
        float[] row = new float[k];
        for (int p = 0; p < k; p++) {
          row[p] = (float) random.nextGaussian() / 8;
        }
        quantizer.put(j, row);
      }
      this.w = new QuantizedView(bytes, format, n, k);
      this.wide = new float[n * k];
      w.read(wide);
    }

    private Case(Case of, int first, int count) {
      this.arena = of.arena;
      this.format = of.format;
      this.m = count;
      this.n = of.n;
      this.k = of.k;
      this.type = of.type;
      this.memory = of.memory;
      this.first = first;
      this.x = Arrays.copyOfRange(of.x, first * k, (first + count) * k);
      this.wide = of.wide;
      this.w = of.w;
    }

    Case rows(int from, int count) {
      return new Case(this, from, count);
    }

    void set(int row, int p, float value) {
      x[row * k + p] = value;
      memory.setAtIndex(JAVA_FLOAT, (long) row * (k + 3) + p, value);
    }

    Rows in() {
      long at = type.bytes((long) first * (k + 3));
      return new Rows(memory.asSlice(at), type, m, k, k + 3, false);
    }

    Rows out(MemorySegment y) {
      return new Rows(y, DType.F32, m, n, n, false);
    }

    float[] machine(Cpu cpu) {
      MemorySegment y = arena.allocate(4L * m * n, 64).fill((byte) 0xff);
      new Int8Dot(cpu, out(y), in(), w, MatmulEpilogue.NONE).run();
      return y.toArray(JAVA_FLOAT);
    }

    float[] java(Cpu cpu) {
      MemorySegment y = arena.allocate(4L * m * n, 64).fill((byte) 0xff);
      new Int8Dot(cpu, out(y), in(), w, MatmulEpilogue.NONE).run(null);
      return y.toArray(JAVA_FLOAT);
    }

    void check(float[] want, float[] got, String what) {
      for (int i = 0; i < want.length; i++) {
        if (Float.floatToIntBits(want[i]) != Float.floatToIntBits(got[i])) {
          throw new AssertionError(
              "%s, %s [%d, %d] x [%d, %d]: y[%d, %d] is %a, should be %a"
                  .formatted(what, format, m, k, n, k, i / n, i % n, got[i], want[i]));
        }
      }
    }

    float scale(int row) {
      return w.bytes().get(JAVA_FLOAT, format.scalesAt(n, k) + 4L * row);
    }

    float largest(int row, int block) {
      float most = 0;
      for (int p = block * BLOCK; p < Math.min(k, (block + 1) * BLOCK); p++) {
        most = Math.max(most, Math.abs(x[row * k + p])); // NaN if there is one
      }
      return most;
    }

    /** The largest of the block of NF4 that a weight is in. */
    float factor(int row, int p) {
      return Quantization.largest(w.bytes(), n, k, ((long) row * k + p) / BLOCK);
    }

    private int codeOfX(int row, int p) {
      float most = largest(row, p / BLOCK);
      return !Float.isFinite(most) || most < 0x1p-119f
          ? 0
          : (int) Math.rint(x[row * k + p] * (127 / most));
    }

    private int codeOfW(int row, int p) {
      long i = (long) row * k + p;
      if (format == Quantization.INT8) {
        return w.bytes().get(JAVA_BYTE, i);
      }
      int two = w.bytes().get(JAVA_BYTE, i / 2) & 0xff;
      return (int) Math.rint(127.0 * Quantization.level(i % 2 == 0 ? two >> 4 : two & 15));
    }

    /** What the class says, number by number. */
    float[] documented() {
      List<Integer> places = new ArrayList<>(); // of a block, in the order in which lanes take them
      for (int p = 0; p < BLOCK; p++) {
        places.add(format == Quantization.NF4 ? p % 32 * 2 + p / 32 : p);
      }
      float[] y = new float[m * n];
      for (int i = 0; i < m; i++) {
        for (int j = 0; j < n; j++) {
          float[] s = new float[16];
          for (int block = 0; block * BLOCK < k; block++) {
            float most = largest(i, block);
            float scale = !Float.isFinite(most) ? Float.NaN : most < 0x1p-119f ? 0 : most / 127;
            for (int l = 0; l < 16; l++) {
              int t = 0;
              for (int q = 0; q < 4; q++) {
                int p = block * BLOCK + places.get(4 * l + q);
                t += p < k ? codeOfX(i, p) * codeOfW(j, p) : 0;
              }
              float w = format == Quantization.NF4 ? t * factor(j, block * BLOCK) : t;
              s[l] = Math.fma(w, scale, s[l]);
            }
          }
          for (int width = 8; width > 0; width /= 2) {
            for (int l = 0; l < width; l++) {
              s[l] += s[l + width];
            }
          }
          y[i * n + j] = s[0] * (format == Quantization.NF4 ? 1 / 127f : scale(j));
        }
      }
      return y;
    }
  }

  private static float[] floats(MemorySegment m, DType type) {
    float[] f = new float[(int) (m.byteSize() / type.bytes(1))];
    Half.widen(MemorySegment.ofArray(f), 0, m, 0, type, f.length);
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
