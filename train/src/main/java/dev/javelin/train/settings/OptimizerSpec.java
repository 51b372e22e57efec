package dev.javelin.train.settings;

import dev.javelin.kernels.VectorNorm;
import dev.javelin.nn.ParameterBuffer;
import dev.javelin.tensor.step.LossScaling;
import dev.javelin.train.optim.GradientClip;
import dev.javelin.train.optim.Optimizer;
import dev.javelin.train.optim.Optimizers;
import dev.javelin.train.optim.ParameterGroup;
import dev.javelin.train.optim.ParameterGroups;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * How a gradient moves the weights: clipping, then a rule. What is {@code null} is the rule's own
 * default.
 *
 * @param optimizer the rule: one of {@link Optimizers#names}
 * @param weightDecay part of a weight that is taken off per step, times the learning rate; or added
 *     to the gradient, in the rules that say so
 * @param decayAll whether vectors (norms, biases) decay too, not only matrices
 * @param adamBeta1 decay of the first moment, per step
 * @param adamBeta2 decay of the second moment, per step
 * @param adamEpsilon added to the root of the second moment
 * @param amsgrad whether Adam divides by the largest second moment so far
 * @param momentum decay of the velocity, of SGD and RMSprop
 * @param dampening what SGD takes off a gradient before it adds to the velocity
 * @param nesterov whether SGD looks ahead of the velocity
 * @param rmspropAlpha decay of RMSprop's mean of squares
 * @param rmspropCentered whether RMSprop divides by the deviation, not the mean of squares
 * @param adagradLrDecay how AdaGrad's learning rate falls by itself
 * @param adagradInitial AdaGrad's sum before the first step
 * @param sophiaRho factor on Sophia's curvature
 * @param sophiaInterval steps between Sophia's estimates of it
 * @param maxGradNorm norm of the whole gradient beyond which it is scaled down to it; 0 for never
 * @param gradNormType which norm that is
 * @param maxGradValue bound on each element of the gradient; 0 for none
 * @param group parameters that are updated otherwise, see {@link ParameterGroup}
 */
public record OptimizerSpec(
    @Also({"optim"}) String optimizer,
    @Nullable Float weightDecay,
    boolean decayAll,
    @Also({"beta1"}) @Nullable Float adamBeta1,
    @Also({"beta2"}) @Nullable Float adamBeta2,
    @Also({"adam_eps"}) @Nullable Float adamEpsilon,
    boolean amsgrad,
    @Nullable Float momentum,
    float dampening,
    boolean nesterov,
    float rmspropAlpha,
    boolean rmspropCentered,
    float adagradLrDecay,
    float adagradInitial,
    float sophiaRho,
    int sophiaInterval,
    @Also({"grad_clip"}) float maxGradNorm,
    VectorNorm gradNormType,
    float maxGradValue,
    @Also({"param_group"}) List<String> group) {
  /** What a run has where nothing else is said. */
  public static final OptimizerSpec DEFAULT =
      new OptimizerSpec(
          "adamw",
          null,
          false,
          null,
          null,
          null,
          false,
          null,
          0,
          false,
          0.99f,
          false,
          0,
          0,
          0.04f,
          10,
          1,
          VectorNorm.L2,
          0,
          List.of());

  public OptimizerSpec {
    finite("--weight-decay", weightDecay);
    share("--adam-beta1", adamBeta1);
    share("--adam-beta2", adamBeta2);
    Checks.require(
        adamEpsilon == null || adamEpsilon > 0 && adamEpsilon < Float.POSITIVE_INFINITY,
        "--adam-epsilon must be more than 0, and finite, got " + adamEpsilon);
    share("--momentum", momentum);
    Checks.require(
        dampening >= 0 && dampening <= 1, "--dampening must lie between 0 and 1, got " + dampening);
    share("--rmsprop-alpha", rmspropAlpha);
    finite("--adagrad-lr-decay", adagradLrDecay);
    finite("--adagrad-initial", adagradInitial);
    Checks.require(
        sophiaRho > 0 && sophiaRho < Float.POSITIVE_INFINITY,
        "--sophia-rho must be more than 0, and finite, got " + sophiaRho);
    Checks.atLeast(1, "--sophia-interval", sophiaInterval);
    Checks.require(
        maxGradNorm >= 0, "--max-grad-norm must be 0 (none) or more, got " + maxGradNorm);
    Checks.require(
        maxGradValue >= 0, "--max-grad-value must be 0 (none) or more, got " + maxGradValue);
    group = List.copyOf(group);
    group.forEach(ParameterGroup::parse);
  }

  private static void share(String flag, @Nullable Float value) {
    Checks.require(
        value == null || value >= 0 && value < 1, flag + " must lie between 0 and 1, got " + value);
  }

  private static void finite(String flag, @Nullable Float value) {
    Checks.require(
        value == null || value >= 0 && value < Float.POSITIVE_INFINITY,
        flag + " must be 0 or more, and finite, got " + value);
  }

  public OptimizerSpec withOptimizer(String value) {
    return Components.with(this, "optimizer", value);
  }

  public OptimizerSpec withWeightDecay(@Nullable Float value) {
    return Components.with(this, "weightDecay", value);
  }

  public OptimizerSpec withWeightDecay(float value) {
    return withWeightDecay(Float.valueOf(value));
  }

  public OptimizerSpec withDecayAll(boolean value) {
    return Components.with(this, "decayAll", value);
  }

  public OptimizerSpec withAdamBeta1(@Nullable Float value) {
    return Components.with(this, "adamBeta1", value);
  }

  public OptimizerSpec withAdamBeta2(@Nullable Float value) {
    return Components.with(this, "adamBeta2", value);
  }

  public OptimizerSpec withAdamEpsilon(@Nullable Float value) {
    return Components.with(this, "adamEpsilon", value);
  }

  public OptimizerSpec withAmsgrad(boolean value) {
    return Components.with(this, "amsgrad", value);
  }

  public OptimizerSpec withMomentum(@Nullable Float value) {
    return Components.with(this, "momentum", value);
  }

  public OptimizerSpec withDampening(float value) {
    return Components.with(this, "dampening", value);
  }

  public OptimizerSpec withNesterov(boolean value) {
    return Components.with(this, "nesterov", value);
  }

  public OptimizerSpec withRmspropAlpha(float value) {
    return Components.with(this, "rmspropAlpha", value);
  }

  public OptimizerSpec withRmspropCentered(boolean value) {
    return Components.with(this, "rmspropCentered", value);
  }

  public OptimizerSpec withAdagradLrDecay(float value) {
    return Components.with(this, "adagradLrDecay", value);
  }

  public OptimizerSpec withAdagradInitial(float value) {
    return Components.with(this, "adagradInitial", value);
  }

  public OptimizerSpec withSophiaRho(float value) {
    return Components.with(this, "sophiaRho", value);
  }

  public OptimizerSpec withSophiaInterval(int value) {
    return Components.with(this, "sophiaInterval", value);
  }

  public OptimizerSpec withMaxGradNorm(float value) {
    return Components.with(this, "maxGradNorm", value);
  }

  public OptimizerSpec withGradNormType(VectorNorm value) {
    return Components.with(this, "gradNormType", value);
  }

  public OptimizerSpec withMaxGradValue(float value) {
    return Components.with(this, "maxGradValue", value);
  }

  public OptimizerSpec withGroup(List<String> value) {
    return Components.with(this, "group", value);
  }

  /** What the rules take, by name; a rule has defaults for what is not there. */
  private Map<String, Float> constants() {
    Map<String, Float> constants = new HashMap<>();
    put(constants, "beta1", adamBeta1);
    put(constants, "beta2", adamBeta2);
    put(constants, "eps", adamEpsilon);
    put(constants, "amsgrad", amsgrad ? 1f : 0f);
    put(constants, "momentum", momentum);
    put(constants, "dampening", dampening);
    put(constants, "nesterov", nesterov ? 1f : 0f);
    put(constants, "alpha", rmspropAlpha);
    put(constants, "centered", rmspropCentered ? 1f : 0f);
    put(constants, "lr_decay", adagradLrDecay);
    put(constants, "initial_accumulator", adagradInitial);
    put(constants, "sophia_rho", sophiaRho);
    put(constants, "sophia_interval", (float) sophiaInterval);
    return constants;
  }

  private static void put(Map<String, Float> constants, String name, @Nullable Float value) {
    if (value != null) {
      constants.put(name, value);
    }
  }

  /**
   * The rule, with its state; where groups have rules of their own, all of them.
   *
   * @throws dev.javelin.train.data.InputException where there is none of that name, or its
   *     constants exclude each other
   */
  public Optimizer create(ParameterBuffer<?> parameters) {
    return create(parameters, Map.of());
  }

  /** The same with further constants, by name. */
  public Optimizer create(ParameterBuffer<?> parameters, Map<String, Float> further) {
    Checks.require(
        !(nesterov && (dampening != 0 || momentum != null && momentum == 0)),
        "--nesterov wants a --momentum and no --dampening");
    Map<String, Float> all = constants();
    all.putAll(further);
    return groups().create(parameters, all);
  }

  /** What a resumed run must have as the run that saved had it, by key. */
  public Map<String, String> identity() {
    return Map.of(
        "optimizer", optimizer, "group", group.isEmpty() ? "none" : String.join("; ", group));
  }

  /**
   * How the gradient is clipped.
   *
   * @param scaling of the loss
   */
  public GradientClip clip(LossScaling scaling) {
    return new GradientClip(
        gradNormType,
        maxGradNorm == 0 ? Float.POSITIVE_INFINITY : maxGradNorm,
        maxGradValue == 0 ? Float.POSITIVE_INFINITY : maxGradValue,
        scaling);
  }

  /**
   * Which parameters are updated how.
   *
   * @throws dev.javelin.train.data.InputException where there is no such rule
   */
  public ParameterGroups groups() {
    return new ParameterGroups(
        optimizer, weightDecay, decayAll, group.stream().map(ParameterGroup::parse).toList());
  }
}
