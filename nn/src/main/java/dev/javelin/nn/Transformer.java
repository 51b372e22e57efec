package dev.javelin.nn;

import dev.javelin.autograd.Functional;
import dev.javelin.autograd.Recompute;
import dev.javelin.autograd.Tape;
import dev.javelin.autograd.Var;
import dev.javelin.device.DType;
import dev.javelin.device.Device;
import dev.javelin.device.Turn;
import dev.javelin.nn.Norm.Stream;
import dev.javelin.tensor.Check;
import dev.javelin.tensor.Parameter;
import dev.javelin.tensor.Shape;
import dev.javelin.tensor.Tensor;
import dev.javelin.tensor.step.Workspace;
import java.util.List;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/**
 * A decoder: token embedding, blocks, norm, head. Threads may share one; each pass is done in one
 * turn on the device, with tape, workspace and cache of the thread's own.
 *
 * @param tokens [V, C]
 * @param positions [P, C], or {@code null} where positions are rotary
 * @param head [V, C], or {@code null} where it is the token embedding
 * @param recompute whether training keeps only the input of each block and runs it again in the
 *     backward pass
 */
public record Transformer(
    TransformerConfig config,
    Parameter tokens,
    @Nullable Parameter positions,
    List<Block> blocks,
    Norm norm,
    @Nullable Parameter head,
    boolean recompute)
    implements NamedInFiles {
  /** Rows of a product whose bits do not depend on how many there are; see {@link #next}. */
  public static final int STEADY_TOKENS = dev.javelin.tensor.op.Linear.STEADY_ROWS;

  /**
   * Allocates a model whose parameters are zero; fill it by {@link Init} or {@link HuggingFace}.
   */
  public static ParameterBuffer<Transformer> allocate(
      Device device, TransformerConfig config, Precision precision, Grouping grouping) {
    return ParameterBuffer.allocate(device, precision, grouping, d -> declare(config, d));
  }

  static Transformer declare(TransformerConfig c, Declare d) {
    RotaryTable rotary =
        switch (c.encoding()) {
          case TransformerConfig.Rotary(RopeConfig rope) ->
              RotaryTable.declare(d, rope, c.positions(), c.headDim());
          case TransformerConfig.Learned() -> null;
        };
    return new Transformer(
        c,
        d.parameter(c.vocab(), c.hidden()),
        c.encoding() instanceof TransformerConfig.Learned
            ? d.parameter(c.positions(), c.hidden())
            : null,
        IntStream.range(0, c.layers()).mapToObj(i -> block(c, d, i, rotary)).toList(),
        norm(c, d),
        c.tied() ? null : d.parameter(c.vocab(), c.hidden()),
        false);
  }

  private static Block block(
      TransformerConfig c, Declare d, int index, @Nullable RotaryTable rotary) {
    return Block.of(
        norm(c, d), attention(c, d, index, rotary), norm(c, d), mlp(c, d), c.dropout().residual());
  }

  private static Attention attention(
      TransformerConfig c, Declare d, int index, @Nullable RotaryTable rotary) {
    boolean norms = c.attention().qkNorm();
    return new Attention(
        index,
        c.heads(),
        c.kvHeads(),
        c.headDim(),
        c.window(index),
        Linear.declare(d, c.qkvWidth(), c.hidden(), c.biases().qkv()),
        norms ? RmsNorm.declare(d, c.headDim(), c.norm().eps()) : null,
        norms ? RmsNorm.declare(d, c.headDim(), c.norm().eps()) : null,
        Linear.declare(d, c.hidden(), c.heads() * c.headDim(), c.biases().out()),
        rotary);
  }

  private static Norm norm(TransformerConfig c, Declare d) {
    return switch (c.norm().kind()) {
      case LAYER -> LayerNorm.declare(d, c.hidden(), c.norm().eps());
      case RMS -> RmsNorm.declare(d, c.hidden(), c.norm().eps());
    };
  }

  private static Mlp mlp(TransformerConfig c, Declare d) {
    boolean bias = c.biases().mlp();
    return c.mlp().gated()
        ? Mlp.Gated.declare(d, c.hidden(), c.ffn(), c.mlp().activation(), bias)
        : Mlp.Plain.declare(d, c.hidden(), c.ffn(), c.mlp().activation(), bias);
  }

  /** The same model, its parameters shared, with activations recomputed in the backward pass. */
  public Transformer withRecompute(boolean on) {
    return new Transformer(config, tokens, positions, blocks, norm, head, on);
  }

  /**
   * Computes what a pass over whole sequences of {@code seqLen} tokens reads besides parameters:
   * the rotary angles. A pass sees to that itself; the owner of one that is replayed from a
   * recording, where no Java runs, does it before each replay, since a text written on in between
   * may have turned by the angles of another length (see {@link RopeConfig#basis}).
   */
  public void prepare(int seqLen) {
    RotaryTable rotary = blocks.getFirst().attn().rotary(); // one for all blocks
    if (rotary != null) {
      rotary.prepare(0, seqLen);
    }
  }

  /** The names of Hugging Face. */
  @Override
  public NameTable fileNames() {
    return config.family().names(config);
  }

  /**
   * The logits of all positions, without dropout.
   *
   * @param tokens I32 [B, T], T at most the model's positions
   * @return [B, T, V], of the weights' element type
   */
  public Var forward(Tape tape, Tensor tokens) {
    return logits(hidden(tape, tokens, Pass.PLAIN));
  }

  /**
   * The logits behind the last of some tokens that go on from what a cache holds; the cache then
   * holds them too.
   *
   * @param tape an inference tape
   * @param tokens I32 [1, T]
   * @return [1, V], of the weights' element type, alive until the workspace is reset
   */
  public Tensor next(Tape tape, Tensor tokens, KvCache cache) {
    return next(tape, tokens, List.of(cache), tokens.dim(1));
  }

  /**
   * The same for several sequences of any lengths in one pass, without padding. For up to {@link
   * #STEADY_TOKENS} tokens in all, the bits of a sequence's logits do not depend on the others.
   *
   * @param tokens I32 [1, N]: {@code counts[0]} tokens of the first sequence, then {@code
   *     counts[1]} of the second, …
   * @param caches of different sequences, which all {@link #turnAlike}
   * @return [S, V]
   */
  public Tensor next(Tape tape, Tensor tokens, List<KvCache> caches, int... counts) {
    try (Turn _ = tokens.device().turn()) {
      Reading reading = Reading.of(tape, caches, counts);
      Check.that("transformer").shape("tokens", tokens, Shape.of(1, reading.tokens()));
      Tensor positions = caches.size() == 1 ? null : reading.positions(tape);
      Var hidden = hidden(tape, tokens, Pass.cached(reading, positions));
      reading.advance();
      return logits(tape.constant(reading.last(tape, hidden.value()))).value();
    }
  }

  /**
   * Whether sequences that end at these lengths turn by the same angles, so that one pass may read
   * both: rotary positions may depend on the length (see {@link RopeConfig#basis}).
   */
  public boolean turnAlike(int oneLength, int otherLength) {
    RotaryTable rotary = blocks.getFirst().attn().rotary(); // one for all blocks
    return rotary == null || rotary.alike(oneLength, otherLength);
  }

  /** The weight of the head, [V, C], for losses that never hold all logits. */
  public Var headWeight(Tape tape) {
    return tape.param(head == null ? tokens : head);
  }

  /**
   * The logits of hidden states.
   *
   * @param hidden [.., C], from {@link #hidden}
   * @return [.., V], of the weights' element type
   */
  public Var logits(Var hidden) {
    try (Turn _ = hidden.value().device().turn()) {
      return Functional.linear(hidden, headWeight(hidden.tape()), null);
    }
  }

  /**
   * The normalised output of the last block: what a head, an objective or a classifier reads. With
   * a cache in the pass the caller advances it.
   *
   * @param ids I32 [B, T], T at most the model's positions
   * @return [B, T, C], of the weights' element type
   */
  public Var hidden(Tape tape, Tensor ids, Pass pass) {
    if (pass.training() != null && config.dropout().attention() > 0) {
      throw new IllegalArgumentException(
          "dropout of attention weights (%s) is not supported in training: use TransformerConfig.withDropout"
              .formatted(config.dropout().attention()));
    }
    try (Turn _ = ids.device().turn()) { // passes of several threads share the rotary angles
      Stream stream = embed(tape, ids, pass);
      for (Block block : blocks) {
        stream = run(block, stream, pass);
      }
      return norm.forward(stream).norm();
    }
  }

  /** Token and learned positions, [B, T, C]. */
  Stream embed(Tape tape, Tensor ids, Pass pass) {
    int end = pass.end(ids.dim(1));
    Check.that("transformer").rank("tokens", ids, 2).dtype("tokens", ids, DType.I32);
    if (end > config.positions()) {
      throw new IllegalArgumentException(
          "transformer: a sequence of %d tokens is longer than the model's %d positions"
              .formatted(end, config.positions()));
    }
    Var x =
        positions == null
            ? new Embedding(tokens).forward(tape, ids)
            : Functional.embedding(
                tape.param(tokens),
                ids,
                tape.param(positions),
                pass.positions() == null ? positionIds(tape, ids.shape(), pass) : pass.positions());
    return Stream.of(new Dropout(config.dropout().embedding(), 0).forward(x, pass));
  }

  private static Tensor positionIds(Tape tape, Shape shape, Pass pass) {
    Tensor ids = tape.alloc(DType.I32, shape);
    dev.javelin.tensor.op.Embedding.positions(ids, pass.firstPosition());
    return ids;
  }

  private Stream run(Block block, Stream in, Pass pass) {
    Tape tape = in.sum().tape();
    if (recompute && tape.isRecording()) {
      Var out = Recompute.block(in.settled(), x -> block.forward(x, pass));
      return Stream.of(out);
    }
    return tape.isRecording() ? block.forward(in, pass) : scoped(block, in, pass);
  }

  /** Releases the block's inside and input: evaluation holds one block's activations, not all. */
  private static Stream scoped(Block block, Stream in, Pass pass) {
    Workspace ws = in.sum().tape().workspace();
    Stream out;
    try (Workspace.Scope scope = ws.scope()) {
      out = block.forward(in, pass);
      scope.keep(out.sum().value());
      if (out.pending() != null) {
        scope.keep(out.pending().value());
      }
    }
    ws.release(in.sum().value());
    if (in.pending() != null) {
      ws.release(in.pending().value());
    }
    return out;
  }
}
