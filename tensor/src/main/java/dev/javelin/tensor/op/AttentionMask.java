package dev.javelin.tensor.op;

import dev.javelin.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/**
 * Which keys a query sees, and what is added to their scores. Query i stands at position {@code p =
 * Tk − Tq + i}; it sees key j where all of these hold:
 *
 * <pre>{@code
 * causal          j <= p
 * window w        p − w < j           itself and the w − 1 keys before it
 * lengths         j < lengths[b]
 * keys            keys[b, j] != 0
 * documents       j >= documentStarts[b, i]
 * }</pre>
 *
 * A query that sees nothing gets 0. The arrays are device tensors, so that a captured step can be
 * run with other values.
 *
 * <pre>{@code
 * AttentionMask.CAUSAL.window(4096).lengths(lengths)
 * }</pre>
 *
 * @param causal whether a query sees no key behind its own position
 * @param window 0: none; needs {@code causal}
 * @param lengths I32 [B]
 * @param keys I32 [B, Tk]
 * @param documentStarts I32 [B, Tq]: the key where the query's document begins; needs {@code
 *     causal}
 * @param slopes F32 [H]: {@code slope_h · (j − p)} is added to the scores (ALiBi); see {@link
 *     #alibiSlopes}
 * @param softCap scores become {@code softCap · tanh(score / softCap)}; 0: none
 * @see <a href="https://arxiv.org/abs/2108.12409">Press et al. 2021, ALiBi</a>
 */
public record AttentionMask(
    boolean causal,
    int window,
    @Nullable Tensor lengths,
    @Nullable Tensor keys,
    @Nullable Tensor documentStarts,
    @Nullable Tensor slopes,
    float softCap) {
  /** A query sees itself and all keys before it. */
  public static final AttentionMask CAUSAL = new AttentionMask(true, 0, null, null, null, null, 0);

  /** A query sees all keys. */
  public static final AttentionMask FULL = new AttentionMask(false, 0, null, null, null, null, 0);

  public AttentionMask {
    if (window < 0) {
      throw new IllegalArgumentException("window must not be negative, got " + window);
    }
    if (!(softCap >= 0)) {
      throw new IllegalArgumentException("softCap must not be negative, got " + softCap);
    }
    if (!causal && (window > 0 || documentStarts != null)) {
      throw new IllegalArgumentException(
          "a window or documents need a causal mask: begin with AttentionMask.CAUSAL");
    }
  }

  public AttentionMask window(int width) {
    return new AttentionMask(causal, width, lengths, keys, documentStarts, slopes, softCap);
  }

  public AttentionMask lengths(@Nullable Tensor t) {
    return new AttentionMask(causal, window, t, keys, documentStarts, slopes, softCap);
  }

  public AttentionMask keys(@Nullable Tensor t) {
    return new AttentionMask(causal, window, lengths, t, documentStarts, slopes, softCap);
  }

  public AttentionMask documents(@Nullable Tensor starts) {
    return new AttentionMask(causal, window, lengths, keys, starts, slopes, softCap);
  }

  public AttentionMask slopes(@Nullable Tensor t) {
    return new AttentionMask(causal, window, lengths, keys, documentStarts, t, softCap);
  }

  public AttentionMask softCap(float cap) {
    return new AttentionMask(causal, window, lengths, keys, documentStarts, slopes, cap);
  }

  /**
   * ALiBi's slopes: {@code 2^(−8·i/n)} for {@code i = 1 … n}; where n is no power of two, those of
   * the largest power p below it, then every second one of 2p.
   */
  public static float[] alibiSlopes(int heads) {
    int power = Integer.highestOneBit(heads);
    float[] slopes = new float[heads];
    for (int h = 0; h < heads; h++) {
      double exponent = h < power ? (h + 1.0) / power : (2.0 * (h - power) + 1) / (2.0 * power);
      slopes[h] = (float) StrictMath.pow(2, -8 * exponent);
    }
    return slopes;
  }
}
