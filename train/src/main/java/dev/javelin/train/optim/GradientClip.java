package dev.javelin.train.optim;

import dev.javelin.kernels.VectorNorm;
import dev.javelin.tensor.Tensor;
import dev.javelin.tensor.op.GlobalNorm;
import dev.javelin.tensor.step.LossScaling;
import dev.javelin.tensor.step.StepState;

/**
 * What is decided about a step before its weights move: the gradient's norm, how far it is scaled
 * down, whether the step is skipped, the next loss scale. It is written into {@link StepState},
 * where every rule reads it.
 *
 * @param norm how the gradient is measured
 * @param maxNorm norm beyond which gradients are scaled down to it; infinity for never
 * @param maxValue bound on each element of the gradient, after that; infinity for none
 * @param scaling how the loss scale moves
 */
public record GradientClip(VectorNorm norm, float maxNorm, float maxValue, LossScaling scaling) {
  public GradientClip {
    require(maxNorm > 0, "maxNorm must be more than 0 (infinity for no clipping), got " + maxNorm);
    require(maxValue > 0, "maxValue must be more than 0 (infinity for none), got " + maxValue);
  }

  /** Clipping by the Euclidean norm alone. */
  public static GradientClip byNorm(float maxNorm, LossScaling scaling) {
    return new GradientClip(VectorNorm.L2, maxNorm, Float.POSITIVE_INFINITY, scaling);
  }

  /**
   * Measures, decides and clips.
   *
   * @param gradients of the whole step, F32 and contiguous
   */
  public void run(StepState state, Tensor gradients) {
    GlobalNorm.run(state, gradients, norm, maxNorm, scaling);
    if (maxValue < Float.POSITIVE_INFINITY) {
      GlobalNorm.clipValues(state, gradients, maxValue);
    }
  }

  private static void require(boolean holds, String message) {
    if (!holds) {
      throw new IllegalArgumentException(message);
    }
  }
}
