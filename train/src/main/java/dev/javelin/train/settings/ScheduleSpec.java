package dev.javelin.train.settings;

import dev.javelin.train.schedule.Decay;
import dev.javelin.train.schedule.LearningRate;
import dev.javelin.train.schedule.Plateau;
import dev.javelin.train.schedule.Schedule;
import org.jspecify.annotations.Nullable;

/**
 * The learning rate over the steps of a run. What is {@code null} follows from the rest, see {@link
 * #effective}.
 *
 * @param learningRate the largest; {@code null} for 1e-3, or 2e-4 where adapters are trained
 * @param minLearningRate where the schedule ends
 * @param lrScheduler the shape
 * @param warmupSteps steps of linear warm-up
 * @param warmupRatio the same as a part of all steps, rounded up; not asked where {@code
 *     warmupSteps} is given
 * @param lrDecaySteps the step at which the schedule ends
 * @param wsdDecaySteps steps of the decay at the end of {@link LrScheduler#WSD}
 * @param wsdDecayShape how that falls
 * @param lrPower exponent of {@link LrScheduler#POLYNOMIAL}
 * @param lrCycleSteps steps of an arch of {@link LrScheduler#COSINE_RESTARTS}
 * @param lrScaling how both rates grow with the sequences of a step
 * @param lrBaseBatch sequences of a step that the rates are meant for, where they are scaled
 */
public record ScheduleSpec(
    @Also({"lr"}) @Nullable Double learningRate,
    @Also({"min_lr"}) @Nullable Double minLearningRate,
    @Also({"lr_scheduler_type"}) LrScheduler lrScheduler,
    @Also({"warmup_iters"}) @Nullable Integer warmupSteps,
    @Nullable Double warmupRatio,
    @Also({"lr_decay_iters"}) @Nullable Integer lrDecaySteps,
    @Also({"num_decay_steps"}) @Nullable Integer wsdDecaySteps,
    @Also({"decay_type"}) Decay wsdDecayShape,
    double lrPower,
    @Nullable Integer lrCycleSteps,
    LrScaling lrScaling,
    int lrBaseBatch) {
  /** What a run has where nothing else is said. */
  public static final ScheduleSpec DEFAULT =
      new ScheduleSpec(
          null,
          null,
          LrScheduler.COSINE,
          null,
          null,
          null,
          null,
          Decay.LINEAR,
          2,
          null,
          LrScaling.NONE,
          256);

  static final double LEARNING_RATE = 1e-3;

  /** What the rate of a whole model is divided by for adapters, where none is given. */
  static final double ADAPTER_PART = 5;

  public ScheduleSpec {
    Checks.require(
        learningRate == null || learningRate >= 0 && learningRate < Double.POSITIVE_INFINITY,
        "--learning-rate must be 0 or more, got " + learningRate);
    Checks.require(
        minLearningRate == null
            || minLearningRate >= 0 && minLearningRate <= Checks.or(learningRate, LEARNING_RATE),
        "--min-learning-rate must lie between 0 and --learning-rate, got " + minLearningRate);
    Checks.atLeast(0, "--warmup-steps", warmupSteps);
    Checks.require(
        warmupRatio == null || warmupRatio >= 0 && warmupRatio <= 1,
        "--warmup-ratio must lie between 0 and 1, got " + warmupRatio);
    Checks.atLeast(1, "--lr-decay-steps", lrDecaySteps);
    Checks.atLeast(1, "--wsd-decay-steps", wsdDecaySteps);
    Checks.require(
        lrPower > 0 && lrPower < Double.POSITIVE_INFINITY,
        "--lr-power must be more than 0, and finite, got " + lrPower);
    Checks.atLeast(1, "--lr-cycle-steps", lrCycleSteps);
    Checks.atLeast(1, "--lr-base-batch", lrBaseBatch);
  }

  public ScheduleSpec withLearningRate(@Nullable Double value) {
    return Components.with(this, "learningRate", value);
  }

  public ScheduleSpec withLearningRate(double value) {
    return Components.with(this, "learningRate", value);
  }

  public ScheduleSpec withMinLearningRate(@Nullable Double value) {
    return Components.with(this, "minLearningRate", value);
  }

  public ScheduleSpec withLrScheduler(LrScheduler value) {
    return Components.with(this, "lrScheduler", value);
  }

  public ScheduleSpec withWarmupSteps(@Nullable Integer value) {
    return Components.with(this, "warmupSteps", value);
  }

  public ScheduleSpec withWarmupRatio(@Nullable Double value) {
    return Components.with(this, "warmupRatio", value);
  }

  public ScheduleSpec withLrDecaySteps(@Nullable Integer value) {
    return Components.with(this, "lrDecaySteps", value);
  }

  public ScheduleSpec withWsdDecaySteps(@Nullable Integer value) {
    return Components.with(this, "wsdDecaySteps", value);
  }

  public ScheduleSpec withWsdDecayShape(Decay value) {
    return Components.with(this, "wsdDecayShape", value);
  }

  public ScheduleSpec withLrPower(double value) {
    return Components.with(this, "lrPower", value);
  }

  public ScheduleSpec withLrCycleSteps(@Nullable Integer value) {
    return Components.with(this, "lrCycleSteps", value);
  }

  public ScheduleSpec withLrScaling(LrScaling value) {
    return Components.with(this, "lrScaling", value);
  }

  public ScheduleSpec withLrBaseBatch(int value) {
    return Components.with(this, "lrBaseBatch", value);
  }

  /** The shape of the learning rate over the steps. */
  public enum LrScheduler {
    @Also("cosine-with-min-lr")
    COSINE,
    LINEAR,
    @Also("constant-with-warmup")
    CONSTANT,
    @Also("warmup-stable-decay")
    WSD,
    INVERSE_SQRT,
    POLYNOMIAL,
    @Also("cosine-with-restarts")
    COSINE_RESTARTS,
    @Also("reduce-lr-on-plateau")
    PLATEAU
  }

  /** How the learning rate grows with k, the sequences of a step over {@link #lrBaseBatch}. */
  public enum LrScaling {
    NONE {
      @Override
      double factor(double k) {
        return 1;
      }
    },
    /** By k (Goyal et al. 2017, arXiv:1706.02677). */
    LINEAR {
      @Override
      double factor(double k) {
        return k;
      }
    },
    /** By √k, as suits Adam and its relatives (Malladi et al. 2022, arXiv:2205.10287). */
    SQRT {
      @Override
      double factor(double k) {
        return Math.sqrt(k);
      }
    };

    abstract double factor(double k);
  }

  /**
   * With what was left open: a smallest rate of a tenth of the largest (plateau: 0), a warm-up of a
   * twentieth of the steps, a schedule that ends with the run, of which the last fifth decays
   * (wsd), or which has four arches (cosine-restarts).
   *
   * @param maxSteps of the run
   */
  public ScheduleSpec effective(int maxSteps) {
    int end = Checks.or(lrDecaySteps, maxSteps);
    double rate = Checks.or(learningRate, LEARNING_RATE);
    int warmup =
        Checks.or(
            warmupSteps,
            warmupRatio == null ? maxSteps / 20 : (int) Math.ceil(warmupRatio * maxSteps));
    return new ScheduleSpec(
        rate,
        Checks.or(minLearningRate, lrScheduler == LrScheduler.PLATEAU ? 0 : rate / 10),
        lrScheduler,
        warmup,
        warmupRatio,
        end,
        Checks.or(wsdDecaySteps, Math.max(1, end / 5)),
        wsdDecayShape,
        lrPower,
        Checks.or(lrCycleSteps, Math.max(1, Math.ceilDiv(end - warmup, 4))),
        lrScaling,
        lrBaseBatch);
  }

  /** With everything that depends on the number of steps as a run of {@code maxSteps} has it. */
  public ScheduleSpec held(int maxSteps) {
    ScheduleSpec now = effective(maxSteps);
    return new ScheduleSpec(
        learningRate,
        minLearningRate,
        lrScheduler,
        now.warmupSteps,
        null,
        now.lrDecaySteps,
        now.wsdDecaySteps,
        wsdDecayShape,
        lrPower,
        now.lrCycleSteps,
        lrScaling,
        lrBaseBatch);
  }

  /** With what is left open as {@code other} has it. */
  public ScheduleSpec orAs(ScheduleSpec other) {
    @Nullable Object[] values = Components.values(this);
    @Nullable Object[] others = Components.values(other);
    for (int i = 0; i < values.length; i++) {
      values[i] = values[i] == null ? others[i] : values[i];
    }
    return Components.copy(this, values);
  }

  /** With both rates as steps of {@code sequences} want them, and no further scaling. */
  ScheduleSpec scaledTo(long sequences) {
    double factor = lrScaling.factor((double) sequences / lrBaseBatch);
    double rate = Checks.or(learningRate, LEARNING_RATE) * factor;
    return withLearningRate(rate)
        .withMinLearningRate(minLearningRate == null ? null : minLearningRate * factor)
        .withLrScaling(LrScaling.NONE);
  }

  /**
   * The schedule of a run of {@code maxSteps}; a warm-up longer than the run is a ramp that never
   * ends.
   */
  public LearningRate over(int maxSteps) {
    return over(maxSteps, PlateauSpec.DEFAULT);
  }

  LearningRate over(int maxSteps, PlateauSpec plateau) {
    ScheduleSpec spec = effective(maxSteps);
    double max = Checks.or(spec.learningRate, LEARNING_RATE);
    double min = Checks.or(spec.minLearningRate, 0.0);
    int warmup = Checks.or(spec.warmupSteps, 0);
    int total = Math.max(Checks.or(spec.lrDecaySteps, maxSteps), warmup + 1);
    int decay = Math.min(Checks.or(spec.wsdDecaySteps, 1), total - warmup);
    return switch (lrScheduler) {
      case COSINE -> new Schedule.Cosine(max, min, warmup, total);
      case LINEAR -> new Schedule.Linear(max, min, warmup, total);
      case CONSTANT -> new Schedule.Constant(max, warmup);
      case WSD -> new Schedule.WarmupStableDecay(max, min, warmup, total, decay, wsdDecayShape);
      case INVERSE_SQRT -> new Schedule.InverseSqrt(max, warmup);
      case POLYNOMIAL -> new Schedule.Polynomial(max, min, warmup, total, lrPower);
      case COSINE_RESTARTS ->
          new Schedule.CosineRestarts(max, min, warmup, Checks.or(spec.lrCycleSteps, 1));
      case PLATEAU ->
          new Plateau(
              max,
              min,
              warmup,
              plateau.plateauFactor(),
              plateau.plateauPatience(),
              plateau.plateauThreshold(),
              plateau.plateauCooldown());
    };
  }
}
