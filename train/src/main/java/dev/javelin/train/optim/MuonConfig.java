package dev.javelin.train.optim;

import java.util.Map;

/**
 * Constants of Muon; learning rate and weight decay stand elsewhere, in the step's state and the
 * parameter's group.
 *
 * @param momentum decay of the first moment
 * @param nesterov whether an update looks ahead along the gradient
 * @param average whether the moment is an average, (1 - momentum) of each gradient, or their sum
 * @param matchRms how an update is scaled, [R, C] the matrix's shape: to a root mean square of 0.2,
 *     which is AdamW's, by {@code 0.2·sqrt(max(R, C))}, so that one rate serves both
 *     (arXiv:2502.16982); or by {@code sqrt(max(1, R/C))}
 * @param rest of the rule for all other parameters
 */
public record MuonConfig(
    float momentum, boolean nesterov, boolean average, boolean matchRms, AdamWConfig rest) {
  public MuonConfig {
    if (!(momentum >= 0 && momentum < 1)) {
      throw new IllegalArgumentException("momentum must lie in [0, 1), got " + momentum);
    }
  }

  /** From {@code muon_momentum} (0.95), {@code muon_match_rms} (1), and what AdamW takes. */
  static MuonConfig of(Map<String, Float> constants) {
    return new MuonConfig(
        constants.getOrDefault("muon_momentum", 0.95f),
        true,
        true,
        constants.getOrDefault("muon_match_rms", 1f) != 0,
        AdamWConfig.of(constants));
  }

  float factor(int rows, int columns) {
    return matchRms
        ? (float) (0.2 * Math.sqrt(Math.max(rows, columns)))
        : (float) Math.sqrt(Math.max(1, (double) rows / columns));
  }
}
