package dev.javelin.kernels.cuda;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.javelin.device.CudaException;
import dev.javelin.device.DeviceMemory;
import dev.javelin.device.Emulator;
import dev.javelin.device.RequiresEmulator;
import dev.javelin.device.TestMachine;
import java.util.Random;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;

/** Blocks that add to the same memory in turns have the bits of a plain loop. */
class TurnsTest {
  private static final int BLOCKS = 40;
  private static final int PART = 64;

  /** Of sizes that lie far apart: each order of their sum has other bits. */
  private static float[] parts() {
    Random random = new Random(1);
    float[] parts = new float[BLOCKS * PART];
    for (int i = 0; i < parts.length; i++) {
      parts[i] = (float) (random.nextGaussian() * Math.scalb(1.0, random.nextInt(24)));
    }
    return parts;
  }

  private static float[] sum(float[] parts, boolean forward) {
    float[] sum = new float[PART];
    for (int b = 0; b < BLOCKS; b++) {
      for (int i = 0; i < PART; i++) {
        sum[i] += parts[(forward ? b : BLOCKS - 1 - b) * PART + i];
      }
    }
    return sum;
  }

  private static void check(Gpu gpu) {
    float[] parts = parts();
    DeviceMemory sum = gpu.bytes(4 * PART); // NaN
    DeviceMemory turns = gpu.of(new int[2]);
    launch(gpu, sum, turns, gpu.of(parts));
    assertThat(gpu.floats(sum, PART)).containsExactly(sum(parts, true));
    assertThat(gpu.floats(sum, PART)).isNotEqualTo(sum(parts, false));
    assertThat(gpu.ints(turns, 2)).containsExactly(BLOCKS, BLOCKS);
  }

  private static void launch(Gpu gpu, DeviceMemory sum, DeviceMemory turns, DeviceMemory parts) {
    gpu.kernel("check_turns_add").grid(BLOCKS).ptr(sum).ptr(turns).ptr(parts).shared(256).run();
  }

  @ParameterizedTest
  @MethodSource("dev.javelin.device.TestMachine#andChecked")
  void blocksAddInTheOrderOfTheirTickets(TestMachine machine) {
    try (Gpu gpu = Gpu.open(machine)) {
      Assumptions.assumeTrue(gpu.capability() == 90, "for compute capability 9.0");
      check(gpu);
    }
  }

  /** Blocks of several operating system threads wait for each other. */
  @ParameterizedTest
  @CsvSource({"forward, late", "reverse, early", "3, 4", "5, 6"})
  @RequiresEmulator
  void soDoBlocksThatRunAtOnce(String order, String async) {
    try (Gpu gpu = Gpu.checked()) {
      Emulator.set("threads", "4");
      Emulator.set("order", order);
      Emulator.set("async", async);
      check(gpu);
    }
  }

  @Test
  @RequiresEmulator
  void aTurnThatNobodyPassesOnIsReported() {
    for (String threads : new String[] {"1", "3"}) {
      try (Gpu gpu = Gpu.checked()) {
        Emulator.set("threads", threads);
        DeviceMemory turns = gpu.of(new int[] {1, 0}); // the ticket of the first turn has gone
        DeviceMemory parts = gpu.of(new float[(BLOCKS + 1) * PART]);
        assertThatThrownBy(
                () -> {
                  launch(gpu, gpu.bytes(4 * PART), turns, parts);
                  gpu.synchronize();
                })
            .isInstanceOf(CudaException.class)
            .hasMessageContaining("deadlock: turn_wait for turn")
            .hasMessageContaining("the counter is at 0");
      }
    }
  }
}
