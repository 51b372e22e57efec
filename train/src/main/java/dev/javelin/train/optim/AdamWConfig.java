package dev.javelin.train.optim;

/**
 * Constants of AdamW; learning rate and weight decay stand elsewhere, in the step's state and the
 * parameter's group.
 *
 * @param beta1 decay of the first moment
 * @param beta2 decay of the second moment
 * @param eps added to the root of the second moment
 */
public record AdamWConfig(float beta1, float beta2, float eps) {
  public AdamWConfig {
    require(beta1 >= 0 && beta1 < 1, "beta1 must lie in [0, 1), got " + beta1);
    require(beta2 >= 0 && beta2 < 1, "beta2 must lie in [0, 1), got " + beta2);
    require(eps > 0, "eps must be more than 0, got " + eps);
  }

  private static void require(boolean holds, String message) {
    if (!holds) {
      throw new IllegalArgumentException(message);
    }
  }
}
