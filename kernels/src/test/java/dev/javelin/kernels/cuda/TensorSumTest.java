package dev.javelin.kernels.cuda;

import static org.assertj.core.api.Assertions.assertThat;

import dev.javelin.device.DType;
import dev.javelin.device.DeviceMemory;
import dev.javelin.device.TestMachine;
import java.io.IOException;
import java.io.InputStream;
import java.math.BigDecimal;
import java.math.RoundingMode;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The emulated device's tensor cores add as those of real cards do, to the bit. */
class TensorSumTest {
  private static final int ROWS = 16;
  private static final int COLUMNS = 8;

  /** One sum that a card made. */
  private record Measured(String card, DType type, float[] a, float[] b, float c, float d) {
    static Measured parse(String line) {
      String[] words = line.split(" ");
      int n = (words.length - 4) / 2;
      float[] numbers = new float[words.length - 2];
      for (int i = 0; i < numbers.length; i++) {
        numbers[i] = Float.intBitsToFloat(Integer.parseUnsignedInt(words[i + 2], 16));
      }
      float[] a = new float[16]; // the rest of the instruction's products are zero
      float[] b = new float[16];
      System.arraycopy(numbers, 0, a, 0, n);
      System.arraycopy(numbers, n, b, 0, n);
      DType type = words[1].equals("bf16") ? DType.BF16 : DType.F16;
      return new Measured(words[0], type, a, b, numbers[2 * n], numbers[2 * n + 1]);
    }
  }

  private static List<Measured> measured() throws IOException {
    try (InputStream in = TensorSumTest.class.getResourceAsStream("tensor-core-sums.txt")) {
      return new String(in.readAllBytes(), StandardCharsets.UTF_8)
          .lines()
          .filter(line -> !line.startsWith("#"))
          .map(Measured::parse)
          .toList();
    }
  }

  @AfterEach
  void restore() {
    TestMachine.restore();
  }

  private static Gpu truncating(int capability) {
    Assumptions.assumeTrue(Gpu.hasEmulator(), "for the emulated device");
    return Gpu.open(new TestMachine("forward", capability, false, "high"));
  }

  @Test
  void addsAsMeasuredOnCards() throws IOException {
    for (Measured m : measured()) {
      float[] c = new float[ROWS * COLUMNS];
      c[0] = m.c;
      try (Gpu gpu = truncating(m.card.equals("H100") ? 90 : 80)) {
        float[] d =
            multiply(gpu, m.type, halves(m.type, m.a, ROWS), halves(m.type, m.b, COLUMNS), c);
        assertThat(d[0]).as(m.toString()).isEqualTo(m.d);
      }
    }
  }

  /** The first of so many rows; the others are zero. */
  private static short[] halves(DType type, float[] first, int rows) {
    short[] all = new short[rows * 16];
    for (int i = 0; i < first.length; i++) {
      all[i] = Halves.bits(type, first[i]);
    }
    return all;
  }

  @ParameterizedTest
  @ValueSource(ints = {80, 90})
  void agreesWithExactArithmeticThatIsCut(int capability) {
    int group = capability == 90 ? 16 : 8;
    int spare = capability == 90 ? 2 : 1;
    Random random = new Random(5);
    try (Gpu gpu = truncating(capability)) {
      for (DType type : new DType[] {DType.BF16, DType.F16}) {
        for (int round = 0; round < 8; round++) {
          short[] a = wide(type, ROWS * 16, random);
          short[] b = wide(type, COLUMNS * 16, random);
          float[] c = new float[ROWS * COLUMNS];
          for (int i = 0; i < c.length; i++) {
            c[i] = (float) (random.nextGaussian() * Math.scalb(1.0, random.nextInt(-12, 8)));
          }
          float[] d = multiply(gpu, type, a, b, c);
          for (int i = 0; i < ROWS; i++) {
            for (int j = 0; j < COLUMNS; j++) {
              float want = c[i * COLUMNS + j];
              for (int k = 0; k < 16; k += group) {
                want = sum(type, want, a, i * 16 + k, b, j * 16 + k, group, spare);
              }
              assertThat(d[i * COLUMNS + j]).isEqualTo(want);
            }
          }
        }
      }
    }
  }

  /** Of many sizes, zeros among them. */
  private static short[] wide(DType type, int n, Random random) {
    short[] values = new short[n];
    for (int i = 0; i < n; i++) {
      float x = (float) (random.nextGaussian() * Math.scalb(1.0, random.nextInt(-10, 4)));
      values[i] = random.nextInt(16) == 0 ? 0 : Halves.bits(type, x);
    }
    return values;
  }

  /** In decimal fractions: every term is cut to the same last place, then their sum to 24 bits. */
  private static float sum(
      DType type, float c, short[] a, int atA, short[] b, int atB, int n, int spare) {
    BigDecimal[] terms = new BigDecimal[n + 1];
    int largest = -133;
    for (int k = 0; k <= n; k++) {
      float x = k == n ? c : Halves.value(type, a[atA + k]);
      float y = k == n ? 1 : Halves.value(type, b[atB + k]);
      terms[k] = new BigDecimal(x).multiply(new BigDecimal(y));
      if (x != 0 && y != 0) {
        int smallest = k == n || type == DType.BF16 ? -126 : -14;
        int exponent =
            Math.max(Math.getExponent((double) x), smallest)
                + Math.max(Math.getExponent((double) y), smallest);
        largest = Math.max(largest, exponent);
      }
    }
    BigDecimal total = BigDecimal.ZERO;
    for (BigDecimal term : terms) {
      total = total.add(cut(term, largest - 23 - spare));
    }
    if (total.signum() == 0) {
      return 0;
    }
    int top = Math.getExponent(Math.abs(total.doubleValue()));
    return cut(total, Math.max(top - 23, -149)).floatValue();
  }

  /** Towards zero, to a multiple of 2 to the last. */
  private static BigDecimal cut(BigDecimal x, int last) {
    BigDecimal unit = new BigDecimal(2).pow(Math.abs(last));
    BigDecimal scaled = last < 0 ? x.multiply(unit) : x.divideToIntegralValue(unit);
    BigDecimal whole = scaled.setScale(0, RoundingMode.DOWN);
    return last < 0 ? whole.divide(unit) : whole.multiply(unit);
  }

  private static float[] multiply(Gpu gpu, DType type, short[] a, short[] b, float[] c) {
    DeviceMemory d = gpu.bytes(4L * c.length);
    gpu.kernel("check_mma_halves_" + type.suffix())
        .grid(1)
        .ptr(d)
        .ptr(gpu.of(a))
        .ptr(gpu.of(b))
        .ptr(gpu.of(c))
        .run();
    return gpu.floats(d, c.length);
  }
}
