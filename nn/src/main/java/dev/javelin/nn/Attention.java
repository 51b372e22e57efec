package dev.javelin.nn;

import dev.javelin.autograd.Functional;
import dev.javelin.autograd.Heads;
import dev.javelin.autograd.Tape;
import dev.javelin.autograd.Var;
import dev.javelin.tensor.op.AttentionDropout;
import dev.javelin.tensor.op.AttentionMask;
import dev.javelin.tensor.op.Rotation;
import dev.javelin.tensor.step.StepState;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Self-attention with grouped queries: {@code out(softmax(q·kᵀ/√D + mask)·v)} with q, k and v from
 * one product, perhaps normalised and turned by their positions. Which keys a query sees comes with
 * the {@link Pass}.
 *
 * @param index which layer, from 0: its part of a cache
 * @param heads H, query heads
 * @param kvHeads Hkv, heads of keys and values, a divisor of H
 * @param headDim D
 * @param window keys that a query sees at most, itself included, of those before it; 0 for all
 * @param qkv queries, keys and values packed: [(H + 2·Hkv)·D, C]
 * @param qNorm of each query head, [D], which needs {@code rotary}, or of all together, [H·D];
 *     {@code null} for none, and then {@code kNorm} is, too
 * @param kNorm of each key head, [D], or of all together, [Hkv·D]
 * @param out [C, H·D]
 * @param rotary turns queries and keys by their positions; {@code null} for positions that are
 *     learned or none
 * @param alibi lowers the scores of far keys; {@code null} for none
 * @param scale what scores are multiplied by, 1/√D as a rule
 * @param scoreCap scores become {@code scoreCap·tanh(scores/scoreCap)}; 0 for none
 * @param dropout probability, in training, with which a weight of the softmax is dropped
 * @see <a href="https://arxiv.org/abs/1706.03762">Vaswani et al. 2017</a>
 * @see <a href="https://arxiv.org/abs/2305.13245">Ainslie et al. 2023, grouped queries</a>
 */
public record Attention(
    int index,
    int heads,
    int kvHeads,
    int headDim,
    int window,
    Linear qkv,
    @Nullable RmsNorm qNorm,
    @Nullable RmsNorm kNorm,
    Linear out,
    @Nullable RotaryTable rotary,
    @Nullable AlibiSlopes alibi,
    float scale,
    float scoreCap,
    double dropout) {

  /** Scores divided by √D, and no more than that; without dropout. */
  public Attention(
      int index,
      int heads,
      int kvHeads,
      int headDim,
      int window,
      Linear qkv,
      @Nullable RmsNorm qNorm,
      @Nullable RmsNorm kNorm,
      Linear out,
      @Nullable RotaryTable rotary) {
    this(
        index,
        heads,
        kvHeads,
        headDim,
        window,
        qkv,
        qNorm,
        kNorm,
        out,
        rotary,
        null,
        (float) (1 / Math.sqrt(headDim)),
        0,
        0);
  }

  public Attention {
    if (heads < 1 || kvHeads < 1 || headDim < 1 || heads % kvHeads != 0 || window < 0) {
      throw new IllegalArgumentException(
          "attention: %d query heads and %d key heads of width %d, window %d"
              .formatted(heads, kvHeads, headDim, window));
    }
    if ((qNorm == null) != (kNorm == null)) {
      throw new IllegalArgumentException("attention: norms of queries and keys go together");
    }
    if (qNorm != null && rotary == null && qNorm.weight().value().last() != heads * headDim) {
      throw new IllegalArgumentException("attention: norms of heads need rotary positions");
    }
    if (!(dropout >= 0 && dropout < 1)) {
      throw new IllegalArgumentException("attention: dropout must be in [0, 1), got " + dropout);
    }
  }

  /** As many heads of keys as of queries, of {@code width / heads} each, without biases. */
  public static Attention declare(
      Declare d, int index, int width, int heads, @Nullable RotaryTable rotary) {
    if (width % heads != 0) {
      throw new IllegalArgumentException(
          "attention: a width of %d cannot be split into %d heads".formatted(width, heads));
    }
    return new Attention(
        index,
        heads,
        heads,
        width / heads,
        0,
        Linear.declare(d, 3 * width, width, false),
        null,
        null,
        Linear.declare(d, width, width, false),
        rotary);
  }

  /** The same layer, its parameters shared, with that dropout of weights. */
  public Attention withDropout(double p) {
    return new Attention(
        index, heads, kvHeads, headDim, window, qkv, qNorm, kNorm, out, rotary, alibi, scale,
        scoreCap, p);
  }

  /**
   * @param x [B, T, C]
   * @return [B, T, C]
   */
  public Var forward(Var x, Pass pass) {
    Heads turned = turned(split(qkv.forward(x, pass)), pass);
    Reading cached = pass.cached();
    Var o = // [B, T, H, D]
        cached == null
            ? Functional.attention(
                turned.q(), turned.k(), turned.v(), mask(pass), scale, dropping(pass))
            : cached.attend(index, turned, mask(pass), scale);
    return out.forward(o.reshape(x.shape().dim(0), x.shape().dim(1), heads * headDim), pass);
  }

  /** Its site is a negative number: those of other dropouts are not. */
  private @Nullable AttentionDropout dropping(Pass pass) {
    StepState training = pass.training();
    return training == null || dropout == 0
        ? null
        : new AttentionDropout((float) dropout, -1 - index, training);
  }

  private AttentionMask mask(Pass pass) {
    AttentionMask mask = pass.mask();
    boolean narrower = window > 0 && (mask.window() == 0 || window < mask.window());
    mask = narrower ? mask.window(window) : mask;
    mask = alibi == null ? mask : mask.slopes(alibi.get());
    return scoreCap == 0 ? mask : mask.softCap(scoreCap);
  }

  /** Whether queries are normalised head by head. */
  private boolean normsHeads() {
    return qNorm != null && qNorm.weight().value().last() == headDim && rotary != null;
  }

  /** The parts of a packed projection [B, T, (H + 2·Hkv)·D], as views. */
  private Heads split(Var packed) {
    int batch = packed.shape().dim(0);
    int seqLen = packed.shape().dim(1);
    int keyWidth = kvHeads * headDim;
    List<Var> parts = packed.split(2, heads * headDim, keyWidth, keyWidth);
    boolean whole = !normsHeads();
    return new Heads(
        whole(qNorm, whole, parts.get(0)).reshape(batch, seqLen, heads, headDim),
        whole(kNorm, whole, parts.get(1)).reshape(batch, seqLen, kvHeads, headDim),
        parts.get(2).reshape(batch, seqLen, kvHeads, headDim));
  }

  private static Var whole(@Nullable RmsNorm norm, boolean whole, Var x) {
    return norm != null && whole ? norm.forward(x) : x;
  }

  private Heads turned(Heads packed, Pass pass) {
    if (rotary == null) {
      return packed;
    }
    int end = pass.end(packed.q().shape().dim(1));
    Rotation here =
        pass.positions() == null
            ? rotary.rotation(pass.firstPosition(), end)
            : rotary.rotation(pass.firstPosition(), end).at(pass.positions());
    if (qNorm == null || kNorm == null || !normsHeads()) {
      return Functional.qkRope(packed, here);
    }
    Tape tape = packed.q().tape();
    Var qWeight = tape.param(qNorm.weight());
    Var kWeight = tape.param(kNorm.weight());
    return Functional.qkNormRope(packed, qWeight, kWeight, qNorm.eps(), qNorm.offset(), here);
  }
}
