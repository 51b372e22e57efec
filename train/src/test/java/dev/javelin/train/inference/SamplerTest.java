package dev.javelin.train.inference;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.util.Set;
import java.util.TreeSet;
import org.junit.jupiter.api.Test;

class SamplerTest {
  private static final float[] LOGITS = {
    (float) Math.log(0.1), (float) Math.log(0.4), -100, (float) Math.log(0.2), (float) Math.log(0.3)
  };

  @Test
  void greedyTakesTheFirstOfTheLargest() {
    assertThat(Sampler.GREEDY.next(new float[] {1, 3, -2, 3}, 0)).isEqualTo(1);
  }

  @Test
  void frequenciesAreTheProbabilities() {
    int draws = 40_000;
    int[] counts = count(new Sampler(1, 0, 1, 7), draws);
    double[] p = {0.1, 0.4, 0, 0.2, 0.3};
    for (int i = 0; i < p.length; i++) {
      // Four standard deviations of a binomial share.
      double bound = 4 * Math.sqrt(p[i] * (1 - p[i]) / draws) + 1e-9;
      assertThat((double) counts[i] / draws).as("token %d", i).isCloseTo(p[i], within(bound));
    }
  }

  @Test
  void temperatureSharpens() {
    // p² / Σp² = 0.16 / 0.30 for the likeliest.
    double share = count(new Sampler(0.5, 0, 1, 3), 40_000)[1] / 40_000.0;
    assertThat(share).isCloseTo(0.16 / 0.30, within(0.01));
  }

  @Test
  void topKAndTopPKeepTheLikeliestOnly() {
    assertThat(drawn(new Sampler(1, 2, 1, 1))).containsExactly(1, 4);
    assertThat(drawn(new Sampler(1, 0, 0.39, 1))).containsExactly(1);
    assertThat(drawn(new Sampler(1, 0, 0.71, 1))).containsExactly(1, 3, 4);
    assertThat(drawn(new Sampler(1, 2, 0.71, 1))).containsExactly(1, 4);
  }

  @Test
  void theSameSeedAndDrawGiveTheSameToken() {
    Sampler s = new Sampler(1, 0, 1, 5);
    for (int i = 0; i < 50; i++) {
      assertThat(s.next(LOGITS, i)).isEqualTo(s.next(LOGITS, i));
    }
    assertThat(count(new Sampler(1, 0, 1, 5), 50)).isNotEqualTo(count(new Sampler(1, 0, 1, 6), 50));
  }

  @Test
  void wrongSettingsAndBrokenLogitsAreNamed() {
    assertThatThrownBy(() -> new Sampler(-1, 0, 1, 0)).hasMessageContaining("--temperature");
    assertThatThrownBy(() -> new Sampler(1, -1, 1, 0)).hasMessageContaining("--top-k");
    assertThatThrownBy(() -> new Sampler(1, 0, 0, 0)).hasMessageContaining("--top-p");
    assertThatThrownBy(() -> Sampler.GREEDY.next(new float[] {1, Float.NaN}, 0))
        .hasMessageContaining("NaN");
  }

  private static int[] count(Sampler sampler, int draws) {
    int[] counts = new int[LOGITS.length];
    for (int i = 0; i < draws; i++) {
      counts[sampler.next(LOGITS, i)]++;
    }
    return counts;
  }

  private static Set<Integer> drawn(Sampler sampler) {
    Set<Integer> tokens = new TreeSet<>();
    for (int i = 0; i < 500; i++) {
      tokens.add(sampler.next(LOGITS, i));
    }
    return tokens;
  }
}
