package dev.javelin.train.settings;

import dev.javelin.train.data.InputException;
import dev.javelin.train.guard.Fault;
import dev.javelin.train.guard.Faults;
import dev.javelin.train.guard.Guard;
import dev.javelin.train.guard.GuardConfig;
import dev.javelin.train.guard.Policy;
import dev.javelin.train.hook.StepHook;
import org.jspecify.annotations.Nullable;

/**
 * What a run does about spikes and numbers that are none; see {@link GuardConfig}.
 *
 * @param guard policies, {@code log,skip:5,rollback}; {@code null} for no guard
 * @param guardWindow healthy steps that loss and gradient norm are compared with
 * @param guardThreshold robust z-score from which on a step is a spike
 * @param guardFloor least spread, as a part of the median
 * @param guardWarmup steps that the guard only learns from at first
 * @param guardCalm steps without a spike after which policies begin anew
 * @param guardShrink what gradients of embedding and first layers are multiplied by
 * @param guardEpsilon what Adam's ε is multiplied by
 * @param guardRecovery steps over which both come back to 1
 * @param guardRollbacks how often a run goes back before it is given up
 * @param maxBadSteps steps in a row without finite loss and gradient that end a run
 * @param inject faults to rehearse, {@code spike@200,nan-gradient@60}; {@code null} for none; no
 *     part of what a resumed run goes on with
 */
public record GuardSpec(
    @Nullable String guard,
    int guardWindow,
    double guardThreshold,
    double guardFloor,
    int guardWarmup,
    int guardCalm,
    double guardShrink,
    double guardEpsilon,
    int guardRecovery,
    int guardRollbacks,
    int maxBadSteps,
    @Nullable String inject) {
  /** What a run has where nothing else is said. */
  public static final GuardSpec DEFAULT =
      new GuardSpec(null, 100, 6, 0.02, 50, 20, 0.1, 0.01, 200, 5, 3, null);

  private static final int LARGEST_WINDOW = 10_000;

  public GuardSpec {
    Checks.require(
        guardWindow >= 4 && guardWindow <= LARGEST_WINDOW,
        "--guard-window must lie between 4 and " + LARGEST_WINDOW + ", got " + guardWindow);
    Checks.require(
        guardThreshold > 0 && guardThreshold < Double.POSITIVE_INFINITY,
        "--guard-threshold must be more than 0, and finite, got " + guardThreshold);
    Checks.require(
        guardFloor >= 0 && guardFloor <= 1,
        "--guard-floor must lie between 0 and 1, got " + guardFloor);
    Checks.atLeast(1, "--guard-warmup", guardWarmup);
    Checks.atLeast(1, "--guard-calm", guardCalm);
    Checks.require(
        guardShrink > 0 && guardShrink <= 1,
        "--guard-shrink must be more than 0, and at most 1, got " + guardShrink);
    Checks.require(
        guardEpsilon > 0 && guardEpsilon <= 1,
        "--guard-epsilon must be more than 0, and at most 1, got " + guardEpsilon);
    Checks.atLeast(1, "--guard-recovery", guardRecovery);
    Checks.atLeast(1, "--guard-rollbacks", guardRollbacks);
    Checks.atLeast(1, "--max-bad-steps", maxBadSteps);
    try {
      if (guard != null) {
        Policy.parse(guard);
      }
    } catch (IllegalArgumentException e) {
      throw new InputException("--guard " + e.getMessage(), e);
    }
    try {
      if (inject != null) {
        Fault.parse(inject);
      }
    } catch (IllegalArgumentException e) {
      throw new InputException("--inject " + e.getMessage(), e);
    }
  }

  /** The guard of a run; {@code null} for none. */
  public StepHook.@Nullable Maker guarding() {
    if (guard == null) {
      return null;
    }
    GuardConfig config =
        new GuardConfig(
            Policy.parse(guard),
            guardWindow,
            guardThreshold,
            guardFloor,
            guardWarmup,
            guardCalm,
            guardShrink,
            guardEpsilon,
            guardRecovery,
            guardRollbacks);
    return (parameters, optimizer) -> new Guard(config, parameters, optimizer);
  }

  /** What goes wrong on purpose; {@code null} for nothing. */
  public @Nullable Faults rehearsal() {
    return inject == null ? null : new Faults(Fault.parse(inject));
  }

  public GuardSpec withGuard(@Nullable String value) {
    return Components.with(this, "guard", value);
  }

  public GuardSpec withGuardWindow(int value) {
    return Components.with(this, "guardWindow", value);
  }

  public GuardSpec withGuardThreshold(double value) {
    return Components.with(this, "guardThreshold", value);
  }

  public GuardSpec withGuardFloor(double value) {
    return Components.with(this, "guardFloor", value);
  }

  public GuardSpec withGuardWarmup(int value) {
    return Components.with(this, "guardWarmup", value);
  }

  public GuardSpec withGuardCalm(int value) {
    return Components.with(this, "guardCalm", value);
  }

  public GuardSpec withGuardShrink(double value) {
    return Components.with(this, "guardShrink", value);
  }

  public GuardSpec withGuardEpsilon(double value) {
    return Components.with(this, "guardEpsilon", value);
  }

  public GuardSpec withGuardRecovery(int value) {
    return Components.with(this, "guardRecovery", value);
  }

  public GuardSpec withGuardRollbacks(int value) {
    return Components.with(this, "guardRollbacks", value);
  }

  public GuardSpec withMaxBadSteps(int value) {
    return Components.with(this, "maxBadSteps", value);
  }

  public GuardSpec withInject(@Nullable String value) {
    return Components.with(this, "inject", value);
  }
}
