package dev.javelin.train.schedule;

/** The first part of every schedule, and the checks they share. */
final class Warmup {
  private Warmup() {}

  /** {@code max·(s + 1)/warmup}: the first step already moves, the last one reaches the maximum. */
  static double at(long step, double max, int warmup) {
    return max * (step + 1) / warmup;
  }

  /** Where {@code step} stands between {@code from} and {@code to}, at most 1. */
  static double progress(long step, int from, int to) {
    return Math.clamp((double) (step - from) / (to - from), 0.0, 1.0);
  }

  static void check(double max, int warmup) {
    if (!(max >= 0) || Double.isInfinite(max)) {
      throw new IllegalArgumentException("the learning rate must be 0 or more, got " + max);
    }
    if (warmup < 0) {
      throw new IllegalArgumentException("warmup must be 0 or more, got " + warmup);
    }
  }

  static void checkTotal(double max, double min, int warmup, int total) {
    if (!(min >= 0 && min <= max)) {
      throw new IllegalArgumentException(
          "the smallest learning rate must lie between 0 and the largest, " + max + ", got " + min);
    }
    if (total <= warmup) {
      throw new IllegalArgumentException(
          "the schedule needs more steps than its warm-up: " + total + " against " + warmup);
    }
  }
}
