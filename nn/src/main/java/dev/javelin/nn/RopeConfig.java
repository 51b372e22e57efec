package dev.javelin.nn;

import java.util.List;

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
   * @param truncate whether the ramp begins and ends at whole pairs
   * @see <a href="https://arxiv.org/abs/2309.00071">YaRN</a>
   */
  public record Yarn(
      double factor,
      double betaFast,
      double betaSlow,
      double attentionFactor,
      int originalPositions,
      boolean truncate)
      implements Scaling {}

  /**
   * Dynamic NTK: up to the original positions nothing changes; a sequence of L tokens beyond them
   * turns by the frequencies of the base {@code theta · (1 + factor·(L/original - 1))^(D/(D-2))}.
   *
   * @see <a href="https://arxiv.org/abs/2309.00071">YaRN, section 3.3</a>
   */
  public record Dynamic(double factor, int originalPositions) implements Scaling {}

  /**
   * LongRoPE: the frequency of each pair divided by a factor of its own, one list for sequences
   * within the original positions, one for those beyond.
   *
   * @param attentionFactor what cos and sin are multiplied by
   * @see <a href="https://arxiv.org/abs/2402.13753">LongRoPE</a>
   */
  public record LongRope(
      List<Double> shortFactors,
      List<Double> longFactors,
      double attentionFactor,
      int originalPositions)
      implements Scaling {
    public LongRope {
      shortFactors = List.copyOf(shortFactors);
      longFactors = List.copyOf(longFactors);
    }
  }

  public static RopeConfig of(double theta) {
    return new RopeConfig(theta, new None());
  }

  /** Requires that it fits heads of that width. */
  void check(int headDim) {
    if (headDim % 2 != 0) {
      throw new IllegalArgumentException("rotary heads must have even width, got " + headDim);
    }
    switch (scaling) {
      case LongRope s -> {
        for (List<Double> factors : List.of(s.shortFactors, s.longFactors)) {
          if (factors.size() != headDim / 2) {
            throw new IllegalArgumentException(
                "a head of width %d needs %d factors of longrope, got %d"
                    .formatted(headDim, headDim / 2, factors.size()));
          }
        }
      }
      case Dynamic _ when headDim == 2 ->
          throw new IllegalArgumentException("dynamic scaling needs heads wider than 2");
      case Dynamic _, None _, Linear _, Llama3 _, Yarn _ -> {}
    }
  }

  /** Sequences of equal basis turn by equal frequencies. */
  int basis(int length) {
    return switch (scaling) {
      case Dynamic s -> Math.max(length, s.originalPositions);
      case LongRope s -> length > s.originalPositions ? 1 : 0;
      case None _, Linear _, Llama3 _, Yarn _ -> 0;
    };
  }

  /** The angle per position of each of the {@code headDim / 2} pairs, in a sequence so long. */
  public double[] frequencies(int headDim, int length) {
    double base = base(headDim, length);
    double[] f = new double[headDim / 2];
    for (int i = 0; i < f.length; i++) {
      double plain = StrictMath.pow(base, -2.0 * i / headDim);
      f[i] =
          switch (scaling) {
            case None _, Dynamic _ -> plain;
            case Linear(double factor) -> plain / factor;
            case Llama3 s -> llama3(plain, s);
            case Yarn s -> yarn(plain, i, headDim, s);
            case LongRope s ->
                plain / (length > s.originalPositions ? s.longFactors : s.shortFactors).get(i);
          };
    }
    return f;
  }

  private double base(int headDim, int length) {
    if (!(scaling instanceof Dynamic s) || length <= s.originalPositions) {
      return theta;
    }
    double stretch = 1 + s.factor * ((double) length / s.originalPositions - 1);
    return theta * StrictMath.pow(stretch, headDim / (headDim - 2.0));
  }

  /** What cos and sin are multiplied by. */
  double amplitude() {
    return switch (scaling) {
      case Yarn s -> s.attentionFactor;
      case LongRope s -> s.attentionFactor;
      case None _, Linear _, Llama3 _, Dynamic _ -> 1;
    };
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
    double fast = pairThatTurns(s.betaFast, headDim, s);
    double slow = pairThatTurns(s.betaSlow, headDim, s);
    double low = Math.max(s.truncate ? Math.floor(fast) : fast, 0);
    double high = Math.min(s.truncate ? Math.ceil(slow) : slow, headDim - 1);
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
