package dev.javelin.kernels.cuda;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.util.Random;
import org.junit.jupiter.api.Test;

class MatmulHopperPlanTest {
  private static final int H200 = 132;

  private static MatmulHopperPlan alone(int columns, int parts, int depth) {
    return new MatmulHopperPlan(columns, parts, depth, 1);
  }

  @Test
  void partsCoverKAndTheirSumsFitTheCache() {
    Random random = new Random(6);
    for (int i = 0; i < 5_000; i++) {
      int m = 1 + (int) Math.exp(random.nextDouble() * 11);
      int n = 1 + (int) Math.exp(random.nextDouble() * 11);
      int k = 1 + (int) Math.exp(random.nextDouble() * 12);
      int multiprocessors = 1 + random.nextInt(150);
      MatmulHopperPlan plan = MatmulHopperPlan.of(m, n, k, multiprocessors);
      String sizes = "%d x %d x %d on %d".formatted(m, n, k, multiprocessors);
      assertThat(plan.columns()).as(sizes).isIn(128, 192, 256);
      assertThat(plan.cluster()).as(sizes).isBetween(1, Math.min(2, multiprocessors));
      assertThat(plan.grid(m, n, multiprocessors) % plan.cluster()).as(sizes).isZero();
      assertThat((plan.parts() - 1L) * plan.depth()).as("%s: the last part", sizes).isLessThan(k);
      assertThat((long) plan.parts() * plan.depth()).as(sizes).isGreaterThanOrEqualTo(k);
      assertThat(plan.depth() % 64).as(sizes).isZero();
      if (plan.parts() > 1) {
        assertThat((long) plan.parts() * m * n)
            .as(sizes)
            .isLessThanOrEqualTo(6L * 128 * 128 * multiprocessors);
      }
    }
  }

  @Test
  void theModelAddsUpWhatItSays() {
    // 32 x 16 tiles are 4 turns; 64 steps of 128·256·64/2048 clocks, more than 49152 bytes at 46.2.
    double step = Math.max(1024, 384 * 128 / (6100.0 / H200));
    assertThat(alone(256, 1, 4096).clocks(4096, 4096, H200))
        .isCloseTo(4 * (64 * step + 3 * 256) + 1500, within(1e-6));
    // Of pairs each block fetches half of the columns' operand: 32768 bytes take less than 1024.
    assertThat(alone(256, 1, 4096).inClusters(2).clocks(4096, 4096, H200))
        .isEqualTo(4 * (64 * 1024 + 3 * 256) + 2000);
    // One block has the L2 cache to itself, as far as its multiprocessor can read.
    assertThat(alone(128, 1, 64).clocks(1, 1, H200)).isEqualTo(512 + 3 * 128 + 1500);
    // Parts of k write and read 2·4·m·n bytes each, in a launch of their own.
    assertThat(alone(128, 2, 64).clocks(1, 6100, 1))
        .isEqualTo(96 * (512 + 3 * 128) + 1500 + 4000 + 16);
    // Of an odd number of tile rows, a pair's last tile lies below the matrix.
    assertThat(alone(128, 1, 64).inClusters(2).work(300, 256)).isEqualTo(8);
    assertThat(alone(128, 1, 64).inClusters(2).grid(300, 256, 7)).isEqualTo(6);
  }

  @Test
  void whatATrainingStepMultipliesGetsTheTilesItWants() {
    // 21 turns of 128·192 take less than 16 of 128·256, and no pair waits for the L2 cache.
    assertThat(MatmulHopperPlan.of(8192, 8192, 8192, H200))
        .isEqualTo(alone(192, 1, 8192).inClusters(2));
    // GPT-2 124M, 32k tokens: forward, the gradients of weights, and a head for few rows, which
    // has no use for the second block of a pair.
    assertThat(MatmulHopperPlan.of(32768, 3072, 768, H200))
        .isEqualTo(alone(256, 1, 768).inClusters(2));
    assertThat(MatmulHopperPlan.of(768, 768, 32768, H200)).isEqualTo(alone(256, 7, 4736));
    assertThat(MatmulHopperPlan.of(3072, 768, 32768, H200))
        .isEqualTo(alone(192, 4, 8192).inClusters(2));
    assertThat(MatmulHopperPlan.of(8, 50304, 768, H200)).isEqualTo(alone(192, 1, 768));
  }

  @Test
  void aPartIsNeverEmpty() {
    assertThat(MatmulHopperPlan.inParts(256, 5, 130)).isEqualTo(alone(256, 3, 64));
    assertThat(MatmulHopperPlan.inParts(128, 1, 1)).isEqualTo(alone(128, 1, 64));
  }
}
