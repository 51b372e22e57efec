package dev.javelin.train.optim;

import java.util.Map;

/**
 * Constants of Adam.
 *
 * @param beta1 decay of the first moment
 * @param beta2 decay of the second moment
 * @param eps added to the root of the second moment
 * @param amsgrad whether the largest second moment so far divides
 */
public record AdamConfig(float beta1, float beta2, float eps, boolean amsgrad) {
  public AdamConfig {
    require(beta1 >= 0 && beta1 < 1, "beta1 must lie in [0, 1), got " + beta1);
    require(beta2 >= 0 && beta2 < 1, "beta2 must lie in [0, 1), got " + beta2);
    require(eps > 0, "eps must be more than 0, got " + eps);
  }

  /**
   * From {@code beta1} (0.9), {@code beta2} (0.999), {@code eps} (1e-8), {@code amsgrad} (0 or 1).
   */
  static AdamConfig of(Map<String, Float> constants) {
    return new AdamConfig(
        constants.getOrDefault("beta1", 0.9f),
        constants.getOrDefault("beta2", 0.999f),
        constants.getOrDefault("eps", 1e-8f),
        constants.getOrDefault("amsgrad", 0f) != 0);
  }

  private static void require(boolean holds, String message) {
    if (!holds) {
      throw new IllegalArgumentException(message);
    }
  }
}
