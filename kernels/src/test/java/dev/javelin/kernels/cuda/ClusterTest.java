package dev.javelin.kernels.cuda;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.javelin.device.CudaException;
import dev.javelin.device.CudaGraph;
import dev.javelin.device.CudaKernel;
import dev.javelin.device.DeviceMemory;
import dev.javelin.device.TestMachine;
import java.util.function.Consumer;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Blocks that run together and reach each other's shared memory: compute capability 9.0. */
class ClusterTest {
  private static final String MACHINES = "dev.javelin.device.TestMachine#andChecked";
  private static final int RING_LENGTH = 5;

  /** An older device refuses clusters, or the first instruction that asks for its own. */
  private static void onHopper(TestMachine machine, Consumer<Gpu> test) {
    try (Gpu gpu = Gpu.open(machine)) {
      if (gpu.capability() >= 90) {
        test.accept(gpu);
      } else {
        assumeTrue(gpu.isEmulated(), "needs compute capability 9.0");
        assertThatThrownBy(() -> test.accept(gpu))
            .isInstanceOf(CudaException.class)
            .hasMessageMatching("(?s).*needs? compute capability 9.0.*");
      }
    }
  }

  @ParameterizedTest
  @MethodSource(MACHINES)
  void everyBlockReachesTheMemoryOfAll(TestMachine machine) {
    onHopper(
        machine,
        gpu -> {
          for (int blocks : new int[] {1, 2, 4, 8}) {
            DeviceMemory out = gpu.bytes(4L * 3 * 24);
            gpu.kernel("check_cluster_sum").grid(8, 3).cluster(blocks).ptr(out).run();
            int[] got = gpu.ints(out, 3 * 24);
            for (int block = 0; block < 24; block++) {
              int rank = block % blocks;
              int sum = 7 * rank;
              for (int i = 0; i < blocks; i++) {
                sum += 100 * i + rank;
              }
              assertThat(new int[] {got[3 * block], got[3 * block + 1], got[3 * block + 2]})
                  .as("block %d, clusters of %d", block, blocks)
                  .containsExactly(rank, blocks, sum);
            }
          }
        });
  }

  @ParameterizedTest
  @MethodSource(MACHINES)
  void arrivalsCrossFromBlockToBlock(TestMachine machine) {
    onHopper(
        machine,
        gpu -> {
          DeviceMemory out = gpu.bytes(4L * 4 * RING_LENGTH * 32);
          gpu.kernel("check_cluster_ring").grid(4).cluster(2).ptr(out).i32(RING_LENGTH).run();
          assertRing(gpu, out);
        });
  }

  private static void assertRing(Gpu gpu, DeviceMemory out) {
    int[] got = gpu.ints(out, 4 * RING_LENGTH * 32);
    for (int i = 0; i < got.length; i++) {
      int block = i / 32 / RING_LENGTH;
      assertThat(got[i])
          .as("element %d", i)
          .isEqualTo(1000 * (i / 32 % RING_LENGTH) + 100 * (1 - block % 2) + 31 - i % 32);
    }
  }

  /** The source says how many blocks, so a launch need not. */
  @ParameterizedTest
  @MethodSource(MACHINES)
  void aGraphRepeatsThem(TestMachine machine) {
    onHopper(
        machine,
        gpu -> {
          DeviceMemory one = gpu.bytes(4L * 4 * RING_LENGTH * 32);
          DeviceMemory other = gpu.bytes(4L * 4 * RING_LENGTH * 32);
          CudaKernel ring = gpu.kernel("check_cluster_ring"); // before anything is captured
          Runnable both =
              () -> {
                ring.grid(4).cluster(2).ptr(one).i32(RING_LENGTH).run();
                ring.grid(4).ptr(other).i32(RING_LENGTH).run();
              };
          try (CudaGraph graph = CudaGraph.capture(gpu.cuda(), both)) {
            graph.launch();
            graph.launch();
            assertRing(gpu, one);
            assertRing(gpu, other);
          }
        });
  }

  @ParameterizedTest
  @MethodSource(MACHINES)
  void multicastBringsTilesToBoth(TestMachine machine) {
    onHopper(machine, gpu -> assertThat(Multicast.run(gpu)).isEmpty());
  }

  @ParameterizedTest
  @MethodSource("dev.javelin.device.TestMachine#all")
  void clustersThatCannotBeAreRefused(TestMachine machine) {
    try (Gpu gpu = Gpu.open(machine)) {
      assumeTrue(gpu.capability() >= 90, "needs compute capability 9.0");
      DeviceMemory out = gpu.bytes(4L * 3 * 24);
      for (int blocks : new int[] {3, 32}) {
        assertThatThrownBy(
                () -> gpu.kernel("check_cluster_sum").grid(8).cluster(blocks).ptr(out).run())
            .as("clusters of %d", blocks)
            .isInstanceOf(CudaException.class);
      }
      assertThatThrownBy(
              () -> gpu.kernel("check_cluster_ring").grid(4).cluster(4).ptr(out).i32(1).run())
          .isInstanceOf(CudaException.class);
      assertThatThrownBy(() -> gpu.kernel("check_cluster_ring").grid(3).ptr(out).i32(1).run())
          .isInstanceOf(CudaException.class);
    }
  }
}
