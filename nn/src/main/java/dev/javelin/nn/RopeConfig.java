package dev.javelin.nn;

/**
 * Rotary positions: feature pair i of a head turns by {@code position · theta^(-2i/headDim)},
 * stretched to longer contexts by the scaling.
 *
 * @param theta the base wavelength
 */
public record RopeConfig(double theta, Scaling scaling) {

  /** How the frequencies are stretched. */
  public sealed interface Scaling {}

  public record None() implements Scaling {}

  /** All frequencies divided by {@code factor}. */
  public record Linear(double factor) implements Scaling {}

  /**
   * Llama 3.1: wavelengths beyond {@code original/lowFreqFactor} are divided by {@code factor},
   * those below {@code original/highFreqFactor} kept, those between interpolated.
   */
  public record Llama3(
      double factor, double lowFreqFactor, double highFreqFactor, int originalPositions)
      implements Scaling {}

  /**
   * YaRN (Peng et al. 2023).
   *
   * @param attentionFactor what cos and sin are multiplied by, {@code 0.1·ln(factor) + 1} unless
   *     given
   * @see <a href="https://arxiv.org/abs/2309.00071">YaRN</a>
   */
  public record Yarn(
      double factor,
      double betaFast,
      double betaSlow,
      double attentionFactor,
      int originalPositions)
      implements Scaling {}

  public static RopeConfig of(double theta) {
    return new RopeConfig(theta, new None());
  }
}
