package dev.javelin.nn;

import dev.javelin.autograd.Functional;
import dev.javelin.autograd.Heads;
import dev.javelin.autograd.Tape;
import dev.javelin.autograd.Var;
import dev.javelin.tensor.Parameter;
import dev.javelin.tensor.op.AttentionMask;
import dev.javelin.tensor.op.Rotation;
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
 * @param rotary turns queries and keys by their positions; {@code null} for learned positions
 */
record Attention(
    int index,
    TransformerConfig config,
    Linear qkv,
    @Nullable Parameter qNorm,
    @Nullable Parameter kNorm,
    Linear out,
    @Nullable RotaryTable rotary,
    AttentionMask mask) {

  static Attention declare(
      Declare d, TransformerConfig c, int index, @Nullable RotaryTable rotary) {
    boolean norm = c.architecture().qkNorm();
    boolean gpt2 = c.architecture() == Architecture.GPT2;
    return new Attention(
        index,
        c,
        Linear.declare(d, c.qkvWidth(), c.hidden(), c.architecture().qkvBias()),
        norm ? d.parameter(c.headDim()) : null,
        norm ? d.parameter(c.headDim()) : null,
        Linear.declare(d, c.hidden(), c.heads() * c.headDim(), gpt2),
        rotary,
        AttentionMask.CAUSAL.window(c.window()));
  }

  /**
   * @param x [B, T, C]
   * @return [B, T, C]
   */
  Var forward(Var x, Pass pass) {
    Heads heads = turned(heads(qkv.forward(x)), pass.firstPosition());
    KvCache cache = pass.cache();
    if (cache != null) {
      heads = cache.append(index, heads);
    }
    Var o = Functional.attention(heads.q(), heads.k(), heads.v(), mask); // [B, T, H, D]
    return out.forward(o.reshape(x.shape().dim(0), x.shape().dim(1), queryWidth()));
  }

  private int queryWidth() {
    return config.heads() * config.headDim();
  }

  /** The parts of a packed projection [B, T, (H + 2·Hkv)·D], as views. */
  private Heads heads(Var packed) {
    int batch = packed.shape().dim(0);
    int seqLen = packed.shape().dim(1);
    int dim = config.headDim();
    int keyWidth = config.kvHeads() * dim;
    List<Var> parts = packed.split(2, queryWidth(), keyWidth, keyWidth);
    return new Heads(
        parts.get(0).reshape(batch, seqLen, config.heads(), dim),
        parts.get(1).reshape(batch, seqLen, config.kvHeads(), dim),
        parts.get(2).reshape(batch, seqLen, config.kvHeads(), dim));
  }

  private Heads turned(Heads heads, int firstPosition) {
    if (rotary == null) {
      return heads;
    }
    int end = firstPosition + heads.q().shape().dim(1);
    Rotation here = rotary.rotation(firstPosition, end);
    if (qNorm == null || kNorm == null) {
      return Functional.qkRope(heads, here);
    }
    Tape tape = heads.q().tape();
    float eps = (float) config.normEps();
    return Functional.qkNormRope(heads, tape.param(qNorm), tape.param(kNorm), eps, here);
  }
}
