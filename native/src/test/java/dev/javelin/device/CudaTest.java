package dev.javelin.device;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assumptions.assumeThat;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

@RequiresCuda
class CudaTest {
  private final Cuda cuda = TestCuda.open((family, capability, emulated) -> null);
  private final Cpu cpu = Cpu.open(1);

  @AfterEach
  void close() {
    cuda.close();
    cpu.close();
  }

  private static MemorySegment counting(long bytes) {
    MemorySegment s = MemorySegment.ofArray(new byte[(int) bytes]);
    for (int i = 0; i < bytes; i++) {
      s.set(JAVA_BYTE, i, (byte) (i * 7 + i / 256));
    }
    return s;
  }

  private byte[] bytes(DeviceMemory m) {
    byte[] out = new byte[(int) m.byteSize()];
    cuda.read(MemorySegment.ofArray(out), m, 0);
    return out;
  }

  @Test
  void saysWhatItIs() {
    CudaProperties p = cuda.properties();
    assertThat(p.capability()).isBetween(80, 130);
    assertThat(p.multiprocessors()).isPositive();
    assertThat(p.totalMemory()).isPositive();
    assertThat(p.sharedMemory()).isGreaterThanOrEqualTo(96 << 10);
    assertThat(p.describe()).contains(p.name(), "compute capability", "CUDA");
    assertThat(cuda.memoryInfo().free()).isBetween(1L, cuda.memoryInfo().total());
  }

  @ParameterizedTest
  @ValueSource(longs = {0, 1, 255, 257, 100_000})
  void newMemoryIsZeroedAndAligned(long size) {
    long before = cuda.allocations();
    try (DeviceMemory m = cuda.allocate(size)) {
      assertThat(m.byteSize()).isGreaterThanOrEqualTo(size);
      // Guarded memory of the emulated device ends at a page, so that it begins where it must.
      int alignment = "1".equals(System.getenv("JAVELIN_EMULATOR_GUARD")) ? 16 : 256;
      assertThat(m.address() % alignment).isZero();
      assertThat(bytes(m)).containsOnly(0);
    }
    assertThat(cuda.allocations()).isEqualTo(before + 1);
  }

  @Test
  void closedMemoryHasNoAddress() {
    DeviceMemory m = cuda.allocate(1000);
    m.close();
    m.close();
    assertThatThrownBy(m::address)
        .isInstanceOf(IllegalStateException.class)
        .hasMessageContaining("closed");
  }

  /** 10 MB from the heap go through several pieces of staging memory. */
  @ParameterizedTest
  @ValueSource(longs = {1, 127, 4096, 10_000_003})
  void whatIsWrittenIsRead(long size) {
    MemorySegment values = counting(size);
    try (DeviceMemory m = cuda.allocate(size + 33);
        DeviceMemory n = cuda.allocate(size + 33);
        Arena arena = Arena.ofConfined()) {
      cuda.write(m, 33, values);
      cuda.copy(n, 1, m, 33, size);
      MemorySegment direct = arena.allocate(size);
      cuda.read(direct, n, 1);
      assertThat(direct.mismatch(values)).isEqualTo(-1);
      cuda.write(n, 0, direct);
      MemorySegment heap = MemorySegment.ofArray(new byte[(int) size]);
      cuda.read(heap, n, 0);
      assertThat(heap.mismatch(values)).isEqualTo(-1);
    }
  }

  /** Each of its calls may come from another thread of the operating system. */
  @Test
  void aVirtualThreadUsesTheDeviceWhereverItRuns() throws Exception {
    MemorySegment values = counting(64);
    try (DeviceMemory m = cuda.allocate(64);
        ExecutorService threads = Executors.newVirtualThreadPerTaskExecutor()) {
      Callable<Long> moves =
          () -> {
            cuda.write(m, 0, values);
            String carrier = carrier();
            for (int i = 0; i < 1000 && carrier().equals(carrier); i++) {
              Future<?> busy = threads.submit(() -> spin(3_000_000));
              Thread.sleep(1); // lets go of the carrier, which the other then has
              busy.get();
            }
            assumeThat(carrier()).as("one carrier only").isNotEqualTo(carrier);
            MemorySegment back = MemorySegment.ofArray(new byte[64]);
            cuda.read(back, m, 0);
            return back.mismatch(values);
          };
      assertThat(threads.submit(moves).get()).isEqualTo(-1);
    }
  }

  /** {@code VirtualThread[#30]/runnable@ForkJoinPool-1-worker-1}. */
  private static String carrier() {
    String name = Thread.currentThread().toString();
    return name.substring(name.indexOf('@') + 1);
  }

  private static void spin(long nanos) {
    long end = System.nanoTime() + nanos;
    while (System.nanoTime() < end) {
      Thread.onSpinWait();
    }
  }

  @Test
  void blocksOfHostAndDeviceCopyBothWays() {
    try (HostMemory a = cpu.allocate(1000);
        HostMemory b = cpu.allocate(1000);
        DeviceMemory m = cuda.allocate(1000)) {
      a.segment().asSlice(0, 1000).copyFrom(counting(1000));
      cpu.copy(m, 10, a, 20, 900); // either device knows the way
      cuda.copy(b, 30, m, 10, 900);
      assertThat(MemorySegment.mismatch(a.segment(), 20, 920, b.segment(), 30, 930)).isEqualTo(-1);
      assertThatThrownBy(() -> cuda.copy(m, 200, a, 0, 1000))
          .isInstanceOf(IndexOutOfBoundsException.class);
    }
  }

  @Test
  void fillsBytesRowsAndWords() {
    try (DeviceMemory m = cuda.allocate(256)) {
      cuda.fill(m, 3, 5, 0xFF);
      cuda.fillRows(m, 3, 2, 100, 7);
      cuda.fillWords(m, 20, 2, 0x01020304);
      byte[] got = bytes(m);
      byte[] want = new byte[256];
      for (int i = 3; i < 8; i++) {
        want[i] = -1;
      }
      for (int row = 0; row < 3; row++) {
        want[100 * row] = 7;
        want[100 * row + 1] = 7;
      }
      for (int i = 20; i < 28; i++) {
        want[i] = (byte) (4 - i % 4);
      }
      assertThat(got).isEqualTo(want);
    }
  }

  @Test
  void pinnedMemoryTravelsOnTheSecondStream() {
    try (HostMemory out = cuda.pinned(1000);
        HostMemory in = cuda.pinned(1000);
        DeviceMemory m = cuda.allocate(1000);
        CudaEvent uploaded = cuda.event();
        CudaEvent downloaded = cuda.event()) {
      out.segment().asSlice(0, 1000).copyFrom(counting(1000));
      cuda.transfer().copy(m, 0, out, 0, 1000);
      cuda.transfer().record(uploaded);
      cuda.compute().await(uploaded);
      cuda.compute().copy(in, 0, m, 0, 1000);
      cuda.compute().record(downloaded);
      downloaded.synchronize();
      assertThat(downloaded.isDone()).isTrue();
      assertThat(downloaded.millisSince(uploaded)).isNotNegative();
      assertThat(in.segment().mismatch(out.segment())).isEqualTo(-1);
    }
  }

  @Test
  void aCopyThatDoesNotWaitWantsPinnedMemory() {
    try (HostMemory pageable = cpu.allocate(256);
        DeviceMemory m = cuda.allocate(256)) {
      assertThatThrownBy(() -> cuda.transfer().copy(m, 0, pageable, 0, 256))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessageContaining("Cuda.pinned");
    }
  }

  @Test
  void aGraphRepeatsCopiesAndFills() {
    try (DeviceMemory a = cuda.allocate(256);
        DeviceMemory b = cuda.allocate(256);
        CudaGraph graph =
            CudaGraph.capture(
                cuda,
                () -> {
                  cuda.copy(b, 4, a, 0, 8);
                  cuda.fillWords(a, 0, 1, 5);
                })) {
      assertThat(bytes(b)).containsOnly(0); // recorded, not run
      cuda.write(a, 0, counting(256));
      graph.launch();
      assertThat(bytes(b)[5]).isEqualTo(counting(8).get(JAVA_BYTE, 1));
      graph.launch();
      int[] word = new int[1];
      cuda.read(MemorySegment.ofArray(word), b, 4);
      assertThat(word[0]).isEqualTo(5);
    }
  }

  @Test
  void whileAGraphIsRecordedNothingMayWaitReserveOrFree() {
    try (DeviceMemory m = cuda.allocate(256);
        HostMemory pinned = cuda.pinned(256);
        CudaEvent event = cuda.event()) {
      int[] word = new int[1];
      for (Runnable forbidden :
          new Runnable[] {
            () -> cuda.allocate(256).close(),
            cuda::synchronize,
            cuda.compute()::synchronize,
            event::synchronize,
            event::isDone,
            m::close,
            pinned::close,
            () -> cuda.read(MemorySegment.ofArray(word), m, 0),
            () -> cuda.write(m, 0, MemorySegment.ofArray(word)),
            () -> CudaGraph.capture(cuda, () -> {}).close()
          }) {
        assertThatThrownBy(() -> CudaGraph.capture(cuda, forbidden))
            .isInstanceOf(IllegalStateException.class)
            .hasMessageContaining("recorded into a graph");
        cuda.fillWords(m, 0, 1, 3); // and the device goes on
        cuda.read(MemorySegment.ofArray(word), m, 0);
        assertThat(word[0]).isEqualTo(3);
      }
    }
  }

  @Test
  void scratchMemoryIsOneBlockThatGrows() {
    DeviceMemory first = cuda.scratch(100);
    assertThat(cuda.scratch(first.byteSize())).isSameAs(first);
    DeviceMemory second = cuda.scratch(first.byteSize() + 1);
    assertThat(second.byteSize()).isEqualTo(2 * first.byteSize());
    assertThat(cuda.scratch(1)).isSameAs(second);
    assertThat(first.address()).isNotEqualTo(second.address()); // a recorded graph may hold it
  }

  @Test
  void everyThreadMayUseIt() throws InterruptedException {
    try (DeviceMemory m = cuda.allocate(256)) {
      Thread other = new Thread(() -> cuda.fillWords(m, 0, 1, 9));
      other.start();
      other.join();
      MemorySegment word = MemorySegment.ofArray(new int[1]);
      cuda.read(word, m, 0);
      assertThat(word.get(JAVA_INT, 0)).isEqualTo(9);
    }
  }

  @Test
  void refusesMoreThanThereIs() {
    long total = cuda.memoryInfo().total();
    assertThatThrownBy(() -> cuda.allocate(2 * total))
        .isInstanceOf(CudaException.class)
        .hasMessageContaining("out of memory on")
        .hasMessageContaining(CudaException.size(2 * total))
        .hasMessageContaining("--batch-size")
        .hasMessageContaining("--gradient-accumulation-steps");
    cuda.allocate(256).close();
  }

  @Test
  void refusesWorkAfterItIsClosed() {
    DeviceMemory m = cuda.allocate(256);
    cuda.close();
    assertThatThrownBy(() -> cuda.fill(m, 0, 256, 0))
        .isInstanceOf(IllegalStateException.class)
        .hasMessageContaining("closed");
    m.close();
    cuda.close();
  }

  /** While another one keeps the driver's context. */
  @Test
  void aClosedDeviceHasFreedItsMemory() {
    int bytes = 64 << 20;
    long before = cuda.memoryInfo().free();
    DeviceMemory left;
    try (Cuda other = TestCuda.open((family, capability, emulated) -> null)) {
      left = other.allocate(bytes);
      assertThat(cuda.memoryInfo().free()).isLessThanOrEqualTo(before - bytes);
    }
    assertThat(cuda.memoryInfo().free()).isGreaterThan(before - bytes / 2);
    assertThatThrownBy(left::address).hasMessageContaining("closed");
  }

  @Test
  void theProcessHasOneKindOfDriver() {
    assertThatThrownBy(
            () -> {
              Cuda other =
                  cuda.properties().emulated()
                      ? Cuda.open(0, (f, c, e) -> null)
                      : Cuda.emulated((f, c, e) -> null);
              other.close();
            })
        .isInstanceOf(IllegalStateException.class)
        .hasMessageContaining("one of the two");
  }

  @Test
  void namesTheFamiliesItLookedFor() {
    assertThatThrownBy(() -> cuda.kernel("rms_norm_forward", DType.BF16))
        .isInstanceOf(CudaException.class)
        .hasMessageContaining("rms_norm_forward_bf16")
        .hasMessageContaining("looked for rms_norm_forward_bf16, rms_norm_forward, rms_norm, rms");
  }

  @Test
  void saysWhenAnImageIsForAnotherDevice() {
    byte[] wrong = new byte[4096];
    try (Cuda other = TestCuda.open((family, c, e) -> family.equals("fill") ? wrong : null)) {
      assertThatThrownBy(() -> other.kernel("fill", DType.F32))
          .isInstanceOf(CudaException.class)
          .hasMessageContaining("the image of kernels 'fill' was refused: CUDA_ERROR_");
    }
  }
}
