package dev.javelin.train.settings;

import dev.javelin.kernels.VectorNorm;
import dev.javelin.nn.Grouping;
import dev.javelin.nn.ParameterBuffer;
import dev.javelin.tensor.step.LossScaling;
import dev.javelin.train.optim.GradientClip;
import dev.javelin.train.optim.Optimizer;
import dev.javelin.train.optim.Optimizers;
import java.util.Map;

/**
 * How a gradient moves the weights: clipping, then a rule with decoupled weight decay.
 *
 * @param optimizer the rule: one of {@link Optimizers#names}
 * @param weightDecay part of a weight that is taken off per step, times the learning rate
 * @param decayAll whether vectors (norms, biases) decay too, not only matrices
 * @param adamBeta1 decay of the first moment, per step
 * @param adamBeta2 decay of the second moment, per step
 * @param adamEpsilon added to the root of the second moment
 * @param maxGradNorm norm of the whole gradient beyond which it is scaled down to it; 0 for never
 * @param gradNormType which norm that is
 * @param maxGradValue bound on each element of the gradient; 0 for none
 */
public record OptimizerSpec(
    @Also({"optim"}) String optimizer,
    float weightDecay,
    boolean decayAll,
    @Also({"beta1"}) float adamBeta1,
    @Also({"beta2"}) float adamBeta2,
    @Also({"adam_eps"}) float adamEpsilon,
    @Also({"grad_clip"}) float maxGradNorm,
    VectorNorm gradNormType,
    float maxGradValue) {
  /** What a run has where nothing else is said. */
  public static final OptimizerSpec DEFAULT =
      new OptimizerSpec("adamw", 0.1f, false, 0.9f, 0.95f, 1e-8f, 1, VectorNorm.L2, 0);

  public OptimizerSpec {
    Checks.require(
        weightDecay >= 0 && weightDecay < Float.POSITIVE_INFINITY,
        "--weight-decay must be 0 or more, and finite, got " + weightDecay);
    Checks.require(
        adamBeta1 >= 0 && adamBeta1 < 1, "--adam-beta1 must lie between 0 and 1, got " + adamBeta1);
    Checks.require(
        adamBeta2 >= 0 && adamBeta2 < 1, "--adam-beta2 must lie between 0 and 1, got " + adamBeta2);
    Checks.require(
        adamEpsilon > 0 && adamEpsilon < Float.POSITIVE_INFINITY,
        "--adam-epsilon must be more than 0, and finite, got " + adamEpsilon);
    Checks.require(
        maxGradNorm >= 0, "--max-grad-norm must be 0 (none) or more, got " + maxGradNorm);
    Checks.require(
        maxGradValue >= 0, "--max-grad-value must be 0 (none) or more, got " + maxGradValue);
  }

  public OptimizerSpec withOptimizer(String value) {
    return Components.with(this, "optimizer", value);
  }

  public OptimizerSpec withWeightDecay(float value) {
    return Components.with(this, "weightDecay", value);
  }

  public OptimizerSpec withDecayAll(boolean value) {
    return Components.with(this, "decayAll", value);
  }

  public OptimizerSpec withAdamBeta1(float value) {
    return Components.with(this, "adamBeta1", value);
  }

  public OptimizerSpec withAdamBeta2(float value) {
    return Components.with(this, "adamBeta2", value);
  }

  public OptimizerSpec withAdamEpsilon(float value) {
    return Components.with(this, "adamEpsilon", value);
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

  /**
   * The rule, with its state.
   *
   * @throws dev.javelin.train.data.InputException where there is none of that name
   */
  public Optimizer create(ParameterBuffer<?> parameters) {
    return Optimizers.create(
        optimizer, parameters, Map.of("beta1", adamBeta1, "beta2", adamBeta2, "eps", adamEpsilon));
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

  /** Which parameters decay. */
  public Grouping grouping() {
    return decayAll ? Grouping.decayAll(weightDecay) : Grouping.decayMatrices(weightDecay);
  }
}
