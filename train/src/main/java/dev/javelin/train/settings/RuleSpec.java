package dev.javelin.train.settings;

import dev.javelin.kernels.EpsilonPlacement;
import java.util.Map;

/**
 * Constants of single update rules, beside those of {@link OptimizerSpec}.
 *
 * @param adamEpsilonPlacement where AdamW's epsilon stands
 * @param adamEpsilonSteps steps over which it goes, geometrically, to its end; 0 for never
 * @param adamEpsilonEnd what it is after those
 * @param muonMomentum decay of Muon's first moment
 * @param muonMatchRms whether Muon's updates are as long as AdamW's, so that one rate serves both
 * @param adafactorMomentum decay of Adafactor's first moment; 0 for none, which saves its memory
 * @param adafactorScaled whether Adafactor's rate is relative to the weights' root mean square
 */
public record RuleSpec(
    EpsilonPlacement adamEpsilonPlacement,
    int adamEpsilonSteps,
    float adamEpsilonEnd,
    float muonMomentum,
    boolean muonMatchRms,
    float adafactorMomentum,
    boolean adafactorScaled) {
  /** What a run has where nothing else is said. */
  public static final RuleSpec DEFAULT =
      new RuleSpec(EpsilonPlacement.OUTSIDE, 0, 1e-8f, 0.95f, true, 0, false);

  public RuleSpec {
    Checks.atLeast(0, "--adam-epsilon-steps", adamEpsilonSteps);
    Checks.require(
        adamEpsilonEnd > 0 && adamEpsilonEnd < Float.POSITIVE_INFINITY,
        "--adam-epsilon-end must be more than 0, and finite, got " + adamEpsilonEnd);
    Checks.require(
        muonMomentum >= 0 && muonMomentum < 1,
        "--muon-momentum must lie between 0 and 1, got " + muonMomentum);
    Checks.require(
        adafactorMomentum >= 0 && adafactorMomentum < 1,
        "--adafactor-momentum must lie between 0 and 1, got " + adafactorMomentum);
  }

  public RuleSpec withAdamEpsilonPlacement(EpsilonPlacement value) {
    return Components.with(this, "adamEpsilonPlacement", value);
  }

  public RuleSpec withAdamEpsilonSteps(int value) {
    return Components.with(this, "adamEpsilonSteps", value);
  }

  public RuleSpec withAdamEpsilonEnd(float value) {
    return Components.with(this, "adamEpsilonEnd", value);
  }

  public RuleSpec withMuonMomentum(float value) {
    return Components.with(this, "muonMomentum", value);
  }

  public RuleSpec withMuonMatchRms(boolean value) {
    return Components.with(this, "muonMatchRms", value);
  }

  public RuleSpec withAdafactorMomentum(float value) {
    return Components.with(this, "adafactorMomentum", value);
  }

  public RuleSpec withAdafactorScaled(boolean value) {
    return Components.with(this, "adafactorScaled", value);
  }

  /** By the names under which rules take them. */
  public Map<String, Float> constants() {
    return Map.of(
        "eps_placement",
        (float) adamEpsilonPlacement.ordinal(),
        "eps_steps",
        (float) adamEpsilonSteps,
        "eps_end",
        adamEpsilonEnd,
        "muon_momentum",
        muonMomentum,
        "muon_match_rms",
        muonMatchRms ? 1f : 0f,
        "adafactor_momentum",
        adafactorMomentum,
        "adafactor_scaled",
        adafactorScaled ? 1f : 0f);
  }
}
