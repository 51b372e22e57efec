package dev.javelin.train.optim;

import java.util.Map;

/**
 * Constants of RMSprop.
 *
 * @param alpha decay of the mean of squares
 * @param momentum decay of the velocity; 0 for none
 * @param eps added to the root
 * @param centered whether the square of the mean gradient is taken off under the root
 */
public record RmsPropConfig(float alpha, float momentum, float eps, boolean centered) {
  public RmsPropConfig {
    require(alpha >= 0 && alpha < 1, "alpha must lie in [0, 1), got " + alpha);
    require(momentum >= 0 && momentum < 1, "momentum must lie in [0, 1), got " + momentum);
    require(eps > 0, "eps must be more than 0, got " + eps);
  }

  /**
   * From {@code alpha} (0.99), {@code momentum} (0), {@code eps} (1e-8), {@code centered} (0 or 1).
   */
  static RmsPropConfig of(Map<String, Float> constants) {
    return new RmsPropConfig(
        constants.getOrDefault("alpha", 0.99f),
        constants.getOrDefault("momentum", 0f),
        constants.getOrDefault("eps", 1e-8f),
        constants.getOrDefault("centered", 0f) != 0);
  }

  private static void require(boolean holds, String message) {
    if (!holds) {
      throw new IllegalArgumentException(message);
    }
  }
}
