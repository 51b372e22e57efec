package dev.javelin.train.optim;

import java.util.Map;

/**
 * Constants of AdaGrad.
 *
 * @param lrDecay how the learning rate falls by itself: lr / (1 + (t-1)·lrDecay)
 * @param initial the sum before the first step
 * @param eps added to the root of the sum
 */
public record AdaGradConfig(float lrDecay, float initial, float eps) {
  public AdaGradConfig {
    require(lrDecay >= 0, "lrDecay must be 0 or more, got " + lrDecay);
    require(initial >= 0, "initial must be 0 or more, got " + initial);
    require(eps > 0, "eps must be more than 0, got " + eps);
  }

  /** From {@code lr_decay} (0), {@code initial_accumulator} (0) and {@code eps} (1e-10). */
  static AdaGradConfig of(Map<String, Float> constants) {
    return new AdaGradConfig(
        constants.getOrDefault("lr_decay", 0f),
        constants.getOrDefault("initial_accumulator", 0f),
        constants.getOrDefault("eps", 1e-10f));
  }

  private static void require(boolean holds, String message) {
    if (!holds) {
      throw new IllegalArgumentException(message);
    }
  }
}
