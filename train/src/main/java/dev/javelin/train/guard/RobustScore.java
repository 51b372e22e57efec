package dev.javelin.train.guard;

import java.util.Arrays;

/**
 * How far a number lies above the usual: with the median {@code m} of the last W numbers that were
 * learned, and {@code MAD} the median of their distances from it,
 *
 * <pre>
 * z = (x − m) / (1.4826 · max(MAD, floor · |m|))
 * </pre>
 *
 * Of normally distributed numbers 1.4826 · MAD is the standard deviation, and up to half of the
 * numbers may be anything at all without moving z by much. The floor keeps numbers that hardly vary
 * from making a spike of nothing.
 *
 * @see <a href="https://doi.org/10.1080/01621459.1993.10476408">Rousseeuw, Croux: Alternatives to
 *     the median absolute deviation, 1993</a>
 */
final class RobustScore {
  private static final double NORMAL = 1.4826;

  private final double floor;
  private final double[] window; // a ring
  private final double[] sorted;
  private int count;
  private int next;

  /**
   * @param size W
   * @param floor of MAD, as a part of the median
   */
  RobustScore(int size, double floor) {
    this.window = new double[size];
    this.sorted = new double[size];
    this.floor = floor;
  }

  /** How many numbers it knows, W at most. */
  int count() {
    return count;
  }

  /** z; NaN where it knows none, infinity for what is no number. */
  double of(double x) {
    if (count == 0) {
      return Double.NaN;
    }
    if (!Double.isFinite(x)) {
      return Double.POSITIVE_INFINITY;
    }
    System.arraycopy(window, 0, sorted, 0, count);
    double median = median();
    for (int i = 0; i < count; i++) {
      sorted[i] = Math.abs(sorted[i] - median);
    }
    double spread = Math.max(median(), floor * Math.abs(median));
    double above = x - median;
    return spread == 0 ? (above > 0 ? Double.POSITIVE_INFINITY : 0) : above / (NORMAL * spread);
  }

  private double median() {
    Arrays.sort(sorted, 0, count);
    int middle = count / 2;
    return count % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
  }

  /** Takes a finite number in, in the place of the oldest where there are W. */
  void learn(double x) {
    window[next] = x;
    next = (next + 1) % window.length;
    count = Math.min(count + 1, window.length);
  }

  void forget() {
    count = 0;
    next = 0;
  }

  /** What it knows, the oldest first. */
  double[] save() {
    double[] all = new double[count];
    for (int i = 0; i < count; i++) {
      all[i] = window[(next - count + i + window.length) % window.length];
    }
    return all;
  }

  /** Takes what {@link #save} gave; the newest W of it. */
  void restore(double[] saved) {
    forget();
    for (double x : saved) {
      learn(x);
    }
  }
}
