package dev.javelin.bench;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.javelin.bench.ProductPipeline.Store;
import org.junit.jupiter.api.Test;

class PublishedTest {

  /** And nothing is excused that the model does reproduce. */
  @Test
  void figuresAreWithinTenPercentUnlessItIsSaidWhyNot() {
    for (Published p : Published.all()) {
      double error = Math.abs(p.ratio() - 1);
      if (p.apart().isEmpty()) {
        assertThat(error).as(p.row()).isLessThanOrEqualTo(Published.TOLERANCE);
      } else {
        assertThat(error).as(p.row()).isGreaterThan(Published.TOLERANCE);
      }
    }
  }

  @Test
  void mostFiguresAreReproduced() {
    assertThat(Published.all().stream().filter(p -> p.apart().isEmpty()).count())
        .isGreaterThanOrEqualTo(40);
  }

  /** The ladder's order: each rung that the source says is faster is faster here. */
  @Test
  void laterRungsAreFaster() {
    double before = 0;
    for (Published p : Published.all()) {
      if (p.kernel().startsWith("fast.cu") && p.shape().equals("4096³")) {
        assertThat(p.predicted()).as(p.kernel()).isGreaterThan(before);
        before = p.predicted();
      }
    }
    assertThat(before).isPositive();
  }

  @Test
  void aHalfEmptyLastRoundCostsAWholeOne() {
    ProductPipeline kernel =
        new ProductPipeline(128, 256, 64, 4, 2, 1, 132, 1, 1, 1, false, 0, Store.STMATRIX);
    double full = kernel.predict(SmMachine.H200, 128 * 12, 256 * 11, 4096).expected();
    double more = kernel.predict(SmMachine.H200, 128 * 12, 256 * 12, 4096).expected();
    double twice = kernel.predict(SmMachine.H200, 128 * 24, 256 * 11, 4096).expected();
    assertThat(more).isCloseTo(twice, within(0.02 * twice));
    assertThat(full).isLessThan(0.6 * twice);
  }
}
