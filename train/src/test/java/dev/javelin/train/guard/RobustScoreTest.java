package dev.javelin.train.guard;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class RobustScoreTest {
  private static double median(List<Double> values) {
    List<Double> sorted = new ArrayList<>(values);
    Collections.sort(sorted);
    int n = sorted.size();
    return (sorted.get((n - 1) / 2) + sorted.get(n / 2)) / 2;
  }

  @ParameterizedTest
  @ValueSource(ints = {8, 31, 100})
  void isTheDistanceFromTheMedianInDeviationsOfTheLastNumbers(int window) {
    RobustScore score = new RobustScore(window, 0.02);
    Random random = new Random(7);
    List<Double> last = new ArrayList<>();
    assertThat(score.of(1)).isNaN();
    for (int i = 0; i < 3 * window; i++) {
      double x = 3 + random.nextGaussian() * (i % 5 == 0 ? 2 : 0.3);
      score.learn(x);
      last.add(x);
      if (last.size() > window) {
        last.removeFirst();
      }
      double m = median(last);
      double mad = median(last.stream().map(v -> Math.abs(v - m)).toList());
      double expected = (x - m) / (1.4826 * Math.max(mad, 0.02 * Math.abs(m)));
      assertThat(score.of(x)).isCloseTo(expected, within(1e-12));
    }
  }

  @Test
  void aFloorKeepsWhatHardlyVariesFromBeingASpike() {
    RobustScore floored = new RobustScore(8, 0.02);
    RobustScore bare = new RobustScore(8, 0);
    for (int i = 0; i < 8; i++) {
      floored.learn(2);
      bare.learn(2);
    }
    assertThat(floored.of(2.01)).isBetween(0.1, 0.2);
    assertThat(floored.of(3)).isGreaterThan(15);
    assertThat(bare.of(2.01)).isInfinite();
    assertThat(bare.of(2)).isZero();
    assertThat(bare.of(1)).isZero();
    assertThat(floored.of(Double.NaN)).isInfinite();
  }

  @Test
  void nearlyHalfOfTheNumbersMayBeAnything() {
    RobustScore score = new RobustScore(101, 0.02);
    for (int i = 0; i < 101; i++) {
      score.learn(i % 2 == 0 ? 2 + 0.001 * i : 1e6);
    }
    assertThat(score.of(4)).isGreaterThan(5);
  }

  @Test
  void whatItKnowsComesBack() {
    RobustScore one = new RobustScore(16, 0.02);
    Random random = new Random(3);
    for (int i = 0; i < 41; i++) {
      one.learn(random.nextDouble());
    }
    RobustScore other = new RobustScore(16, 0.02);
    other.restore(one.save());
    for (int i = 0; i < 20; i++) {
      double x = random.nextDouble();
      assertThat(other.of(x)).isEqualTo(one.of(x));
      one.learn(x);
      other.learn(x);
    }
    assertThat(other.save()).isEqualTo(one.save());
  }
}
