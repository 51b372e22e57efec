package dev.javelin.train.optim;

import java.util.Map;

/**
 * Constants of Lion.
 *
 * @param beta1 share of the momentum in the direction
 * @param beta2 decay of the momentum
 */
public record LionConfig(float beta1, float beta2) {
  public LionConfig {
    require(beta1 >= 0 && beta1 < 1, "beta1 must lie in [0, 1), got " + beta1);
    require(beta2 >= 0 && beta2 < 1, "beta2 must lie in [0, 1), got " + beta2);
  }

  /** From {@code beta1} (0.9) and {@code beta2} (0.99). */
  static LionConfig of(Map<String, Float> constants) {
    return new LionConfig(
        constants.getOrDefault("beta1", 0.9f), constants.getOrDefault("beta2", 0.99f));
  }

  private static void require(boolean holds, String message) {
    if (!holds) {
      throw new IllegalArgumentException(message);
    }
  }
}
