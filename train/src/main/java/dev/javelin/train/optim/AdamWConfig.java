package dev.javelin.train.optim;

import dev.javelin.kernels.EpsilonPlacement;
import dev.javelin.tensor.op.Epsilon;
import java.util.Map;

/**
 * Constants of AdamW; learning rate and weight decay stand elsewhere, in the step's state and the
 * parameter's group.
 *
 * @param beta1 decay of the first moment
 * @param beta2 decay of the second moment
 * @param epsilon what keeps the root of the second moment from 0
 */
public record AdamWConfig(float beta1, float beta2, Epsilon epsilon) {
  public AdamWConfig {
    require(beta1 >= 0 && beta1 < 1, "beta1 must lie in [0, 1), got " + beta1);
    require(beta2 >= 0 && beta2 < 1, "beta2 must lie in [0, 1), got " + beta2);
    require(
        epsilon.start() > 0 || epsilon.placement() == EpsilonPlacement.ZERO_SAFE,
        "epsilon must be more than 0 where it is not zero-safe");
  }

  /** With a constant epsilon outside of the root. */
  public AdamWConfig(float beta1, float beta2, float eps) {
    this(beta1, beta2, Epsilon.of(eps));
  }

  /**
   * From {@code beta1} (0.9), {@code beta2} (0.95), {@code eps} (1e-8), {@code eps_placement} (0,
   * the ordinal), {@code eps_end} and {@code eps_steps} (0).
   */
  static AdamWConfig of(Map<String, Float> constants) {
    float eps = constants.getOrDefault("eps", 1e-8f);
    int placement = constants.getOrDefault("eps_placement", 0f).intValue();
    return new AdamWConfig(
        constants.getOrDefault("beta1", 0.9f),
        constants.getOrDefault("beta2", 0.95f),
        new Epsilon(
            EpsilonPlacement.values()[placement],
            eps,
            constants.getOrDefault("eps_end", eps),
            constants.getOrDefault("eps_steps", 0f).intValue()));
  }

  private static void require(boolean holds, String message) {
    if (!holds) {
      throw new IllegalArgumentException(message);
    }
  }
}
