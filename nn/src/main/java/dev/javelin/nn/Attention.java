package dev.javelin.nn;

import dev.javelin.autograd.Algebra;
import dev.javelin.autograd.Functional;
import dev.javelin.autograd.Tape;
import dev.javelin.autograd.Var;
import dev.javelin.tensor.Parameter;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Causal self-attention with grouped queries.
 *
 * @param index which layer, from 0
 * @param qkv queries, keys and values packed: [(H + 2·Hkv)·D, C]
 * @param qNorm RMSNorm weight of each query head, [D], or {@code null}
 * @param kNorm of each key head
 * @param out [C, H·D]
 * @param rope cos and sin of the angle at each position, or {@code null} for learned positions
 */
record Attention(
    int index,
    TransformerConfig config,
    Linear qkv,
    @Nullable Parameter qNorm,
    @Nullable Parameter kNorm,
    Linear out,
    @Nullable RopeTable rope) {

  static Attention declare(Declare d, TransformerConfig c, int index, @Nullable RopeTable rope) {
    boolean norm = c.architecture().qkNorm();
    return new Attention(
        index,
        c,
        Linear.declare(d, c.qkvWidth(), c.hidden(), c.architecture().qkvBias()),
        norm ? d.parameter(c.headDim()) : null,
        norm ? d.parameter(c.headDim()) : null,
        Linear.declare(
            d, c.hidden(), c.heads() * c.headDim(), c.architecture() == Architecture.GPT2),
        rope);
  }

  /**
   * @param x [B, T, C]
   * @return [B, T, C]
   */
  Var forward(Var x, Pass pass) {
    Tape tape = x.tape();
    int batch = x.shape().dim(0);
    int seqLen = x.shape().dim(1);
    int queries = config.heads() * config.headDim();
    int keys = config.kvHeads() * config.headDim();
    List<Var> parts = qkv.forward(x).split(2, queries, keys, keys);
    Var q = parts.get(0).reshape(batch, seqLen, config.heads(), config.headDim());
    Var k = parts.get(1).reshape(batch, seqLen, config.kvHeads(), config.headDim());
    Var v = parts.get(2).reshape(batch, seqLen, config.kvHeads(), config.headDim());
    if (qNorm != null && kNorm != null) {
      q = Functional.rmsNorm(Algebra.contiguous(q), tape.param(qNorm), (float) config.normEps());
      k = Functional.rmsNorm(Algebra.contiguous(k), tape.param(kNorm), (float) config.normEps());
    }
    if (rope != null) {
      q = Stub.rope(q, rope, pass.firstPosition());
      k = Stub.rope(k, rope, pass.firstPosition());
    }
    KvCache cache = pass.cache();
    if (cache != null) {
      k = tape.constant(cache.append(2 * index, k.value()));
      v = tape.constant(cache.append(2 * index + 1, v.value()));
    }
    Var o = Stub.attention(q, k, v, config.window()); // [B, T, H, D]
    return out.forward(o.reshape(batch, seqLen, queries));
  }
}
