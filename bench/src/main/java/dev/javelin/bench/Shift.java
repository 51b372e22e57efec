package dev.javelin.bench;

import java.util.Arrays;

/**
 * How far the times of a changed program lie from those of the program before, of runs in pairs:
 * the Hodges–Lehmann estimate of the ratio (the median over the averages of two pairs, in
 * logarithms), with the interval that belongs to Wilcoxon's signed-rank test. The interval is exact
 * for any number of pairs and asks only that chance moves a pair up as often as down.
 *
 * @param ratio head / base: above 1 is slower
 * @param low of the interval; 0 where so few pairs can show nothing
 * @param high infinite where so few pairs can show nothing
 * @see <a href="https://doi.org/10.1214/aoms/1177704172">Hodges and Lehmann, 1963</a>
 */
record Shift(double ratio, double low, double high) {
  enum Verdict {
    SLOWER,
    FASTER,
    SAME
  }

  /**
   * @param base times of the program before; {@code base[i]} and {@code head[i]} ran side by side
   * @param head times of the changed program
   * @param error how often the interval may miss the truth, for instance 0.05
   */
  static Shift of(double[] base, double[] head, double error) {
    int n = base.length;
    if (n == 0 || n != head.length) {
      throw new IllegalArgumentException(
          "pairs expected, got " + n + " times of base and " + head.length + " of head");
    }
    double[] averages = new double[n * (n + 1) / 2];
    int count = 0;
    for (int i = 0; i < n; i++) {
      for (int j = 0; j <= i; j++) {
        averages[count++] = (Math.log(head[i] / base[i]) + Math.log(head[j] / base[j])) / 2;
      }
    }
    Arrays.sort(averages);
    double middle = (averages[(count - 1) / 2] + averages[count / 2]) / 2;
    int cut = cut(n, error);
    return cut < 0
        ? new Shift(Math.exp(middle), 0, Double.POSITIVE_INFINITY)
        : new Shift(Math.exp(middle), Math.exp(averages[cut]), Math.exp(averages[count - 1 - cut]));
  }

  /**
   * How many of the sorted averages lie outside of the interval at either end: the largest k with
   * {@code 2 · P(T ≤ k) ≤ error}, T being the sum of ranks of positive signs, a coin for each rank;
   * -1 where there is none.
   */
  private static int cut(int n, double error) {
    double[] chance = new double[n * (n + 1) / 2 + 1]; // of each sum
    chance[0] = 1;
    for (int rank = 1; rank <= n; rank++) {
      for (int sum = chance.length - 1; sum >= 0; sum--) {
        chance[sum] = (chance[sum] + (sum >= rank ? chance[sum - rank] : 0)) / 2;
      }
    }
    double below = 0;
    int k = -1;
    while (2 * (below + chance[k + 1]) <= error) {
      below += chance[++k];
    }
    return k;
  }

  /** The fewest pairs with which an interval of that error is bounded: 2 · 2⁻ⁿ ≤ error. */
  static int fewestPairs(double error) {
    return (int) Math.ceil(1 - Math.log(error) / Math.log(2));
  }

  /** Beyond noise: the interval excludes 1; and by more than {@code threshold}, 0.03 for 3 %. */
  Verdict verdict(double threshold) {
    if (low > 1 && ratio > 1 + threshold) {
      return Verdict.SLOWER;
    }
    return high < 1 && ratio < 1 / (1 + threshold) ? Verdict.FASTER : Verdict.SAME;
  }
}
