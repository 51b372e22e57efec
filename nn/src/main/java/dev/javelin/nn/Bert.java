package dev.javelin.nn;

import dev.javelin.autograd.Algebra;
import dev.javelin.autograd.Functional;
import dev.javelin.autograd.Recompute;
import dev.javelin.autograd.Tape;
import dev.javelin.autograd.Var;
import dev.javelin.device.DType;
import dev.javelin.device.Device;
import dev.javelin.device.Turn;
import dev.javelin.kernels.Activation;
import dev.javelin.tensor.Check;
import dev.javelin.tensor.Parameter;
import dev.javelin.tensor.Tensor;
import dev.javelin.tensor.op.AttentionMask;
import dev.javelin.tensor.op.Fill;
import dev.javelin.tensor.step.StepState;
import dev.javelin.tensor.step.Workspace;
import java.util.List;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/**
 * An encoder, which reads a text both ways: embeddings of tokens, positions and token types,
 * normalised; blocks; and one of the heads it was published with.
 *
 * <pre>{@code
 * Pass pass = Bert.pass(lengths, state);
 * Var hidden = bert.hidden(tape, ids, types, pass);   // [B, T, C]
 * Var words = bert.tokenLogits(hidden, pass);         // [B, T, V]
 * Var follows = bert.sentenceLogits(hidden, pass);    // [B, 2]
 * }</pre>
 *
 * <p>Threads may share one; each pass is done in one turn on the device, with tape and workspace of
 * the thread's own.
 *
 * @param words [V, C]
 * @param positions [P, C]
 * @param types [S, C]: which of the sentences a token belongs to
 * @param norm of their sum
 * @param pooler {@code tanh(W·x + b)} of the first token; {@code null} for none
 * @param masked logits of tokens; {@code null} for none
 * @param sentences [2, C], whether the second sentence follows the first; {@code null} for none
 * @param classes [K, C]; {@code null} for none
 * @param recompute what training does not keep but computes again in the backward pass
 * @see <a href="https://arxiv.org/abs/1810.04805">Devlin et al. 2018</a>
 */
public record Bert(
    BertConfig config,
    Embedding words,
    Embedding positions,
    Embedding types,
    LayerNorm norm,
    List<PostNormBlock> blocks,
    @Nullable Linear pooler,
    @Nullable Masked masked,
    @Nullable Linear sentences,
    @Nullable Linear classes,
    Recomputation recompute)
    implements SequenceClassifier, NamedInFiles {

  /**
   * The head for masked words: {@code norm(f(dense(x)))·Wᵀ + bias} with the embedding as W.
   *
   * @param dense [C, C]
   * @param bias [V]
   */
  public record Masked(Linear dense, Activation f, LayerNorm norm, Parameter bias) {
    /** What is multiplied with the embedding, [.., C]. */
    Var transformed(Var x, Pass pass) {
      return norm.forward(dense.forward(x, f, pass));
    }
  }

  /** Allocates a model whose parameters are zero; fill it by {@link Init} or {@link BertFiles}. */
  public static ParameterBuffer<Bert> allocate(
      Device device, BertConfig config, Precision precision, Grouping grouping) {
    return ParameterBuffer.allocate(device, precision, grouping, d -> declare(config, d));
  }

  static Bert declare(BertConfig c, Declare d) {
    BertConfig.Head head = c.head();
    int width = c.hidden();
    return new Bert(
        c,
        Embedding.declare(d, c.vocab(), width),
        Embedding.declare(d, c.positions(), width),
        Embedding.declare(d, c.types(), width),
        LayerNorm.declare(d, width, c.eps()),
        IntStream.range(0, c.layers()).mapToObj(i -> block(c, d, i)).toList(),
        head.pools() ? Linear.declare(d, width, width, true) : null,
        head.unmasks()
            ? new Masked(
                Linear.declare(d, width, width, true),
                c.activation(),
                LayerNorm.declare(d, width, c.eps()),
                d.parameter(c.vocab()))
            : null,
        head.comparesSentences() ? Linear.declare(d, 2, width, true) : null,
        head == BertConfig.Head.CLASSIFIER
            ? Linear.declare(d, c.labels().count(), width, true)
            : null,
        Recomputation.NONE);
  }

  private static PostNormBlock block(BertConfig c, Declare d, int index) {
    int width = c.hidden();
    int site = 1 + 2 * index;
    return new PostNormBlock(
        new Attention(
            index,
            c.heads(),
            c.heads(),
            width / c.heads(),
            0,
            Linear.declare(d, 3 * width, width, true),
            null,
            null,
            Linear.declare(d, width, width, true),
            null,
            null,
            (float) (1 / Math.sqrt(width / c.heads())),
            0,
            c.dropout().attention()),
        new Dropout(c.dropout().hidden(), site),
        LayerNorm.declare(d, width, c.eps()),
        Mlp.Plain.declare(d, width, c.inner(), c.activation(), true),
        new Dropout(c.dropout().hidden(), site + 1),
        LayerNorm.declare(d, width, c.eps()));
  }

  /** The same model, its parameters shared, with activations recomputed in the backward pass. */
  public Bert withRecompute(boolean on) {
    return withRecompute(Recomputation.of(on));
  }

  /** The same model, its parameters shared, with these parts recomputed in the backward pass. */
  public Bert withRecompute(Recomputation what) {
    return new Bert(
        config, words, positions, types, norm, blocks, pooler, masked, sentences, classes, what);
  }

  /** The names of Hugging Face. */
  @Override
  public NameTable fileNames() {
    return BertFiles.names(config);
  }

  /**
   * A run in which every token sees all tokens of its row.
   *
   * @param lengths I32 [B], how many of each row are no padding; {@code null} where all are
   * @param training where dropout finds its key; {@code null} for a run without dropout
   */
  public static Pass pass(@Nullable Tensor lengths, @Nullable StepState training) {
    Pass pass = training == null ? Pass.PLAIN : Pass.training(training);
    return pass.masked(AttentionMask.FULL.lengths(lengths));
  }

  /**
   * What the last block gives.
   *
   * @param ids I32 [B, T], T at most the model's positions
   * @param sentence I32 [B, T], the token types; {@code null} where all are 0
   * @param pass as {@link #pass} makes it
   * @return [B, T, C], of the weights' element type
   */
  public Var hidden(Tape tape, Tensor ids, @Nullable Tensor sentence, Pass pass) {
    if (pass.mask().causal()) {
      throw new IllegalArgumentException("an encoder reads both ways: use Bert.pass");
    }
    try (Turn _ = ids.device().turn()) {
      Var x = embed(tape, ids, sentence, pass);
      int group = tape.isRecording() ? recompute.group() : 1;
      for (int i = 0; i < blocks.size(); i += group) {
        x = run(blocks.subList(i, Math.min(blocks.size(), i + group)), x, pass);
      }
      return x;
    }
  }

  /** The normalised sum of the three embeddings, [B, T, C]. */
  Var embed(Tape tape, Tensor ids, @Nullable Tensor sentence, Pass pass) {
    Check.that("bert").rank("tokens", ids, 2).dtype("tokens", ids, DType.I32);
    if (ids.dim(1) > config.positions()) {
      throw new IllegalArgumentException(
          "bert: a sequence of %d tokens is longer than the model's %d positions"
              .formatted(ids.dim(1), config.positions()));
    }
    Tensor places = tape.alloc(DType.I32, ids.shape());
    dev.javelin.tensor.op.Embedding.positions(places, 0);
    Tensor kinds = sentence == null ? tape.alloc(DType.I32, ids.shape()) : sentence;
    if (sentence == null) {
      Fill.zero(kinds);
    }
    Var sum =
        Functional.embedding(
            tape.param(words.weight()), ids, tape.param(positions.weight()), places);
    Var normed = norm.add(sum, types.forward(tape, kinds)).norm();
    return new Dropout(config.dropout().hidden(), 0).forward(normed, pass);
  }

  private Var run(List<PostNormBlock> several, Var x, Pass pass) {
    Tape tape = x.tape();
    PostNormBlock block = several.getFirst();
    if (tape.isRecording()) {
      return recompute instanceof Recomputation.Blocks
          ? Recompute.block(
              x,
              in -> {
                Var y = in;
                for (PostNormBlock one : several) {
                  y = one.forward(y, pass);
                }
                return y;
              })
          : block.forward(x, pass, recompute);
    }
    Workspace ws = tape.workspace(); // evaluation holds one block's activations, not all
    Var out;
    try (Workspace.Scope scope = ws.scope()) {
      out = block.forward(x, pass);
      scope.keep(out.value());
    }
    ws.release(x.value());
    return out;
  }

  /**
   * The logits of the tokens.
   *
   * @param hidden [.., C], from {@link #hidden}, all or some rows of it
   * @return [.., V]
   * @throws IllegalStateException where the model has no head for masked words
   */
  public Var tokenLogits(Var hidden, Pass pass) {
    Masked head = require(masked, "for masked words");
    Tape tape = hidden.tape();
    try (Turn _ = hidden.value().device().turn()) {
      return Functional.linear(
          head.transformed(hidden, pass), tape.param(words.weight()), tape.param(head.bias));
    }
  }

  /** What the pooler makes of the first token of each row of {@link #hidden}: [B, C]. */
  public Var pooled(Var hidden, Pass pass) {
    Linear dense = require(pooler, "that pools");
    int batch = hidden.shape().dim(0);
    try (Turn _ = hidden.value().device().turn()) {
      Var first = Algebra.slice(hidden, 1, 0, 1).reshape(batch, config.hidden());
      return dense.forward(first, Activation.TANH, pass);
    }
  }

  /** Whether the second sentence follows the first, [B, 2] of {@link #hidden}. */
  public Var sentenceLogits(Var hidden, Pass pass) {
    Linear head = require(sentences, "for pairs of sentences");
    try (Turn _ = hidden.value().device().turn()) {
      return head.forward(pooled(hidden, pass), pass);
    }
  }

  /** The logits of the classes, [B, K] of {@link #hidden}, with dropout in front of the head. */
  public Var classLogits(Var hidden, Pass pass) {
    Linear head = require(classes, "for classes");
    int site = 1 + 2 * blocks.size();
    try (Turn _ = hidden.value().device().turn()) {
      Var pooled = pooled(hidden, pass);
      return head.forward(
          new Dropout(config.dropout().classifier(), site).forward(pooled, pass), pass);
    }
  }

  @Override
  public Labels labels() {
    return config.labels();
  }

  @Override
  public Var classLogits(
      Tape tape, Tensor ids, Tensor lengths, Tensor last, @Nullable StepState training) {
    Pass pass = pass(lengths, training);
    try (Turn _ = ids.device().turn()) {
      return classLogits(hidden(tape, ids, null, pass), pass);
    }
  }

  private <T> T require(@Nullable T head, String what) {
    if (head == null) {
      throw new IllegalStateException(
          "%s has no head %s".formatted(config.head().className(), what));
    }
    return head;
  }
}
