package dev.javelin.bench;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.javelin.bench.Regress.Samples;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.Test;

/** On samples that are made up. */
class RegressTest {
  private static final int CASES = 10;
  private static final int PAIRS = 16;

  /** As runs are: some per cent of noise, a drift of both, now and then one that is disturbed. */
  private static Map<String, Samples> samples(Random random, double lastGrows) {
    Map<String, Samples> all = new LinkedHashMap<>();
    for (int c = 0; c < CASES; c++) {
      Samples s = new Samples();
      for (int i = 0; i < PAIRS; i++) {
        double drift = 10 * (1 + 0.02 * i);
        s.base().add(drift * noise(random));
        s.head().add(drift * noise(random) * (c == CASES - 1 ? lastGrows : 1));
      }
      all.put("op " + c, s);
    }
    return all;
  }

  private static double noise(Random random) {
    double disturbed = random.nextInt(16) == 0 ? 1.2 : 1;
    return Math.exp(0.03 * random.nextGaussian()) * disturbed;
  }

  @Test
  void noChangeIsSilentInNineteenOfTwentyTrials() {
    Random random = new Random(14);
    int silent = 0;
    for (int trial = 0; trial < 200; trial++) {
      if (Regress.report(samples(random, 1), 0).table().contains("\n0 of 10 cases moved")) {
        silent++;
      }
    }
    assertThat(silent).isGreaterThanOrEqualTo(190);
  }

  @Test
  void seesOneCaseThatGotSlowerOrFaster() {
    Random random = new Random(15);
    int slower = 0;
    int faster = 0;
    for (int trial = 0; trial < 100; trial++) {
      Regress.Report grown = Regress.report(samples(random, 1.2), 0.03);
      slower += grown.slower() && grown.table().contains("| slower |") ? 1 : 0;
      Regress.Report shrunk = Regress.report(samples(random, 1 / 1.2), 0.03);
      faster += !shrunk.slower() && shrunk.table().contains("| faster |") ? 1 : 0;
    }
    assertThat(slower).isGreaterThan(90);
    assertThat(faster).isGreaterThan(90);
  }

  @Test
  void theIntervalIsWilcoxons() {
    // Of 6 pairs and 5 %: the sum 0 has the chance 1/64, twice that is 3.1 %, so the interval is
    // from the least to the greatest ratio (table of the signed-rank test: n = 6, critical 0).
    double[] base = {1, 1, 1, 1, 1, 1};
    double[] head = {1.01, 1.02, 1.04, 1.08, 1.16, 1.32};
    Shift shift = Shift.of(base, head, 0.05);
    assertThat(shift.low()).isCloseTo(1.01, within(1e-12));
    assertThat(shift.high()).isCloseTo(1.32, within(1e-12));
    assertThat(shift.ratio()).isBetween(1.04, 1.16);
    assertThat(shift.verdict(0.03)).isEqualTo(Shift.Verdict.SLOWER);
    assertThat(Shift.of(head, base, 0.05).verdict(0.03)).isEqualTo(Shift.Verdict.FASTER);
  }

  @Test
  void aChangeBelowTheThresholdIsNotWorthAWord() {
    double[] base = {1, 1, 1, 1, 1, 1};
    double[] head = {1.011, 1.012, 1.013, 1.014, 1.015, 1.016};
    assertThat(Shift.of(base, head, 0.05).verdict(0.03)).isEqualTo(Shift.Verdict.SAME);
    assertThat(Shift.of(base, head, 0.05).verdict(0.01)).isEqualTo(Shift.Verdict.SLOWER);
  }

  @Test
  void tooFewPairsShowNothing() {
    double[] base = {1, 1, 1, 1, 1};
    double[] head = {9, 9, 9, 9, 9};
    assertThat(Shift.of(base, head, 0.05).verdict(0.03)).isEqualTo(Shift.Verdict.SAME);
    assertThat(Shift.fewestPairs(0.05)).isEqualTo(6);
    assertThat(Shift.fewestPairs(0.05 / 10)).isEqualTo(9);
    assertThatThrownBy(() -> Shift.of(base, new double[3], 0.05))
        .hasMessageContaining("pairs expected");
  }
}
