package dev.javelin.kernels.cpu;

import static org.assertj.core.api.Assertions.assertThat;

import dev.javelin.device.Cpu;
import dev.javelin.device.DType;
import dev.javelin.device.HostMemory;
import java.lang.management.ManagementFactory;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;

/**
 * In a virtual machine of its own, as every class here: one that has seen vectors of several widths
 * keeps more of them on the heap.
 */
class MatmulAllocationTest {
  private static final int M = 300;
  private static final int N = 100;
  private static final int K = 200;

  /**
   * A tile's two slices of its panels are objects where the compiler does not inline {@code
   * asSlice}, which depends on what it had counted by then. A vector kept on the heap in the loop
   * over k would be a hundred times that.
   */
  private static final long TILE_BYTES = 2 * 48;

  @Test
  void allocatesOffTheHeapOnlyTheFirstTimeAndLittleOnIt() {
    MatmulTile tile = MatmulTile.of(Lanes.SPECIES.vectorBitSize());
    long little = 1000 + TILE_BYTES * Math.ceilDiv(M, tile.rows) * Math.ceilDiv(N, tile.cols);
    var threads = (com.sun.management.ThreadMXBean) ManagementFactory.getThreadMXBean();
    try (Cpu cpu = Cpu.open(2);
        HostMemory a = cpu.allocate(4L * M * K);
        HostMemory b = cpu.allocate(4L * N * K);
        HostMemory c = cpu.allocate(4L * M * N)) {
      long offHeap = Long.MAX_VALUE;
      long heapPerCall = Long.MAX_VALUE;
      // Vectors live on the heap until the loops are compiled, which may take long on a busy
      // machine.
      long patience = System.nanoTime() + TimeUnit.SECONDS.toNanos(120);
      while (heapPerCall > little && System.nanoTime() < patience) {
        offHeap = cpu.allocations();
        long before = threads.getCurrentThreadAllocatedBytes();
        for (int i = 0; i < 100; i++) {
          MatmulCpu.run(
              cpu,
              c.segment(),
              DType.F32,
              N,
              a.segment(),
              DType.F32,
              K,
              false,
              b.segment(),
              DType.F32,
              K,
              true,
              M,
              N,
              K,
              false);
        }
        heapPerCall = (threads.getCurrentThreadAllocatedBytes() - before) / 100;
      }
      assertThat(cpu.allocations()).isEqualTo(offHeap);
      assertThat(heapPerCall).isLessThanOrEqualTo(little);
    }
  }
}
