package dev.javelin.train.inference;

import dev.javelin.kernels.cpu.Philox;
import java.util.Arrays;

/**
 * Draws the next token from a row of logits: {@code p = softmax(logits/temperature)}, restricted to
 * the {@code topK} most likely tokens, then to the fewest of those whose probabilities add up to
 * {@code topP} of theirs, then to those at least {@code minP} times as likely as the likeliest; the
 * order is that of transformers. Temperature 0 takes the most likely token, the first of equals.
 *
 * <p>The random number of draw {@code i} is a function of the seed and {@code i}; sums are taken in
 * double in order of rank, so the same seed gives the same text everywhere.
 *
 * @param temperature 0 for greedy
 * @param topK 0 for all
 * @param topP 1 for all
 * @param minP 0 for all
 * @see <a href="https://arxiv.org/abs/1904.09751">Holtzman et al. 2019, top-p</a>
 * @see <a href="https://arxiv.org/abs/2407.01082">Nguyen et al. 2024, min-p</a>
 */
public record Sampler(double temperature, int topK, double topP, double minP, long seed) {
  public static final Sampler GREEDY = new Sampler(0, 0, 1, 0);

  /** Without min-p. */
  public Sampler(double temperature, int topK, double topP, long seed) {
    this(temperature, topK, topP, 0, seed);
  }

  public Sampler {
    if (!(temperature >= 0) || Double.isInfinite(temperature)) {
      throw new IllegalArgumentException(
          "--temperature must be 0 (greedy) or more, got " + temperature);
    }
    if (topK < 0) {
      throw new IllegalArgumentException("--top-k must be 0 (all) or more, got " + topK);
    }
    if (!(topP > 0 && topP <= 1)) {
      throw new IllegalArgumentException("--top-p must lie in (0, 1], got " + topP);
    }
    if (!(minP >= 0 && minP <= 1)) {
      throw new IllegalArgumentException("--min-p must lie in [0, 1], got " + minP);
    }
  }

  public Sampler withSeed(long other) {
    return new Sampler(temperature, topK, topP, minP, other);
  }

  /**
   * The token of draw {@code draw}.
   *
   * @throws IllegalArgumentException where a logit is NaN
   */
  public int next(float[] logits, long draw) {
    int best = 0;
    for (int i = 0; i < logits.length; i++) {
      if (Float.isNaN(logits[i])) {
        throw new IllegalArgumentException(
            "the logit of token " + i + " is NaN: the model's weights are damaged");
      }
      best = logits[i] > logits[best] ? i : best;
    }
    return temperature == 0 || topK == 1 ? best : draw(logits, logits[best], draw);
  }

  private int draw(float[] logits, float max, long draw) {
    int[] ranked = ranked(logits);
    int candidates = topK == 0 ? logits.length : Math.min(topK, logits.length);
    double[] p = new double[candidates];
    double sum = 0;
    for (int i = 0; i < candidates; i++) {
      p[i] = StrictMath.exp(((double) logits[ranked[i]] - max) / temperature);
      sum += p[i];
    }
    double nucleus = 0; // probability before the next token, of all candidates
    int kept = 0;
    while (kept < candidates && (kept == 0 || (nucleus < topP * sum && p[kept] >= minP))) {
      nucleus += p[kept++]; // p of the likeliest is 1
    }
    double target = uniform(draw) * nucleus;
    for (int i = 0; i < kept; i++) {
      target -= p[i];
      if (target < 0) {
        return ranked[i];
      }
    }
    return ranked[kept - 1];
  }

  /** Tokens by falling logit, equal ones by rising id: one sort of longs. */
  private static int[] ranked(float[] logits) {
    long[] keys = new long[logits.length];
    for (int i = 0; i < keys.length; i++) {
      int bits = Float.floatToIntBits(logits[i] + 0f); // -0 and 0 are equals
      int rising = bits < 0 ? ~bits : bits | 0x80000000; // unsigned order of the floats
      keys[i] = ((long) ~rising << 32 ^ Long.MIN_VALUE) | i;
    }
    Arrays.sort(keys);
    int[] ids = new int[keys.length];
    for (int i = 0; i < ids.length; i++) {
      ids[i] = (int) keys[i];
    }
    return ids;
  }

  private double uniform(long draw) {
    int[] words = new int[Philox.WORDS];
    Philox.block(words, (int) draw, (int) (draw >>> 32), 0, 0, seed);
    return ((words[0] & 0xFFFFFFFFL) << 21 ^ words[1] >>> 11) * 0x1p-53;
  }
}
