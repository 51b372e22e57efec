package dev.javelin.nn;

import dev.javelin.tensor.Tensor;
import dev.javelin.tensor.op.AttentionMask;
import dev.javelin.tensor.step.StepState;
import org.jspecify.annotations.Nullable;

/**
 * What a run through a model's layers knows besides its input. The mask comes with the pass, not
 * with the layer: the same weights read a text causally, both ways, in packed documents or padded
 * rows.
 *
 * <pre>{@code
 * Pass.PLAIN                                              // causal, without dropout
 * Pass.training(state)                                    // causal, with dropout
 * Pass.PLAIN.masked(AttentionMask.FULL.lengths(lengths))  // both ways, padded behind lengths
 * Pass.training(state)                                    // packed documents
 *     .masked(AttentionMask.CAUSAL.documents(starts))
 *     .at(positions)                                      // that count from 0 in each
 * }</pre>
 *
 * @param firstPosition of the first token in its sequence
 * @param positions I32 [B, T]: the position of each token, from {@code firstPosition} to below
 *     {@link #end}; {@code null} where they count up from {@code firstPosition}
 * @param mask which keys a query sees; a layer may narrow it by a window of its own
 * @param training where dropout finds its key; {@code null} for a run without dropout
 * @param cached the sequences whose next tokens these are; {@code null} where nothing is kept
 */
public record Pass(
    int firstPosition,
    @Nullable Tensor positions,
    AttentionMask mask,
    @Nullable StepState training,
    @Nullable Reading cached) {
  /** A causal run over whole sequences without dropout. */
  public static final Pass PLAIN = new Pass(0, null, AttentionMask.CAUSAL, null, null);

  /** A causal run over whole sequences with dropout. */
  public static Pass training(StepState state) {
    return new Pass(0, null, AttentionMask.CAUSAL, state, null);
  }

  /**
   * A causal run over the next tokens of sequences.
   *
   * @param positions of all of them; {@code null} for one sequence
   */
  public static Pass cached(Reading reading, @Nullable Tensor positions) {
    return new Pass(reading.first(), positions, AttentionMask.CAUSAL, null, reading);
  }

  /** The position behind the last of {@code seqLen} tokens, or of the longest sequence's. */
  public int end(int seqLen) {
    return cached == null ? firstPosition + seqLen : cached.end();
  }

  /** The same run under another mask. */
  public Pass masked(AttentionMask mask) {
    return new Pass(firstPosition, positions, mask, training, cached);
  }

  /** The same run with tokens at these positions, as in packed documents. */
  public Pass at(@Nullable Tensor positions) {
    return new Pass(firstPosition, positions, mask, training, cached);
  }
}
