package dev.javelin.train.settings;

import dev.javelin.train.data.InputException;
import dev.javelin.train.schedule.LearningRate;
import dev.javelin.train.schedule.Schedule;
import org.jspecify.annotations.Nullable;

/**
 * A second warm-up, for weights that are trained on: {@link Schedule.Rewarmup}. The others say
 * nothing without {@code rewarmup}.
 *
 * @param rewarmup whether there is one
 * @param rewarmupLearningRate its peak; {@code null} for a tenth of the one before
 * @param rewarmupAt the step at which it begins; {@code null} for the one where the run begins:
 *     that of the checkpoint it resumes from, or 0
 * @param rewarmupSteps its length; {@code null} for a twentieth of the steps that are left
 * @param rewarmupFrom the rate that it starts from; {@code null} for that of the step before it, 0
 *     at the first
 */
public record RewarmupSpec(
    @Also({"rewarm"}) boolean rewarmup,
    @Also({"rewarmup_lr"}) @Nullable Double rewarmupLearningRate,
    @Nullable Integer rewarmupAt,
    @Nullable Integer rewarmupSteps,
    @Nullable Double rewarmupFrom) {
  /** None. */
  public static final RewarmupSpec DEFAULT = new RewarmupSpec(false, null, null, null, null);

  /** The second peak as a part of the first, where none is given. */
  public static final double PART_OF_PEAK = 0.1;

  public RewarmupSpec {
    rate("--rewarmup-learning-rate", rewarmupLearningRate);
    Checks.atLeast(0, "--rewarmup-at", rewarmupAt);
    Checks.atLeast(0, "--rewarmup-steps", rewarmupSteps);
    rate("--rewarmup-from", rewarmupFrom);
  }

  private static void rate(String flag, @Nullable Double rate) {
    Checks.require(
        rate == null || rate >= 0 && rate < Double.POSITIVE_INFINITY,
        flag + " must be 0 or more, and finite, got " + rate);
  }

  public RewarmupSpec withRewarmup(boolean value) {
    return Components.with(this, "rewarmup", value);
  }

  public RewarmupSpec withRewarmupLearningRate(@Nullable Double value) {
    return Components.with(this, "rewarmupLearningRate", value);
  }

  public RewarmupSpec withRewarmupAt(@Nullable Integer value) {
    return Components.with(this, "rewarmupAt", value);
  }

  public RewarmupSpec withRewarmupSteps(@Nullable Integer value) {
    return Components.with(this, "rewarmupSteps", value);
  }

  public RewarmupSpec withRewarmupFrom(@Nullable Double value) {
    return Components.with(this, "rewarmupFrom", value);
  }

  /** What a run has written down, with what {@code asked} leaves open left open again. */
  public RewarmupSpec asAsked(RewarmupSpec asked) {
    return new RewarmupSpec(
        rewarmup,
        asked.rewarmupLearningRate == null ? null : rewarmupLearningRate,
        asked.rewarmupAt == null ? null : rewarmupAt,
        asked.rewarmupSteps == null ? null : rewarmupSteps,
        asked.rewarmupFrom == null ? null : rewarmupFrom);
  }

  /**
   * The schedule of a run of {@code maxSteps} that goes on from {@code rate}.
   *
   * @param before what that was made of
   * @param factor of the peak that is given, for the sequences of a step
   * @throws InputException where no step is left, or the rate is no function of the step
   */
  Schedule after(LearningRate rate, ScheduleSpec before, double factor, int maxSteps) {
    if (!(rate instanceof Schedule first)) {
      throw new InputException(
          "--rewarmup and --lr-scheduler plateau cannot be combined: name another schedule");
    }
    int at = Checks.or(rewarmupAt, 0);
    if (at >= maxSteps) {
      throw new InputException(
          "--rewarmup begins at step %d and the run ends at step %d: give a larger --max-steps or --epochs"
              .formatted(at, maxSteps));
    }
    double old = Checks.or(before.learningRate(), ScheduleSpec.LEARNING_RATE);
    double max = rewarmupLearningRate == null ? old * PART_OF_PEAK : rewarmupLearningRate * factor;
    Double given = before.minLearningRate();
    double min = given == null ? max / 10 : Math.min(given, max);
    int warmup =
        Math.min(Checks.or(rewarmupSteps, Math.max(1, (maxSteps - at) / 20)), maxSteps - at - 1);
    return rewarmupFrom == null
        ? new Schedule.Rewarmup(first, at, warmup, max, min, maxSteps)
        : new Schedule.Rewarmup(first, at, rewarmupFrom, warmup, max, min, maxSteps);
  }
}
