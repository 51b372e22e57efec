package dev.javelin.train.settings;

import org.jspecify.annotations.Nullable;

/**
 * What ends a run before its last step.
 *
 * @param maxTokens target tokens in all; {@code null} for no limit
 * @param maxTime that the run may take in all; {@code null} for no limit
 * @param targetLoss at which it is done; {@code null} for none
 * @param earlyStoppingPatience evaluations in a row without a better validation loss that end it;
 *     {@code null} for any number
 * @param earlyStoppingMinDelta by how much a loss must be smaller to be better
 */
public record StopSpec(
    @Nullable Long maxTokens,
    @Nullable TimeSpan maxTime,
    @Nullable Double targetLoss,
    @Nullable Integer earlyStoppingPatience,
    @Also({"early_stopping_threshold"}) double earlyStoppingMinDelta) {
  /** Nothing does. */
  public static final StopSpec DEFAULT = new StopSpec(null, null, null, null, 0);

  public StopSpec {
    Checks.require(
        maxTokens == null || maxTokens >= 1, "--max-tokens must be at least 1, got " + maxTokens);
    Checks.require(
        targetLoss == null || Double.isFinite(targetLoss),
        "--target-loss must be finite, got " + targetLoss);
    Checks.atLeast(1, "--early-stopping-patience", earlyStoppingPatience);
    Checks.require(
        earlyStoppingMinDelta >= 0 && earlyStoppingMinDelta < Double.POSITIVE_INFINITY,
        "--early-stopping-min-delta must be 0 or more, and finite, got " + earlyStoppingMinDelta);
  }

  public StopSpec withMaxTokens(@Nullable Long value) {
    return Components.with(this, "maxTokens", value);
  }

  public StopSpec withMaxTime(@Nullable TimeSpan value) {
    return Components.with(this, "maxTime", value);
  }

  public StopSpec withTargetLoss(@Nullable Double value) {
    return Components.with(this, "targetLoss", value);
  }

  public StopSpec withEarlyStoppingPatience(@Nullable Integer value) {
    return Components.with(this, "earlyStoppingPatience", value);
  }

  public StopSpec withEarlyStoppingMinDelta(double value) {
    return Components.with(this, "earlyStoppingMinDelta", value);
  }
}
