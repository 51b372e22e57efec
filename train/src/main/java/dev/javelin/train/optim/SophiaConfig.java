package dev.javelin.train.optim;

import java.util.Map;

/**
 * Constants of Sophia.
 *
 * @param beta1 decay of the momentum
 * @param beta2 decay of the curvature, per estimate
 * @param rho factor on the curvature: smaller ones clip more elements
 * @param eps the least divisor
 * @param interval steps between estimates
 */
public record SophiaConfig(float beta1, float beta2, float rho, float eps, int interval) {
  public SophiaConfig {
    require(beta1 >= 0 && beta1 < 1, "beta1 must lie in [0, 1), got " + beta1);
    require(beta2 >= 0 && beta2 < 1, "beta2 must lie in [0, 1), got " + beta2);
    require(rho > 0, "rho must be more than 0, got " + rho);
    require(eps > 0, "eps must be more than 0, got " + eps);
    require(interval >= 1, "interval must be at least 1, got " + interval);
  }

  /**
   * From {@code beta1} (0.965), {@code beta2} (0.99), {@code sophia_rho} (0.04), {@code eps}
   * (1e-12) and {@code sophia_interval} (10).
   */
  static SophiaConfig of(Map<String, Float> constants) {
    return new SophiaConfig(
        constants.getOrDefault("beta1", 0.965f),
        constants.getOrDefault("beta2", 0.99f),
        constants.getOrDefault("sophia_rho", 0.04f),
        constants.getOrDefault("eps", 1e-12f),
        constants.getOrDefault("sophia_interval", 10f).intValue());
  }

  private static void require(boolean holds, String message) {
    if (!holds) {
      throw new IllegalArgumentException(message);
    }
  }
}
