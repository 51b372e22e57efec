package dev.javelin.kernels.cuda;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.javelin.device.CudaException;
import dev.javelin.device.DType;
import dev.javelin.device.DeviceMemory;
import dev.javelin.device.Emulator;
import dev.javelin.device.TensorMap;
import dev.javelin.device.TensorMap.Swizzle;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** The switches of the emulated device. */
class EmulatorTest {

  @BeforeEach
  void needsTheEmulator() {
    Assumptions.assumeTrue(Gpu.hasEmulator(), "for the emulated device");
  }

  @AfterEach
  void asItWas() {
    if (Gpu.hasEmulator()) {
      Emulator.set("capability", "9.0");
      Emulator.set("threads", "1");
      Emulator.set("lazy", "0");
    }
  }

  @Test
  void anOlderDeviceRefusesTheInstructionsOfANewerByName() {
    Emulator.set("capability", "8.0");
    try (Gpu gpu = Gpu.open()) {
      DeviceMemory memory = gpu.bytes(256);
      assertThatThrownBy(
              () -> {
                gpu.kernel("check_hopper_bulk")
                    .grid(1)
                    .ptr(memory)
                    .ptr(memory)
                    .i32(256)
                    .shared(256)
                    .run();
                gpu.synchronize();
              })
          .isInstanceOf(CudaException.class)
          .hasMessageContaining("kernel check_hopper_bulk, block (0,0,0), thread (0,0,0)")
          .hasMessageContaining("mbarrier.init needs compute capability 9.0, this device has 8.0");
    }
  }

  @Test
  void blocksOnSeveralThreadsComputeTheSame() {
    Emulator.set("threads", "3");
    try (Gpu gpu = Gpu.open()) {
      int blocks = 100;
      int n = 64 * blocks;
      for (int run = 0; run < 20; run++) {
        DeviceMemory counter = gpu.of(new int[3]);
        DeviceMemory total = gpu.bytes(4);
        gpu.kernel("check_warp_atomic")
            .grid(blocks)
            .ptr(counter)
            .ptr(gpu.bytes(4L * blocks))
            .ptr(total)
            .run();
        assertThat(gpu.ints(counter, 3)).containsExactly(n * (n - 1) / 2, n - 1, 0);
        assertThat(gpu.floats(total, 1)[0]).isCloseTo(n * (n - 1) / 2f, within((float) n));
      }
    }
  }

  @Test
  void lazyWorkIsDoneWhenSomebodyWaits() {
    Emulator.set("lazy", "1");
    try (Gpu gpu = Gpu.open()) {
      gpu.kernel("broken_null").grid(1).ptr(null).run(); // fails when it runs, which is not yet
      assertThatThrownBy(gpu::synchronize).hasMessageContaining("kernel broken_null");
    }
  }

  @Test
  void callsOfTheDriverAreCounted() {
    try (Gpu gpu = Gpu.open()) {
      DeviceMemory y = gpu.bytes(256);
      long launches = Emulator.calls("cuLaunch");
      long waits = Emulator.calls("cuCtxSynchronize");
      for (int i = 0; i < 3; i++) {
        gpu.kernel("fill_f32").grid(1).ptr(y).f32(i).i64(64).run();
      }
      gpu.synchronize();
      assertThat(Emulator.calls("cuLaunch") - launches).isEqualTo(3);
      assertThat(Emulator.calls("cuCtxSynchronize") - waits).isEqualTo(1);
    }
  }

  /** A GPU takes it; how it packs the rows, the manual does not say. */
  @Test
  void aBoxNarrowerThanItsSwizzleIsRefused() {
    try (Gpu gpu = Gpu.open()) {
      DeviceMemory memory = gpu.bytes(64 * 128);
      TensorMap map = TensorMap.rows(DType.BF16, memory, 64, 64, 64, 16, 32, Swizzle.BYTES_128);
      assertThatThrownBy(
              () -> {
                gpu.kernel("check_hopper_load_2d")
                    .grid(1)
                    .ptr(memory)
                    .map(map)
                    .i32(1024)
                    .i32(0)
                    .i32(0)
                    .shared(1024)
                    .run();
                gpu.synchronize();
              })
          .isInstanceOf(CudaException.class)
          .hasMessageContaining("the box's innermost dimension must be as wide as the swizzle");
    }
  }

  @Test
  void unknownSwitchesAreRefused() {
    assertThatThrownBy(() -> Emulator.set("colour", "red"))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("colour = red");
    assertThatThrownBy(() -> Emulator.set("async", "soon"))
        .isInstanceOf(IllegalArgumentException.class);
    assertThatThrownBy(() -> Emulator.set("capability", "7.5"))
        .isInstanceOf(IllegalArgumentException.class);
  }
}
