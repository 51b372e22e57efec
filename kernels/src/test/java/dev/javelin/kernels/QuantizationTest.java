package dev.javelin.kernels;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.javelin.kernels.cpu.QuantizedView;
import java.lang.foreign.MemorySegment;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class QuantizationTest {
  /** The offset of QLoRA's outermost quantiles, half of 1/30 and 1/32 from the ends. */
  private static final double OUTERMOST = 0.5 * ((1 - 1 / 30.0) + (1 - 1 / 32.0));

  @Test
  void theLevelsAreQuantilesOfTheNormalDistribution() {
    double[] levels = new double[16];
    double most = quantile(OUTERMOST);
    for (int i = 0; i < 7; i++) { // eight places down to 1/2, less that one
      levels[i] = -quantile(OUTERMOST + i * (0.5 - OUTERMOST) / 7) / most;
    }
    for (int i = 0; i < 8; i++) {
      levels[15 - i] = quantile(OUTERMOST + i * (0.5 - OUTERMOST) / 8) / most;
    }
    for (int i = 0; i < 16; i++) {
      assertThat((double) Quantization.level(i))
          .as("level " + i)
          .isCloseTo(levels[i], within(2e-6));
    }
    assertThat(Quantization.level(7)).isZero();
  }

  /** Where the normal distribution has p below it, by bisection. */
  private static double quantile(double p) {
    double low = -10;
    double high = 10;
    while (high - low > 1e-12) {
      double middle = (low + high) / 2;
      if (below(middle) < p) {
        low = middle;
      } else {
        high = middle;
      }
    }
    return low;
  }

  /** 1/2 + φ(x)·(x + x³/3 + x⁵/15 + …). */
  private static double below(double x) {
    double term = x;
    double sum = x;
    for (int i = 3; i < 400; i += 2) {
      term *= x * x / i;
      sum += term;
    }
    return 0.5 + sum * Math.exp(-x * x / 2) / Math.sqrt(2 * Math.PI);
  }

  @Test
  void theBitsOfAWeightAreTheFormulas() {
    assertThat(8.0 * Quantization.INT8.bytes(4096, 1024) / (4096 * 1024))
        .isEqualTo(8 + 32 / 1024.0);
    assertThat(8.0 * Quantization.NF4.bytes(4096, 4096) / (4096 * 4096))
        .isCloseTo(4 + 8 / 64.0 + 32 / (64.0 * 256), within(1e-5));
  }

  @ParameterizedTest
  @CsvSource({"1,1", "2,7", "31,33", "3,1000", "127,64"})
  void int8IsWithinHalfAStepOfItsRow(int out, int in) {
    float[] w = weights(out, in);
    float[] got = through(Quantization.INT8, out, in, w);
    for (int r = 0; r < out; r++) {
      double most = 0;
      for (int i = 0; i < in; i++) {
        most = Math.max(most, Math.abs(w[r * in + i]));
      }
      double step = most / 127;
      for (int i = 0; i < in; i++) {
        double want = step == 0 ? 0 : step * Math.rint(w[r * in + i] / step);
        double error = Math.abs(got[r * in + i] - (double) w[r * in + i]);
        assertThat(error).isLessThanOrEqualTo(0.5001 * step);
        if (Math.abs(error - 0.5 * step) > 1e-4 * step) { // no tie
          assertThat((double) got[r * in + i]).isCloseTo(want, within(1e-6 * most));
        }
      }
    }
  }

  /** The definition, block by block in double. */
  @ParameterizedTest
  @CsvSource({"1,64", "2,128", "31,192", "5,4096", "300,64", "31,33", "64,172", "3,7"})
  void nf4IsTheNearestLevelTimesTheBlocksLargestValueInEightBits(int out, int in) {
    float[] w = weights(out, in);
    float[] got = through(Quantization.NF4, out, in, w);
    int blocks = (out * in + 63) / 64;
    double[] largest = new double[blocks];
    double mean = 0;
    for (int i = 0; i < w.length; i++) {
      largest[i / 64] = Math.max(largest[i / 64], Math.abs(w[i]));
    }
    for (double x : largest) {
      mean += x / blocks;
    }
    for (int b = 0; b < blocks; b++) {
      double most = 0;
      for (int c = b / 256 * 256; c < Math.min(blocks, (b / 256 + 1) * 256); c++) {
        most = Math.max(most, Math.abs(largest[c] - mean));
      }
      double scale = most / 127;
      double kept =
          got[index(got, w, b, largest[b])] / Math.signum(got[index(got, w, b, largest[b])]);
      // The largest element is ±1 times what is kept: within half a step of 8 bits.
      assertThat(Math.abs(kept - largest[b])).isLessThanOrEqualTo(0.501 * scale + 1e-6);
      for (int i = 64 * b; i < Math.min(w.length, 64 * b + 64); i++) {
        double x = w[i] / largest[b];
        double nearest = 0;
        double second = Double.POSITIVE_INFINITY;
        double best = Double.POSITIVE_INFINITY;
        for (float level : Quantization.levels()) {
          double d = Math.abs(x - level);
          if (d < best) {
            second = best;
            best = d;
            nearest = level;
          } else {
            second = Math.min(second, d);
          }
        }
        if (second - best > 1e-5) { // no tie
          assertThat((double) got[i]).isCloseTo(nearest * kept, within(1e-6 * (1 + kept)));
        }
      }
    }
  }

  private static int index(float[] got, float[] w, int block, double largest) {
    for (int i = 64 * block; ; i++) {
      if (Math.abs(w[i]) == largest) {
        assertThat(got[i]).isNotZero();
        return i;
      }
    }
  }

  @Test
  void zerosStayZerosAndRowsMayComeInAnyOrder() {
    assertThat(through(Quantization.INT8, 3, 5, new float[15])).containsOnly(0);
    assertThat(through(Quantization.NF4, 3, 64, new float[192])).containsOnly(0);
    float[] w = weights(9, 64);
    for (Quantization q : Quantization.values()) {
      byte[] backwards = new byte[(int) q.bytes(9, 64)];
      Quantizer quantizer = new Quantizer(q, 9, 64, MemorySegment.ofArray(backwards));
      for (int r = 8; r >= 0; r--) {
        assertThat(quantizer.put(r, row(w, r, 64))).isEqualTo(r == 0);
      }
      assertThat(backwards).isEqualTo(bytes(q, 9, 64, w));
    }
  }

  private static float[] weights(int out, int in) {
    Random random = new Random(31L * out + in);
    float[] w = new float[out * in];
    for (int i = 0; i < w.length; i++) {
      w[i] = (float) (random.nextGaussian() * (1 + i / in % 5));
    }
    return w;
  }

  private static float[] row(float[] w, int r, int in) {
    return java.util.Arrays.copyOfRange(w, r * in, (r + 1) * in);
  }

  private static byte[] bytes(Quantization q, int out, int in, float[] w) {
    byte[] bytes = new byte[(int) q.bytes(out, in)];
    Quantizer quantizer = new Quantizer(q, out, in, MemorySegment.ofArray(bytes));
    for (int r = 0; r < out; r++) {
      assertThat(quantizer.put(r, row(w, r, in))).isEqualTo(r == out - 1);
    }
    return bytes;
  }

  private static float[] through(Quantization q, int out, int in, float[] w) {
    float[] got = new float[w.length];
    new QuantizedView(MemorySegment.ofArray(bytes(q, out, in, w)), q, out, in).read(got);
    return got;
  }
}
