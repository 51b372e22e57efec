package dev.javelin.train.inference;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.util.Arrays;
import java.util.Set;
import java.util.SplittableRandom;
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
  void minPKeepsWhatIsLikelyAgainstTheLikeliest() {
    assertThat(drawn(new Sampler(1, 0, 1, 0.49, 1))).containsExactly(1, 3, 4);
    assertThat(drawn(new Sampler(1, 0, 1, 0.51, 1))).containsExactly(1, 4);
    assertThat(drawn(new Sampler(1, 0, 1, 1, 1))).containsExactly(1);
    // Of p², where 0.2² / 0.4² = 0.25.
    assertThat(drawn(new Sampler(0.5, 0, 1, 0.26, 1))).containsExactly(1, 4);
  }

  /**
   * The definition in double: each filter in turn over the whole row, then the inverse of the sum.
   */
  @Test
  void everyDrawIsTheOneOfTheDefinition() {
    SplittableRandom random = new SplittableRandom(9);
    for (int round = 0; round < 500; round++) {
      float[] logits = new float[random.nextInt(1, 60)];
      for (int i = 0; i < logits.length; i++) {
        logits[i] = random.nextInt(6) == 0 ? 1.5f : (float) (8 * random.nextDouble() - 4);
      }
      double temperature = 0.2 + 2 * random.nextDouble();
      int topK = random.nextInt(0, 12);
      double topP = random.nextInt(3) == 0 ? 1 : 0.05 + 0.95 * random.nextDouble();
      double minP = random.nextInt(3) == 0 ? 0 : random.nextDouble();
      Sampler sampler = new Sampler(temperature, topK, topP, minP, round);
      double[] p = definition(logits, temperature, topK, topP, minP);
      int draws = 60;
      for (int d = 0; d < draws; d++) {
        int token = sampler.next(logits, d);
        assertThat(p[token]).as("round %d, token %d of %s", round, token, sampler).isPositive();
      }
      Set<Integer> seen = new TreeSet<>();
      for (int d = 0; d < 400; d++) {
        seen.add(sampler.next(logits, d));
      }
      for (int i = 0; i < p.length; i++) {
        if (p[i] > 0.06) { // missed 400 times: once in 10¹⁰
          assertThat(seen).as("round %d, %s", round, sampler).contains(i);
        }
      }
    }
  }

  private static double[] definition(
      float[] logits, double temperature, int topK, double topP, double minP) {
    int n = logits.length;
    Integer[] order = new Integer[n];
    Arrays.setAll(order, i -> i);
    Arrays.sort(
        order, (a, b) -> logits[a] == logits[b] ? a - b : Float.compare(logits[b], logits[a]));
    double[] p = new double[n];
    for (int r = 0; r < n && (topK == 0 || r < topK); r++) {
      p[order[r]] = Math.exp(logits[order[r]] / temperature);
    }
    normalise(p);
    double before = 0;
    for (int r = 0; r < n; r++) {
      double mine = p[order[r]];
      p[order[r]] = before < topP || r == 0 ? mine : 0;
      before += mine;
    }
    normalise(p);
    double most = p[order[0]];
    for (int i = 0; i < n; i++) {
      p[i] = p[i] >= minP * most * (1 - 1e-12) ? p[i] : 0;
    }
    normalise(p);
    return p;
  }

  private static void normalise(double[] p) {
    double sum = Arrays.stream(p).sum();
    Arrays.setAll(p, i -> p[i] / sum);
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
    assertThatThrownBy(() -> new Sampler(1, 0, 1, 1.1, 0)).hasMessageContaining("--min-p");
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
