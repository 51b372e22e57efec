package dev.javelin.device;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.sun.management.ThreadMXBean;
import dev.javelin.kernels.BundledKernels;
import java.lang.foreign.MemorySegment;
import java.lang.management.ManagementFactory;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** Launches, from the arguments' bytes to graphs, on the kernels of {@code launch_probe.cu}. */
@RequiresCuda
class LaunchTest {
  private final List<String> loaded = new ArrayList<>();
  private final Cuda cuda =
      TestCuda.open(
          (family, capability, emulated) -> {
            byte[] image = new BundledKernels().find(family, capability, emulated);
            if (image != null) {
              loaded.add(family);
            }
            return image;
          });
  private final DeviceMemory memory = cuda.allocate(4096);

  @AfterEach
  void close() {
    memory.close();
    cuda.close();
  }

  private int[] ints(int count) {
    int[] out = new int[count];
    cuda.read(MemorySegment.ofArray(out), memory, 0);
    return out;
  }

  private float[] floats(int count) {
    float[] out = new float[count];
    cuda.read(MemorySegment.ofArray(out), memory, 0);
    return out;
  }

  @Test
  void argumentsOfEverySizeArrive() {
    cuda.kernel("launch_probe_arguments")
        .grid(1)
        .ptr(memory)
        .i32(-7)
        .i64(1L << 40)
        .f32(0.5f)
        .f64(Math.PI)
        .ptr(null)
        .run();
    double[] got = new double[6];
    cuda.read(MemorySegment.ofArray(got), memory, 0);
    assertThat(got).containsExactly(-7, 0x1p40, 0.5, Math.PI, 1, 32);
  }

  @Test
  void structsArePassedByValue() {
    CudaKernel kernel = cuda.kernel("launch_probe_struct");
    kernel.grid(1).ptr(memory).i32(3).words(1L << 40, -5).f32(0.25f).run();
    double[] got = new double[4];
    cuda.read(MemorySegment.ofArray(got), memory, 0);
    assertThat(got).containsExactly(3, 0x1p40, -5, 0.25);
    assertThatThrownBy(() -> kernel.grid(1).ptr(memory).i32(3).words(1))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("kernel launch_probe_struct: parameter 2 takes 16 bytes, got an argument of 8");
  }

  @Test
  void argumentsThatDoNotFitTheKernelAreRefused() {
    CudaKernel kernel = cuda.kernel("launch_probe_add");
    assertThatThrownBy(() -> kernel.grid(1).ptr(memory).i32(3))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("kernel launch_probe_add: parameter 1 takes 8 bytes, got an argument of 4");
    assertThatThrownBy(() -> kernel.grid(1).ptr(memory).ptr(memory).run())
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("kernel launch_probe_add: takes 3 arguments, got 2");
    assertThatThrownBy(() -> kernel.grid(1).ptr(memory).ptr(memory).i32(1).i32(1))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("kernel launch_probe_add: takes 3 arguments, got more");
    kernel.grid(1).ptr(memory).ptr(memory).i32(0).run(); // what was given up leaves nothing behind
  }

  @Test
  void blockSizeStandsInTheSource() {
    assertThat(cuda.kernel("launch_probe_grid").blockSize()).isEqualTo(64);
    assertThat(cuda.kernel("launch_probe_add").blockSize()).isEqualTo(32);
    assertThat(cuda.kernel("launch_probe_add").blocksPerMultiprocessor(0)).isPositive();
  }

  @Test
  void everyBlockOfAGridRuns() {
    cuda.kernel("launch_probe_grid").grid(3, 2, 4).ptr(memory).run();
    int[] got = ints(24);
    for (int i = 0; i < got.length; i++) {
      assertThat(got[i]).isEqualTo(1 + i % 3 + 100 * (i / 3 % 2) + 10000 * (i / 6));
    }
  }

  @Test
  void aGridWithoutBlocksDoesNothing() {
    long before = cuda.launches();
    cuda.kernel("launch_probe_grid").grid(0).ptr(memory).run();
    cuda.kernel("launch_probe_grid").threads(0).ptr(memory).run();
    cuda.kernel("launch_probe_grid").grid(5, 0).ptr(memory).run();
    assertThat(cuda.launches()).isEqualTo(before);
    assertThat(ints(8)).containsOnly(0);
  }

  @Test
  void aGridBeyondTheLimitsIsRefused() {
    assertThatThrownBy(() -> cuda.kernel("launch_probe_grid").grid(1, 65536).ptr(memory).run())
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("launch_probe_grid")
        .hasMessageContaining("65535");
    assertThatThrownBy(() -> cuda.kernel("launch_probe_grid").grid(1L << 31).ptr(memory).run())
        .isInstanceOf(IllegalArgumentException.class);
  }

  @Test
  void sharedMemoryAbove48KilobytesIsAllowedOnDemand() {
    for (int bytes : new int[] {4, 40 << 10, 64 << 10, 96 << 10, 50 << 10}) {
      int n = bytes / 4;
      cuda.kernel("launch_probe_shared").grid(1).shared(bytes).ptr(memory).i32(n).run();
      float want = 0;
      for (int i = 0; i < n; i++) {
        want += i;
      }
      assertThat(floats(1)[0]).isEqualTo(want);
    }
    int most = cuda.properties().sharedMemory();
    assertThatThrownBy(
            () ->
                cuda.kernel("launch_probe_shared")
                    .grid(1)
                    .shared(most + 1)
                    .ptr(memory)
                    .i32(1)
                    .run())
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("launch_probe_shared", most + 1, most);
  }

  /** 48 KB that need no leave are those of the source and of the launch together. */
  @Test
  void sharedMemoryOfTheSourceCountsTowardsThe48Kilobytes() {
    CudaKernel kernel = cuda.kernel("launch_probe_both_shared");
    assertThat(kernel.staticShared()).isGreaterThanOrEqualTo(1024);
    for (int bytes : new int[] {47 << 10, 48 << 10, (48 << 10) + 4}) {
      int n = bytes / 4;
      kernel.grid(1).shared(bytes).ptr(memory).i32(n).run();
      float want = 0;
      for (int i = n % 256; i < n; i += 256) {
        want += i;
      }
      assertThat(floats(1)[0]).isEqualTo(want);
    }
  }

  @Test
  void suffixesPickTheInstance() {
    cuda.kernel("launch_probe_bytes", DType.BF16).grid(1).ptr(memory).run();
    assertThat(ints(1)[0]).isEqualTo(2);
    cuda.kernel("launch_probe_bytes", DType.F32).grid(1).ptr(memory).run();
    assertThat(ints(1)[0]).isEqualTo(4);
    cuda.kernel("launch_probe_pair", DType.BF16, DType.F32).grid(1).ptr(memory).run();
    assertThat(ints(1)[0]).isEqualTo(6);
    assertThat(cuda.kernel("launch_probe_pair", DType.BF16, DType.F32))
        .isSameAs(cuda.kernel("launch_probe_pair", DType.BF16, DType.F32));
    assertThat(loaded).containsExactly("launch_probe"); // one family, loaded once
  }

  @Test
  void aMissingInstanceIsNamedWithItsSource() {
    assertThatThrownBy(() -> cuda.kernel("launch_probe_bytes", DType.I64))
        .isInstanceOf(CudaException.class)
        .hasMessageContaining("launch_probe_bytes_i64")
        .hasMessageContaining("launch_probe.cu");
  }

  @Test
  void aGraphReplaysItsLaunches() {
    try (DeviceMemory x = cuda.allocate(400)) {
      cuda.write(x, 0, MemorySegment.ofArray(new float[] {1, 2, 3}));
      CudaKernel add = cuda.kernel("launch_probe_add");
      try (CudaGraph graph =
          CudaGraph.capture(
              cuda,
              () -> {
                add.threads(3).ptr(memory).ptr(x).i32(3).run();
                add.threads(2).ptr(memory).ptr(x).i32(2).run();
              })) {
        assertThat(graph.launches()).isEqualTo(2);
        assertThat(floats(3)).containsOnly(0);
        graph.launch();
        graph.launch();
        assertThat(floats(4)).containsExactly(4, 8, 6, 0);
      }
    }
  }

  @Test
  @RequiresEmulator
  void replayingIsOneCallOfTheDriver() {
    CudaKernel add = cuda.kernel("launch_probe_add");
    try (CudaGraph graph =
        CudaGraph.capture(
            cuda,
            () -> {
              for (int i = 0; i < 10; i++) {
                add.threads(3).ptr(memory).ptr(memory).i32(3).run();
              }
            })) {
      long before = TestCuda.calls("cu");
      graph.launch();
      assertThat(TestCuda.calls("cu") - before).isEqualTo(1);
    }
  }

  @Test
  void theBodysOwnFailureComesOutOfACapture() {
    CudaKernel kernel = cuda.kernel("launch_probe_grid");
    assertThatThrownBy(
            () ->
                CudaGraph.capture(
                    cuda,
                    () -> {
                      kernel.grid(1).ptr(memory).run();
                      throw new UnsupportedOperationException("not here");
                    }))
        .isInstanceOf(UnsupportedOperationException.class)
        .hasMessage("not here");
    kernel.grid(2).ptr(memory).run();
    assertThat(ints(2)).containsExactly(1, 2);
  }

  @Test
  void kernelsAreLoadedBeforeAStepIsRecorded() {
    assertThatThrownBy(
            () ->
                CudaGraph.capture(
                    cuda, () -> cuda.kernel("launch_probe_grid").grid(1).ptr(memory).run()))
        .isInstanceOf(IllegalStateException.class)
        .hasMessageContaining("loading the kernels 'launch_probe'");
    cuda.kernel("launch_probe_add");
    assertThatThrownBy(() -> CudaGraph.capture(cuda, () -> cuda.kernel("launch_probe_empty")))
        .isInstanceOf(IllegalStateException.class)
        .hasMessageContaining("looking up kernel launch_probe_empty");
  }

  @Test
  void launchesWithAttributesGoThroughTheOtherCall() {
    cuda.kernel("launch_probe_grid").grid(3).overlapsPrevious().ptr(memory).run();
    assertThat(ints(3)).containsExactly(1, 2, 3);
  }

  @Test
  void aLaunchMakesNoGarbage() {
    CudaKernel[] warm = {cuda.kernel("launch_probe_empty")};
    ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
    long least = Long.MAX_VALUE;
    for (int round = 0; round < 20; round++) {
      long before = threads.getCurrentThreadAllocatedBytes();
      for (int i = 0; i < 1000; i++) {
        cuda.kernel("launch_probe_empty").grid(1).ptr(memory).ptr(memory).i32(i).f32(1).run();
      }
      least = Math.min(least, threads.getCurrentThreadAllocatedBytes() - before);
      cuda.synchronize();
    }
    assertThat(warm[0].name()).isEqualTo("launch_probe_empty");
    assertThat(least).as("bytes of 1000 launches").isLessThan(100_000);
  }

  @Test
  @RequiresEmulator
  void aFailedKernelIsNamed() {
    assertThatThrownBy(
            () -> {
              TestCuda.set("guard", "1");
              try (Cuda guarded = TestCuda.open(new BundledKernels());
                  DeviceMemory small = guarded.allocate(256)) {
                guarded.kernel("launch_probe_grid").grid(4096).ptr(small).run();
                guarded.synchronize();
              } finally {
                TestCuda.set("guard", "0");
              }
            })
        .isInstanceOf(CudaException.class)
        .hasMessageContaining("launch_probe_grid");
  }
}
