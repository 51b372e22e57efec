package dev.javelin.kernels.cpu;

import static org.assertj.core.api.Assertions.assertThat;

import dev.javelin.device.Cpu;
import dev.javelin.device.DType;
import dev.javelin.device.HostMemory;
import java.lang.management.ManagementFactory;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * In a virtual machine of its own, as every class here: one that has seen vectors of several widths
 * keeps more of them on the heap.
 */
class MatmulAllocationTest {
  private static final int M = 300;
  private static final int N = 100;
  private static final int K = 200;
  private static final int CALLS = 20;

  /**
   * A tile's two slices of its panels are objects where the compiler does not inline {@code
   * asSlice}, which depends on what it had counted by then. A vector kept on the heap in the loop
   * over k would be a hundred times that.
   */
  private static final long TILE_BYTES = 2 * 48;

  /** Also of bf16, whose panels are others; the twin stands for machine code. */
  static Stream<Arguments> types() {
    return Stream.of(
        Arguments.of(DType.F32, MatmulTile.fastest()),
        Arguments.of(DType.BF16, new MatmulTileTwin(MatmulTileBf16.ROWS, MatmulTileBf16.COLS)));
  }

  @ParameterizedTest
  @MethodSource("types")
  void allocatesOffTheHeapOnlyTheFirstTimeAndLittleOnIt(DType type, MatmulTile tile) {
    long little = 1000 + TILE_BYTES * Math.ceilDiv(M, tile.rows) * Math.ceilDiv(N, tile.cols);
    var threads = (com.sun.management.ThreadMXBean) ManagementFactory.getThreadMXBean();
    try (Cpu cpu = Cpu.open(2);
        HostMemory a = cpu.allocate(4L * M * K);
        HostMemory b = cpu.allocate(4L * N * K);
        HostMemory c = cpu.allocate(4L * M * N)) {
      Runnable product =
          () ->
              MatmulCpu.run(
                  cpu,
                  tile,
                  c.segment(),
                  DType.F32,
                  N,
                  a.segment(),
                  type,
                  K,
                  false,
                  b.segment(),
                  type,
                  K,
                  true,
                  M,
                  N,
                  K,
                  false,
                  MatmulEpilogue.NONE);
      product.run();
      long offHeap = cpu.allocations();
      long heapPerCall = Long.MAX_VALUE;
      // Vectors live on the heap until the loops are compiled, which may take long on a busy
      // machine.
      long patience = System.nanoTime() + TimeUnit.SECONDS.toNanos(120);
      while (heapPerCall > little && System.nanoTime() < patience) {
        long before = threads.getCurrentThreadAllocatedBytes();
        for (int i = 0; i < CALLS; i++) {
          product.run();
        }
        heapPerCall = (threads.getCurrentThreadAllocatedBytes() - before) / CALLS;
      }
      assertThat(cpu.allocations()).isEqualTo(offHeap);
      assertThat(heapPerCall).isLessThanOrEqualTo(little);
    }
  }
}
