package dev.javelin.kernels.cpu;

import static java.lang.foreign.ValueLayout.JAVA_DOUBLE;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.javelin.device.Cpu;
import dev.javelin.kernels.VectorNorm;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class GlobalNormCpuTest {

  @ParameterizedTest
  @ValueSource(ints = {1, 2, 7, 31, 33, 127, 1000, 65_536, 200_003})
  void isThatOfALoopInDoubleForAnyNumberOfThreads(int n) {
    var random = new SplittableRandom(n);
    try (Cpu one = Cpu.open(1);
        Cpu three = Cpu.open(3)) {
      MemorySegment x = one.allocate(4L * n).segment();
      double squares = 0;
      double magnitudes = 0;
      double largest = 0;
      for (int i = 0; i < n; i++) {
        float v = (float) random.nextGaussian();
        x.setAtIndex(JAVA_FLOAT, i, v);
        squares += (double) v * v;
        magnitudes += Math.abs(v);
        largest = Math.max(largest, Math.abs(v));
      }
      for (VectorNorm kind : VectorNorm.values()) {
        double want =
            switch (kind) {
              case L1 -> magnitudes;
              case L2 -> Math.sqrt(squares);
              case MAX -> largest;
            };
        double got = GlobalNormCpu.norm(one, kind, x, n);
        assertThat(got).as("%s", kind).isCloseTo(want, within(want * n * 0x1p-53));
        assertThat(GlobalNormCpu.norm(three, kind, x, n)).isEqualTo(got);
      }
    }
  }

  /** The machine code: interpreted, run by this processor if it can, and in the Vector API. */
  @ParameterizedTest
  @ValueSource(ints = {16, 32, 4096})
  void sumsOfSquaresAreTheSameBitsInMachineCode(int n) {
    var random = new SplittableRandom(n);
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment x = arena.allocate(4L * n, 4);
      double[] chains = new double[SumOfSquaresCode.STEP];
      for (int i = 0; i < n; i++) {
        float v = Math.scalb((float) random.nextGaussian(), random.nextInt(100) - 50);
        x.setAtIndex(JAVA_FLOAT, i, v);
        chains[i % chains.length] = Math.fma((double) v, v, chains[i % chains.length]);
      }
      double[] want = new double[SumOfSquaresCode.SUMS];
      double total = 0;
      for (int i = 0; i < want.length; i++) {
        want[i] = chains[i] + chains[i + want.length];
        total += want[i];
      }
      MemorySegment sums = arena.allocate(8L * want.length, 8);
      X86Machine machine =
          new X86Machine(SumOfSquaresCode.code()).memory(x.asReadOnly()).memory(sums);
      machine.run(x.address(), n / SumOfSquaresCode.STEP, sums.address());
      assertThat(machine.upperHalvesAreClean()).isTrue();
      assertThat(sums.toArray(JAVA_DOUBLE)).isEqualTo(want);
      sums.fill((byte) 0);
      if (SumOfSquaresCode.run(sums.address(), x.address(), n)) {
        assertThat(sums.toArray(JAVA_DOUBLE)).isEqualTo(want);
        assertThat(GlobalNormCpu.sumOfSquares(x.address(), n)).isEqualTo(total);
      }
    }
  }

  @Test
  void neitherOverflowsNorVanishes() {
    try (Cpu cpu = Cpu.open(1)) {
      MemorySegment x = cpu.allocate(4L * 40).segment();
      x.setAtIndex(JAVA_FLOAT, 3, Float.MAX_VALUE);
      x.setAtIndex(JAVA_FLOAT, 39, Float.MAX_VALUE);
      assertThat(GlobalNormCpu.norm(cpu, VectorNorm.L2, x, 40))
          .isCloseTo(Math.sqrt(2) * Float.MAX_VALUE, within(1e25));
      x.fill((byte) 0);
      x.setAtIndex(JAVA_FLOAT, 17, Float.MIN_VALUE);
      assertThat(GlobalNormCpu.norm(cpu, VectorNorm.L2, x, 40)).isEqualTo(Float.MIN_VALUE);
    }
  }

  @ParameterizedTest
  @ValueSource(floats = {Float.NaN, Float.POSITIVE_INFINITY, Float.NEGATIVE_INFINITY})
  void isNotFiniteWhereAnElementIsNot(float bad) {
    try (Cpu cpu = Cpu.open(2)) {
      MemorySegment x = cpu.allocate(4L * 70_000).segment();
      for (int at : new int[] {0, 5, 65_536, 69_999}) {
        x.fill((byte) 0);
        x.setAtIndex(JAVA_FLOAT, at, bad);
        for (VectorNorm kind : VectorNorm.values()) {
          assertThat(GlobalNormCpu.norm(cpu, kind, x, 70_000)).isNotFinite();
        }
      }
    }
  }
}
