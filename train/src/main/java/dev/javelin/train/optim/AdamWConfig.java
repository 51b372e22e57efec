package dev.javelin.train.optim;

import dev.javelin.kernels.VectorNorm;

/**
 * Constants of AdamW; learning rate and weight decay stand elsewhere, in the step's state and the
 * parameter's group.
 *
 * @param gradNorm how the gradient's norm is measured
 * @param maxGradNorm global norm beyond which gradients are scaled down to it; infinity for never
 * @param maxGradValue bound on each element of the gradient, after that; infinity for none
 */
public record AdamWConfig(
    float beta1,
    float beta2,
    float eps,
    VectorNorm gradNorm,
    float maxGradNorm,
    float maxGradValue) {
  /** Clipping by the Euclidean norm alone. */
  public AdamWConfig(float beta1, float beta2, float eps, float maxGradNorm) {
    this(beta1, beta2, eps, VectorNorm.L2, maxGradNorm, Float.POSITIVE_INFINITY);
  }

  public AdamWConfig {
    require(beta1 >= 0 && beta1 < 1, "beta1 must lie in [0, 1), got " + beta1);
    require(beta2 >= 0 && beta2 < 1, "beta2 must lie in [0, 1), got " + beta2);
    require(eps > 0, "eps must be more than 0, got " + eps);
    require(maxGradValue > 0, "maxGradValue must be more than 0, got " + maxGradValue);
    require(maxGradNorm > 0, "maxGradNorm must be more than 0, got " + maxGradNorm);
  }

  private static void require(boolean holds, String message) {
    if (!holds) {
      throw new IllegalArgumentException(message);
    }
  }
}
