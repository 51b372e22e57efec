package dev.javelin.kernels.cuda;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Random;
import org.junit.jupiter.api.Test;

class MatmulPlanTest {
  private static final int H200 = 132;

  @Test
  void partialSumsNeverTakeMoreThanSixTilesForEachMultiprocessor() {
    Random random = new Random(5);
    for (int i = 0; i < 20_000; i++) {
      int m = 1 + (int) Math.exp(random.nextDouble() * 11);
      int n = 1 + (int) Math.exp(random.nextDouble() * 11);
      int k = 1 + (int) Math.exp(random.nextDouble() * 12);
      int batch = 1 + random.nextInt(3);
      int multiprocessors = 1 + random.nextInt(150);
      MatmulPlan plan = MatmulPlan.of(m, n, k, batch, multiprocessors);
      String sizes = "%d x %d x %d, %d times on %d".formatted(m, n, k, batch, multiprocessors);
      if (plan.parts() > 1) {
        assertThat(plan.tiles(m, n) * batch * plan.parts())
            .as(sizes)
            .isLessThanOrEqualTo(6L * multiprocessors);
      }
      assertThat((plan.parts() - 1L) * plan.depth()).as("%s: the last part", sizes).isLessThan(k);
      assertThat((long) plan.parts() * plan.depth()).as(sizes).isGreaterThanOrEqualTo(k);
      assertThat(plan.depth() % 32).as(sizes).isZero();
    }
  }

  @Test
  void whatATrainingStepMultipliesGetsTheTilesItWants() {
    // GPT-2 124M, 16k tokens: forward and input gradients fill the card with big tiles …
    assertThat(MatmulPlan.of(16384, 768, 768, 1, H200)).isEqualTo(new MatmulPlan(128, 1, 768));
    assertThat(MatmulPlan.of(16384, 3072, 768, 1, H200)).isEqualTo(new MatmulPlan(128, 1, 768));
    // … a weight's gradient has 36 of them, so its tokens are cut into 7 parts of about 2340 …
    assertThat(MatmulPlan.of(768, 768, 16384, 1, H200)).isEqualTo(new MatmulPlan(128, 7, 2368));
    // … and that of a wider layer, 144 tiles, which alone would leave most of the card waiting for
    // twelve multiprocessors with two of them, into as many as share out well …
    assertThat(MatmulPlan.of(3072, 768, 32768, 1, H200)).isEqualTo(new MatmulPlan(128, 5, 6560));
    // … and a single token's product, 12 small ones, is cut as far as pays.
    assertThat(MatmulPlan.of(1, 768, 768, 1, H200)).isEqualTo(new MatmulPlan(64, 3, 256));
    assertThat(MatmulPlan.of(8, 8, 8, 1, H200)).isEqualTo(new MatmulPlan(64, 1, 32));
  }

  @Test
  void aPartIsNeverEmpty() {
    assertThat(MatmulPlan.inParts(64, 5, 33)).isEqualTo(new MatmulPlan(64, 2, 32));
    assertThat(MatmulPlan.inParts(64, 3, 100)).isEqualTo(new MatmulPlan(64, 2, 64));
    assertThat(MatmulPlan.inParts(64, 1, 1)).isEqualTo(new MatmulPlan(64, 1, 32));
  }
}
