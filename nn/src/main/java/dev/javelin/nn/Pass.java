package dev.javelin.nn;

import dev.javelin.autograd.Functional;
import dev.javelin.autograd.Var;
import dev.javelin.tensor.step.StepState;
import org.jspecify.annotations.Nullable;

/**
 * What a run through the blocks knows besides its input.
 *
 * @param firstPosition of the first token in its sequence
 * @param training where dropout finds its key; {@code null} for a run without dropout
 * @param cache keys and values of the tokens before; {@code null} for none
 */
record Pass(int firstPosition, @Nullable StepState training, @Nullable KvCache cache) {
  /** A run over whole sequences without dropout. */
  static final Pass PLAIN = new Pass(0, null, null);

  static Pass training(StepState state) {
    return new Pass(0, state, null);
  }

  static Pass cached(KvCache cache) {
    return new Pass(cache.length(), null, cache);
  }

  /** {@code x} with elements dropped in training; {@code site} tells masks of a step apart. */
  Var dropout(Var x, double p, int site) {
    return training == null || p == 0 ? x : Functional.dropout(x, (float) p, site, training);
  }
}
