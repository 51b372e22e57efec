package dev.javelin.nn;

import dev.javelin.tensor.Parameter;
import org.jspecify.annotations.Nullable;

/**
 * Causal self-attention with grouped queries.
 *
 * @param qkv queries, keys and values packed: [(H + 2·Hkv)·D, C]
 * @param qNorm RMSNorm weight of each query head, [D], or {@code null}
 * @param kNorm of each key head
 * @param out [C, H·D]
 */
record Attention(
    Linear qkv,
    @Nullable Parameter qNorm,
    @Nullable Parameter kNorm,
    Linear out,
    TransformerConfig config) {

  static Attention declare(Declare d, TransformerConfig c) {
    boolean norm = c.architecture().qkNorm();
    return new Attention(
        Linear.declare(d, c.qkvWidth(), c.hidden(), c.architecture().qkvBias()),
        norm ? d.parameter(c.headDim()) : null,
        norm ? d.parameter(c.headDim()) : null,
        Linear.declare(
            d, c.hidden(), c.heads() * c.headDim(), c.architecture() == Architecture.GPT2),
        c);
  }
}
