package dev.javelin.train.optim;

import java.util.Map;

/**
 * Constants of SGD.
 *
 * @param momentum decay of the velocity; 0 for none
 * @param dampening what is taken off the gradient before it adds to the velocity, but for the first
 *     step
 * @param nesterov whether the step looks ahead of the velocity
 */
public record SgdConfig(float momentum, float dampening, boolean nesterov) {
  public SgdConfig {
    require(momentum >= 0 && momentum < 1, "momentum must lie in [0, 1), got " + momentum);
    require(dampening >= 0 && dampening <= 1, "dampening must lie in [0, 1], got " + dampening);
    require(
        !nesterov || momentum > 0 && dampening == 0,
        "nesterov wants a momentum and no dampening, got " + nesterov);
  }

  /** From {@code momentum} (0.9), {@code dampening} (0) and {@code nesterov} (0 or 1). */
  static SgdConfig of(Map<String, Float> constants) {
    return new SgdConfig(
        constants.getOrDefault("momentum", 0.9f),
        constants.getOrDefault("dampening", 0f),
        constants.getOrDefault("nesterov", 0f) != 0);
  }

  private static void require(boolean holds, String message) {
    if (!holds) {
      throw new IllegalArgumentException(message);
    }
  }
}
