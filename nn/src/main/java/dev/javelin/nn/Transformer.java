package dev.javelin.nn;

import dev.javelin.autograd.Algebra;
import dev.javelin.autograd.Functional;
import dev.javelin.autograd.Probe;
import dev.javelin.autograd.Recompute;
import dev.javelin.autograd.Tape;
import dev.javelin.autograd.Var;
import dev.javelin.device.Cuda;
import dev.javelin.device.DType;
import dev.javelin.device.Device;
import dev.javelin.device.Turn;
import dev.javelin.kernels.Activation;
import dev.javelin.nn.Norm.Stream;
import dev.javelin.nn.TransformerConfig.Form;
import dev.javelin.tensor.Check;
import dev.javelin.tensor.Parameter;
import dev.javelin.tensor.Shape;
import dev.javelin.tensor.Tensor;
import dev.javelin.tensor.op.LossOptions;
import dev.javelin.tensor.step.Workspace;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/**
 * A decoder: token embedding, blocks, norm, head. Threads may share one; each pass is done in one
 * turn on the device, with tape, workspace and cache of the thread's own.
 *
 * @param tokens [V, C]
 * @param positions [P, C], or {@code null} where positions are not learned
 * @param tokenNorm of the embedding; {@code null} for none
 * @param head [V, C], or {@code null} where it is the token embedding
 * @param recompute what training does not keep but computes again in the backward pass
 */
public record Transformer(
    TransformerConfig config,
    Parameter tokens,
    @Nullable Parameter positions,
    @Nullable Norm tokenNorm,
    List<Block> blocks,
    Norm norm,
    @Nullable Parameter head,
    Recomputation recompute)
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
    Positions shared = Positions.declare(c, d);
    return new Transformer(
        c,
        d.parameter(c.vocab(), c.hidden()),
        c.encoding() instanceof Encoding.Learned ? d.parameter(c.positions(), c.hidden()) : null,
        c.entry().norm() ? norm(c, d) : null,
        IntStream.range(0, c.layers()).mapToObj(i -> block(c, d, i, shared)).toList(),
        norm(c, d),
        c.tied() ? null : d.parameter(c.vocab(), c.hidden()),
        Recomputation.NONE);
  }

  /** What blocks share: one table for each way of turning, and the slopes. */
  private record Positions(Map<RopeConfig, RotaryTable> tables, @Nullable AlibiSlopes alibi) {
    static Positions declare(TransformerConfig c, Declare d) {
      Map<RopeConfig, RotaryTable> tables = new LinkedHashMap<>();
      if (c.encoding() instanceof Encoding.Rotary r) {
        for (int i = 0; i < c.layers(); i++) {
          RopeConfig rope = c.rope(i);
          if (rope != null && !tables.containsKey(rope)) {
            int width = r.width(c.headDim());
            tables.put(rope, RotaryTable.declare(d, rope, c.positions(), width, r.pairing()));
          }
        }
      }
      return new Positions(
          tables,
          c.encoding() instanceof Encoding.Alibi(boolean divided)
              ? AlibiSlopes.declare(d, c.heads(), divided ? scale(c) : 1)
              : null);
    }
  }

  /** What scores are multiplied by. */
  private static double scale(TransformerConfig c) {
    return 1 / Math.sqrt(c.attention().divisor());
  }

  private static Block block(TransformerConfig c, Declare d, int index, Positions shared) {
    TransformerConfig.Form form = c.form();
    boolean after = form == Form.NORM_AFTER || form == Form.SANDWICH;
    int site = 1 + 2 * index;
    return new Block(
        form == Form.NORM_AFTER ? null : norm(c, d),
        attention(c, d, index, shared),
        after ? norm(c, d) : null,
        new Dropout(c.dropout().residual(), site),
        form == Form.NORM_AFTER || form == Form.PARALLEL_ONE_NORM ? null : norm(c, d),
        mlp(c, d),
        after ? norm(c, d) : null,
        new Dropout(c.dropout().residual(), site + 1),
        form == Form.PARALLEL || form == Form.PARALLEL_ONE_NORM);
  }

  private static Attention attention(TransformerConfig c, Declare d, int index, Positions shared) {
    RopeConfig rope = c.rope(index);
    return new Attention(
        index,
        c.heads(),
        c.kvHeads(),
        c.headDim(),
        c.window(index),
        Linear.declare(d, c.qkvWidth(), c.hidden(), c.biases().qkv()),
        headNorm(c, d, c.heads()),
        headNorm(c, d, c.kvHeads()),
        Linear.declare(d, c.hidden(), c.heads() * c.headDim(), c.biases().out()),
        rope == null ? null : shared.tables.get(rope),
        shared.alibi,
        (float) scale(c),
        (float) c.attention().scoreCap(),
        c.dropout().attention());
  }

  private static @Nullable RmsNorm headNorm(TransformerConfig c, Declare d, int heads) {
    return switch (c.attention().qkNorm()) {
      case NONE -> null;
      case HEADS -> rmsNorm(c, d, c.headDim());
      case WHOLE -> rmsNorm(c, d, heads * c.headDim());
    };
  }

  private static RmsNorm rmsNorm(TransformerConfig c, Declare d, int width) {
    return new RmsNorm(d.parameter(width), (float) c.norm().eps(), (float) c.norm().offset());
  }

  private static Norm norm(TransformerConfig c, Declare d) {
    return switch (c.norm().kind()) {
      case LAYER -> LayerNorm.declare(d, c.hidden(), c.norm().eps());
      case RMS -> rmsNorm(c, d, c.hidden());
    };
  }

  private static Mlp mlp(TransformerConfig c, Declare d) {
    boolean bias = c.biases().mlp();
    return c.mlp().gated()
        ? Mlp.Gated.declare(d, c.hidden(), c.ffn(), c.mlp().activation(), bias)
        : Mlp.Plain.declare(d, c.hidden(), c.ffn(), c.mlp().activation(), bias);
  }

  /** The same model, its parameters shared, with each block recomputed in the backward pass. */
  public Transformer withRecompute(boolean on) {
    return withRecompute(Recomputation.of(on));
  }

  /** The same model, its parameters shared, with these parts recomputed in the backward pass. */
  public Transformer withRecompute(Recomputation what) {
    return new Transformer(config, tokens, positions, tokenNorm, blocks, norm, head, what);
  }

  /**
   * Computes what a pass over whole sequences of {@code seqLen} tokens reads besides parameters:
   * the rotary angles. A pass sees to that itself; the owner of one that is replayed from a
   * recording, where no Java runs, does it before each replay, since a text written on in between
   * may have turned by the angles of another length (see {@link RopeConfig#basis}).
   */
  public void prepare(int seqLen) {
    for (Block block : blocks) { // tables are shared: but for the first time there is nothing to do
      RotaryTable rotary = block.attn().rotary();
      if (rotary != null) {
        rotary.prepare(0, seqLen);
      }
      AlibiSlopes alibi = block.attn().alibi();
      if (alibi != null) {
        alibi.get();
      }
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
      Check.that("transformer")
          .shape("tokens", tokens, Shape.of(1, reading.tokens()))
          .is(
              reading.ends().allMatch(end -> turnAlike(reading.end(), end)),
              () -> "sequences in one pass must turn by the same angles; see turnAlike");
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
    RotaryTable seen = null;
    for (Block block : blocks) {
      RotaryTable rotary = block.attn().rotary();
      if (rotary != null && rotary != seen && !rotary.alike(oneLength, otherLength)) {
        return false;
      }
      seen = rotary; // mostly one for all
    }
    return true;
  }

  /**
   * The weight of the head, [V, C], for losses that never hold all logits; they are given {@link
   * #lossOptions}.
   */
  public Var headWeight(Tape tape) {
    return tape.param(head == null ? tokens : head);
  }

  /** The form of a loss of this model's logits: their cap, and nothing else. */
  public LossOptions lossOptions() {
    return LossOptions.PLAIN.withSoftCap((float) config.logitCap());
  }

  /**
   * The logits of hidden states.
   *
   * @param hidden [.., C], from {@link #hidden}
   * @return [.., V], of the weights' element type
   */
  public Var logits(Var hidden) {
    try (Turn _ = hidden.value().device().turn()) {
      Var logits = Functional.linear(hidden, headWeight(hidden.tape()), null);
      float cap = (float) config.logitCap();
      return cap == 0
          ? logits
          : Algebra.scale(
              Functional.activate(Algebra.scale(logits, 1 / cap), Activation.TANH), cap);
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
    try (Turn _ = ids.device().turn()) { // passes of several threads share the rotary angles
      Stream stream = embed(tape, ids, pass);
      int group = tape.isRecording() ? recompute.group() : 1;
      for (int i = 0; i < blocks.size(); i += group) {
        stream = run(blocks.subList(i, Math.min(blocks.size(), i + group)), stream, pass);
      }
      tape.part("norm", Probe.NO_LAYER);
      Var out = norm.forward(stream).norm();
      tape.part("head", Probe.NO_LAYER);
      return out;
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
    tape.part("embedding", Probe.NO_LAYER);
    Var x =
        positions == null
            ? new Embedding(tokens).forward(tape, ids)
            : Functional.embedding(
                tape.param(tokens),
                ids,
                tape.param(positions),
                pass.positions() == null ? positionIds(tape, ids.shape(), pass) : pass.positions());
    if (config.entry().scale() != 1) { // of the weights' type, as transformers has it
      DType type = x.value().dtype();
      x = Algebra.scale(x, FloatBits.round((float) config.entry().scale(), type));
    }
    x = tokenNorm == null ? x : tokenNorm.forward(x);
    x = new Dropout(config.dropout().embedding(), 0).forward(x, pass);
    tape.stream("embedding", Probe.NO_LAYER, x, null);
    return Stream.of(x);
  }

  private static Tensor positionIds(Tape tape, Shape shape, Pass pass) {
    Tensor ids = tape.alloc(DType.I32, shape);
    dev.javelin.tensor.op.Embedding.positions(ids, pass.firstPosition());
    return ids;
  }

  /** One block, or as many as are recomputed together. */
  private Stream run(List<Block> several, Stream in, Pass pass) {
    Tape tape = in.sum().tape();
    if (!tape.isRecording()) {
      return scoped(several.getFirst(), in, pass);
    }
    if (!(recompute instanceof Recomputation.Blocks)) {
      return several.getFirst().forward(in, pass, recompute);
    }
    if (normsWhatItStores(in.sum().value())) {
      return Stream.of(
          Recompute.block(in.settled(), x -> through(several, Stream.of(x), pass).settled()));
    }
    Var pending = in.pending();
    List<Var> outs =
        Recompute.block(
            pending == null ? List.of(in.sum()) : List.of(in.sum(), pending),
            xs -> {
              Stream begin = new Stream(xs.getFirst(), xs.size() == 1 ? null : xs.getLast());
              Stream end = through(several, begin, pass);
              Var added = Objects.requireNonNull(end.pending(), "a block leaves an addition");
              return end.sum() == begin.sum() ? List.of(added) : List.of(end.sum(), added);
            });
    return new Stream(outs.size() == 1 ? in.sum() : outs.getFirst(), outs.getLast());
  }

  private static Stream through(List<Block> several, Stream in, Pass pass) {
    Stream stream = in;
    for (Block block : several) {
      stream = block.forward(stream, pass);
    }
    return stream;
  }

  /**
   * Whether adding first and normalising then is what a norm does that adds; the processor's norm
   * takes the sum before it is rounded to a half type.
   */
  private static boolean normsWhatItStores(Tensor stream) {
    return stream.dtype() == DType.F32 || stream.device() instanceof Cuda;
  }

  /** Releases the block's inside and input: evaluation holds one block's activations, not all. */
  private static Stream scoped(Block block, Stream in, Pass pass) {
    Workspace ws = in.sum().tape().workspace();
    Stream out;
    try (Workspace.Scope scope = ws.scope()) {
      out = block.forward(in, pass);
      if (out.sum() != in.sum()) { // a parallel block adds nothing yet
        scope.keep(out.sum().value());
      }
      if (out.pending() != null) {
        scope.keep(out.pending().value());
      }
    }
    if (out.sum() != in.sum()) {
      ws.release(in.sum().value());
    }
    if (in.pending() != null) {
      ws.release(in.pending().value());
    }
    return out;
  }
}
