package dev.javelin.train.optim;

import dev.javelin.tensor.op.Adafactor;
import java.util.Map;

/**
 * Constants of Adafactor; learning rate and weight decay stand elsewhere, in the step's state and
 * the parameter's group.
 *
 * @param exponent of the step in the decay of the second moment, {@code 1 - t^exponent}: below 0
 * @param threshold root mean square beyond which an update is scaled down to it
 * @param least root mean square that weights count for at least, where the rate is scaled by them
 * @param beta1 decay of the first moment; 0 for none, which saves its memory
 * @param scaled whether the rate is relative to the weights: times their root mean square
 * @param capped whether the rate is at most {@code 1/sqrt(t)}
 */
public record AdafactorConfig(
    float exponent, float threshold, float least, float beta1, boolean scaled, boolean capped) {
  /** Takes the rate as it is, and keeps no first moment. */
  public static final AdafactorConfig DEFAULT =
      new AdafactorConfig(-0.8f, 1, 1e-3f, 0, false, false);

  public AdafactorConfig {
    require(exponent < 0 && exponent >= -1, "exponent must lie in [-1, 0), got " + exponent);
    require(threshold > 0, "threshold must be more than 0, got " + threshold);
    require(least >= 0, "least must be 0 or more, got " + least);
    require(beta1 >= 0 && beta1 < 1, "beta1 must lie in [0, 1), got " + beta1);
  }

  /** The default, with {@code adafactor_momentum} (0) and {@code adafactor_scaled} (0 or 1). */
  static AdafactorConfig of(Map<String, Float> constants) {
    return new AdafactorConfig(
        DEFAULT.exponent,
        DEFAULT.threshold,
        DEFAULT.least,
        constants.getOrDefault("adafactor_momentum", 0f),
        constants.getOrDefault("adafactor_scaled", 0f) != 0,
        false);
  }

  Adafactor.Constants constants() {
    return new Adafactor.Constants(exponent, threshold, least, beta1, scaled, capped);
  }

  private static void require(boolean holds, String message) {
    if (!holds) {
      throw new IllegalArgumentException(message);
    }
  }
}
