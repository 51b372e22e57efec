package dev.javelin.nn;

import dev.javelin.tensor.op.Rotation;

/**
 * Rotary positions: feature pair i of a head turns by {@code position · f(i)} with {@code f(i) =
 * theta^(-2i/D)}, the frequencies stretched to longer contexts by the scaling.
 *
 * @param theta the base
 * @see <a href="https://arxiv.org/abs/2104.09864">RoFormer</a>
 */
public record RopeConfig(double theta, Scaling scaling) {

  /** How the frequencies are stretched. */
  public sealed interface Scaling {}

  public record None() implements Scaling {}

  /** All frequencies divided by {@code factor}. */
  public record Linear(double factor) implements Scaling {}

  /**
   * Llama 3.1: wavelengths {@code 2π/f} beyond {@code original/lowFreqFactor} are divided by {@code
   * factor}, those below {@code original/highFreqFactor} kept, those between interpolated.
   */
  public record Llama3(
      double factor, double lowFreqFactor, double highFreqFactor, int originalPositions)
      implements Scaling {}

  /**
   * YaRN: pairs that turn more than {@code betaFast} times within the original positions are kept,
   * those that turn less than {@code betaSlow} times divided by {@code factor}, with a linear ramp
   * over the pairs between.
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

  /** The angle per position of each of the {@code headDim / 2} pairs. */
  double[] frequencies(int headDim) {
    double[] f = new double[headDim / 2];
    for (int i = 0; i < f.length; i++) {
      double plain = StrictMath.pow(theta, -2.0 * i / headDim);
      f[i] =
          switch (scaling) {
            case None() -> plain;
            case Linear(double factor) -> plain / factor;
            case Llama3 s -> llama3(plain, s);
            case Yarn s -> yarn(plain, i, headDim, s);
          };
    }
    return f;
  }

  /** The tables of cosines and sines for all positions of a model. */
  Rotation rotation(Declare d, int positions, int headDim) {
    double[] f = frequencies(headDim);
    double amplitude = amplitude();
    float[] cos = new float[positions * f.length];
    float[] sin = new float[positions * f.length];
    for (int at = 0; at < cos.length; at++) {
      double angle = at / f.length * f[at % f.length];
      cos[at] = (float) (amplitude * StrictMath.cos(angle));
      sin[at] = (float) (amplitude * StrictMath.sin(angle));
    }
    return Rotation.of(d.constant(cos, positions, f.length), d.constant(sin, positions, f.length));
  }

  /** What cos and sin are multiplied by. */
  double amplitude() {
    return scaling instanceof Yarn yarn ? yarn.attentionFactor : 1;
  }

  private static double llama3(double f, Llama3 s) {
    double turns = s.originalPositions * f / (2 * Math.PI); // original positions / wavelength
    if (turns >= s.highFreqFactor) {
      return f;
    }
    if (turns <= s.lowFreqFactor) {
      return f / s.factor;
    }
    double kept = (turns - s.lowFreqFactor) / (s.highFreqFactor - s.lowFreqFactor);
    return (1 - kept) * f / s.factor + kept * f;
  }

  private double yarn(double f, int pair, int headDim, Yarn s) {
    double low = Math.max(Math.floor(pairThatTurns(s.betaFast, headDim, s)), 0);
    double high = Math.min(Math.ceil(pairThatTurns(s.betaSlow, headDim, s)), headDim - 1);
    double width = high == low ? 0.001 : high - low;
    double stretched = Math.clamp((pair - low) / width, 0, 1);
    return f / s.factor * stretched + f * (1 - stretched);
  }

  /** The (fractional) pair that turns so many times within the original positions. */
  private double pairThatTurns(double turns, int headDim, Yarn s) {
    return headDim
        * StrictMath.log(s.originalPositions / (turns * 2 * Math.PI))
        / (2 * StrictMath.log(theta));
  }
}
