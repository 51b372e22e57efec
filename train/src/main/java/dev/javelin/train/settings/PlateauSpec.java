package dev.javelin.train.settings;

import dev.javelin.train.schedule.Plateau;

/**
 * When {@link ScheduleSpec.LrScheduler#PLATEAU} lowers the learning rate, see {@link Plateau}.
 *
 * @param plateauFactor what it is multiplied with
 * @param plateauPatience evaluations without a better loss that pass before
 * @param plateauThreshold part by which a loss must be smaller to be better
 * @param plateauCooldown evaluations after a reduction that do not count
 */
public record PlateauSpec(
    double plateauFactor, int plateauPatience, double plateauThreshold, int plateauCooldown) {
  /** As PyTorch has them. */
  public static final PlateauSpec DEFAULT = new PlateauSpec(0.1, 10, 1e-4, 0);

  public PlateauSpec {
    Checks.require(
        plateauFactor > 0 && plateauFactor < 1,
        "--plateau-factor must lie between 0 and 1, got " + plateauFactor);
    Checks.atLeast(0, "--plateau-patience", plateauPatience);
    Checks.require(
        plateauThreshold >= 0 && plateauThreshold < 1,
        "--plateau-threshold must lie between 0 and 1 (exclusive), got " + plateauThreshold);
    Checks.atLeast(0, "--plateau-cooldown", plateauCooldown);
  }

  public PlateauSpec withPlateauFactor(double value) {
    return Components.with(this, "plateauFactor", value);
  }

  public PlateauSpec withPlateauPatience(int value) {
    return Components.with(this, "plateauPatience", value);
  }

  public PlateauSpec withPlateauThreshold(double value) {
    return Components.with(this, "plateauThreshold", value);
  }

  public PlateauSpec withPlateauCooldown(int value) {
    return Components.with(this, "plateauCooldown", value);
  }
}
