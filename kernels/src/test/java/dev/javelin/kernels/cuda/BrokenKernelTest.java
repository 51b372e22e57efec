package dev.javelin.kernels.cuda;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.javelin.device.CudaException;
import dev.javelin.device.DeviceMemory;
import dev.javelin.device.Emulator;
import java.util.function.Consumer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Kernels with one mistake each: the emulated device names the kernel, the block and the thread.
 */
class BrokenKernelTest {

  /** Launches on the checked device; what comes of it must say all of {@code words}. */
  private static void fails(Consumer<Gpu> launch, String... words) {
    try (Gpu gpu = Gpu.checked()) {
      assertThatThrownBy(
              () -> {
                launch.accept(gpu);
                gpu.synchronize();
              })
          .isInstanceOf(CudaException.class)
          .hasMessageContainingAll(words);
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"forward", "reverse", "7"})
  void aMissingBarrierIsARace(String order) {
    fails(
        gpu -> {
          Emulator.set("order", order);
          gpu.kernel("broken_barrier").grid(2).ptr(gpu.bytes(512)).ptr(gpu.bytes(512)).run();
        },
        "kernel broken_barrier, block (",
        "thread (",
        "of the block",
        "a barrier between them is missing");
  }

  @Test
  void anElementOutOfBoundsIsReported() {
    fails(
        gpu -> {
          int n = 1000;
          gpu.kernel("broken_bound")
              .grid(8)
              .ptr(gpu.bytes(4 * n))
              .ptr(gpu.bytes(4 * n))
              .i32(n)
              .run();
        },
        "kernel broken_bound, block (7,0,0), thread (104,0,0)",
        "reads",
        "past the end of",
        "4000 bytes",
        "at byte 4000");
  }

  @Test
  void aShuffleThatSomeLanesNeverReachIsReported() {
    fails(
        gpu ->
            gpu.kernel("broken_shuffle")
                .grid(1)
                .ptr(gpu.bytes(256))
                .ptr(gpu.bytes(256))
                .i32(20)
                .run(),
        "kernel broken_shuffle, block (0,0,0), thread (0,0,0)",
        "lanes 000fffff wait in __shfl_xor_sync with mask ffffffff",
        "lanes fff00000 have ended");
  }

  @Test
  void aCopyNobodyWaitedForIsReported() {
    fails(
        gpu -> gpu.kernel("broken_wait").grid(1).ptr(gpu.bytes(256)).ptr(gpu.bytes(256)).run(),
        "kernel broken_wait, block (0,0,0), thread (",
        "cp_async_wait is missing");
  }

  @Test
  void barriersThatNobodyCanPassAreReported() {
    fails(
        gpu -> gpu.kernel("broken_divergence").grid(1).ptr(gpu.bytes(256)).run(),
        "kernel broken_divergence, block (0,0,0), thread (",
        "deadlock",
        "warp 0: lanes ffffffff wait at __syncthreads",
        "warp 1: lanes 000000ff wait at __syncthreads",
        "warp 1: lanes ffffff00 wait at barrier 1");
  }

  @Test
  void aNullPointerIsReported() {
    fails(
        gpu -> gpu.kernel("broken_null").grid(1).ptr(null).run(),
        "kernel broken_null, block (0,0,0), thread (0,0,0)",
        "writes address 0x0",
        "null pointer");
  }

  @Test
  void anIndexBeyondSharedMemoryIsReported() {
    fails(
        gpu -> gpu.kernel("broken_shared").grid(1).ptr(gpu.bytes(256)).i32(0).shared(128).run(),
        "kernel broken_shared, block (0,0,0), thread (32,0,0)",
        "writes",
        "beyond the 128 bytes of dynamic shared memory");
  }

  @Test
  void aVectorAtAnAddressThatIsNoMultipleOfItIsReported() {
    fails(
        gpu ->
            gpu.kernel("broken_alignment")
                .grid(1)
                .ptr(gpu.bytes(512))
                .ptr(gpu.bytes(1024))
                .i32(2)
                .run(),
        "kernel broken_alignment, block (0,0,0), thread (0,0,0)",
        "misaligned: address 0x",
        "is no multiple of 16");
  }

  @Test
  void freedMemoryIsNotTouchedAgain() {
    fails(
        gpu -> {
          DeviceMemory y = gpu.bytes(256);
          DeviceMemory x = gpu.bytes(256);
          long stale = x.address();
          x.close();
          gpu.kernel("broken_barrier").grid(1).ptr(y).ptr(() -> stale).run();
        },
        "kernel broken_barrier, block (0,0,0), thread (0,0,0)",
        "reads",
        "which was freed");
  }

  @Test
  void afterAFailureANewDeviceWorks() {
    fails(gpu -> gpu.kernel("broken_null").grid(1).ptr(null).run(), "broken_null");
    try (Gpu gpu = Gpu.checked()) {
      DeviceMemory y = gpu.bytes(256);
      gpu.kernel("fill_f32").grid(1).ptr(y).f32(2.5f).i64(64).run();
      assertThat(gpu.floats(y, 64)).containsOnly(2.5f);
    }
  }
}
