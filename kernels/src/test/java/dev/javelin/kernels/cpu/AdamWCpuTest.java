package dev.javelin.kernels.cpu;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_SHORT;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.javelin.device.Cpu;
import dev.javelin.device.DType;
import dev.javelin.kernels.EpsilonPlacement;
import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.EnumSource.Mode;
import org.junit.jupiter.params.provider.ValueSource;

class AdamWCpuTest {
  private static final AdamWCpu.Constants C =
      new AdamWCpu.Constants(
          0.25f, 0.9f, 0.99f, 0.999f, 2e-3f, 1.5f, 2.25f, 1e-8f, EpsilonPlacement.OUTSIDE);

  @ParameterizedTest
  @ValueSource(ints = {1, 2, 7, 31, 33, 127, 1000, 50_001})
  void followsTheFormulaAndClearsTheGradient(int n) {
    try (Cpu cpu = Cpu.open(3)) {
      float[][] before = random(n);
      MemorySegment[] s = upload(cpu, before);
      step(cpu, s[0], DType.F32, s, 0, n);
      for (int i = 0; i < n; i++) {
        double g = (double) before[3][i] * C.gradScale();
        double m = before[1][i] + (g - before[1][i]) * (1 - (double) C.beta1());
        double v = before[2][i] * (double) C.beta2() + g * g * (1 - (double) C.beta2());
        double w =
            before[0][i] * (double) C.decay()
                - C.stepSize() * m / (Math.sqrt(v) * C.rootBias() + C.eps());
        assertThat((double) s[0].getAtIndex(JAVA_FLOAT, i)).isCloseTo(w, within(1e-6));
        assertThat((double) s[1].getAtIndex(JAVA_FLOAT, i)).isCloseTo(m, within(1e-6));
        assertThat((double) s[2].getAtIndex(JAVA_FLOAT, i)).isCloseTo(v, within(1e-6));
        assertThat(s[3].getAtIndex(JAVA_FLOAT, i)).isZero();
      }
    }
  }

  @Test
  void leavesElementsOutsideTheRangeAlone() {
    try (Cpu cpu = Cpu.open(1)) {
      float[][] before = random(100);
      MemorySegment[] s = upload(cpu, before);
      step(cpu, s[0], DType.F32, s, 13, 88);
      for (int i = 0; i < 100; i++) {
        boolean inside = i >= 13 && i < 88;
        for (int k = 0; k < 4; k++) {
          assertThat(s[k].getAtIndex(JAVA_FLOAT, i) == before[k][i]).isEqualTo(!inside);
        }
      }
    }
  }

  @ParameterizedTest
  @EnumSource(
      names = {"BF16", "F16"},
      mode = Mode.INCLUDE)
  void writesTheRoundedCopyOfTheMasterWeights(DType type) {
    int n = 20_011;
    try (Cpu cpu = Cpu.open(2)) {
      MemorySegment[] s = upload(cpu, random(n));
      MemorySegment half = cpu.allocate(type.bytes(n)).segment();
      step(cpu, half, type, s, 0, n);
      for (int i = 0; i < n; i++) {
        float w = s[0].getAtIndex(JAVA_FLOAT, i);
        short expected = type == DType.BF16 ? Half.floatToBf16(w) : Float.floatToFloat16(w);
        assertThat(half.getAtIndex(JAVA_SHORT, i)).isEqualTo(expected);
      }
    }
  }

  private static void step(
      Cpu cpu, MemorySegment copy, DType type, MemorySegment[] s, long from, long to) {
    var buffers = new UpdateCpu.Buffers(copy, type, s[0], s[3], List.of(s[1], s[2]));
    UpdateCpu.step(cpu, buffers, new AdamWCpu(C), from, to);
  }

  private static float[][] random(int n) {
    var r = new SplittableRandom(n);
    float[][] a = new float[4][n];
    for (int i = 0; i < n; i++) {
      a[0][i] = (float) r.nextGaussian();
      a[1][i] = (float) r.nextGaussian();
      a[2][i] = (float) Math.abs(r.nextGaussian()) + 0.01f;
      a[3][i] = (float) r.nextGaussian() + 3;
    }
    return a;
  }

  private static MemorySegment[] upload(Cpu cpu, float[][] values) {
    MemorySegment[] s = new MemorySegment[values.length];
    for (int k = 0; k < s.length; k++) {
      s[k] = cpu.allocate(4L * values[k].length).segment();
      MemorySegment.copy(values[k], 0, s[k], JAVA_FLOAT, 0, values[k].length);
    }
    return s;
  }
}
