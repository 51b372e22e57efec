package dev.javelin.train.settings;

import org.jspecify.annotations.Nullable;

/**
 * Averages of weights beside those that are trained.
 *
 * @param emaDecay of an exponential moving average a step; {@code null} for none
 * @param averageCheckpoints how many of the newest checkpoints to average at the end of the run; 0
 *     for none
 */
public record AverageSpec(
    @Also({"ema", "ema_rate"}) @Nullable Double emaDecay, int averageCheckpoints) {
  /** No averages. */
  public static final AverageSpec DEFAULT = new AverageSpec(null, 0);

  public AverageSpec {
    Checks.require(
        emaDecay == null || emaDecay >= 0 && emaDecay < 1,
        "--ema-decay must lie between 0 and 1 (exclusive), got " + emaDecay);
    Checks.atLeast(0, "--average-checkpoints", averageCheckpoints);
  }

  public AverageSpec withEmaDecay(@Nullable Double value) {
    return Components.with(this, "emaDecay", value);
  }

  public AverageSpec withAverageCheckpoints(int value) {
    return Components.with(this, "averageCheckpoints", value);
  }
}
