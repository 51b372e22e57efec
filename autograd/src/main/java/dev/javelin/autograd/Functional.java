package dev.javelin.autograd;

import static dev.javelin.autograd.Tape.tracks;

import dev.javelin.device.DType;
import dev.javelin.kernels.Activation;
import dev.javelin.tensor.Grad;
import dev.javelin.tensor.Shape;
import dev.javelin.tensor.StepState;
import dev.javelin.tensor.Tensor;
import dev.javelin.tensor.Workspace;
import dev.javelin.tensor.op.Activate;
import dev.javelin.tensor.op.AddLayerNorm;
import dev.javelin.tensor.op.AddRmsNorm;
import dev.javelin.tensor.op.CrossEntropy;
import dev.javelin.tensor.op.Dropout;
import dev.javelin.tensor.op.Embedding;
import dev.javelin.tensor.op.Glu;
import dev.javelin.tensor.op.LayerNorm;
import dev.javelin.tensor.op.Linear;
import dev.javelin.tensor.op.LinearCrossEntropy;
import dev.javelin.tensor.op.LossOptions;
import dev.javelin.tensor.op.Matmul;
import dev.javelin.tensor.op.MeanLoss;
import dev.javelin.tensor.op.RmsNorm;
import dev.javelin.tensor.op.Softmax;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/**
 * The differentiable functions: each runs its operator forward and records how to run it backward.
 * What the closure captures is what is kept for the backward pass. In alphabetical order.
 */
public final class Functional {
  private Functional() {}

  /** An elementwise nonlinearity; see {@link Activation}. */
  public static Var activate(Var x, Activation f) {
    Tensor y = x.like();
    Activate.forward(y, x.value(), f);
    return x.tape()
        .record(
            f.name().toLowerCase(Locale.ROOT),
            y,
            tracks(x),
            out -> Activate.backward(x.grad(), out.dy(), x.value(), f));
  }

  /** A residual addition and the layer normalisation of its result; see {@link AddLayerNorm}. */
  public static AddNorm addLayerNorm(Var x, Var h, @Nullable Var w, @Nullable Var b, float eps) {
    Tensor sum = x.like();
    Tensor y = x.like();
    Tensor mean = x.alloc(DType.F32, x.value().rows());
    Tensor rstd = x.alloc(DType.F32, x.value().rows());
    Tensor weight = valueOf(w);
    AddLayerNorm.forward(sum, y, mean, rstd, x.value(), h.value(), weight, valueOf(b), eps);
    List<Var> outs =
        x.tape()
            .record(
                "add_layer_norm",
                List.of(sum, y),
                tracks(x, h, w, b),
                out ->
                    AddLayerNorm.backward(
                        x.grad(),
                        h.grad(),
                        gradOf(w),
                        gradOf(b),
                        out.get(0).dyOrNull(),
                        out.get(1).dyOrNull(),
                        sum,
                        weight,
                        mean,
                        rstd));
    return new AddNorm(outs.get(0), outs.get(1));
  }

  /**
   * A residual addition and the root mean square normalisation of its result; see {@link
   * AddRmsNorm}.
   */
  public static AddNorm addRmsNorm(Var x, Var h, Var w, float eps) {
    Tensor sum = x.like();
    Tensor y = x.like();
    Tensor rstd = x.alloc(DType.F32, x.value().rows());
    AddRmsNorm.forward(sum, y, rstd, x.value(), h.value(), w.value(), eps);
    List<Var> outs =
        x.tape()
            .record(
                "add_rms_norm",
                List.of(sum, y),
                tracks(x, h, w),
                out ->
                    AddRmsNorm.backward(
                        x.grad(),
                        h.grad(),
                        w.grad(),
                        out.get(0).dyOrNull(),
                        out.get(1).dyOrNull(),
                        sum,
                        w.value(),
                        rstd));
    return new AddNorm(outs.get(0), outs.get(1));
  }

  /** Cross-entropy of the last dimension, one loss for each target; see {@link CrossEntropy}. */
  public static Var crossEntropy(Var logits, Tensor targets, LossOptions options) {
    Tensor losses = logits.tape().alloc(DType.F32, targets.shape());
    Tensor stats = logits.alloc(DType.F32, logits.value().rows(), 2);
    CrossEntropy.forward(losses, stats, logits.value(), targets, options);
    return logits
        .tape()
        .record(
            "cross_entropy",
            losses,
            tracks(logits),
            out ->
                CrossEntropy.backward(
                    logits.grad(), out.dy(), logits.value(), targets, stats, options));
  }

  /** Random zeros, the same in a re-run; {@code x} itself for p = 0. See {@link Dropout}. */
  public static Var dropout(Var x, float p, int site, StepState state) {
    if (p == 0) {
      return x;
    }
    Tensor y = x.like();
    Dropout.forward(y, x.value(), p, site, state);
    return x.tape()
        .record(
            "dropout", y, tracks(x), out -> Dropout.backward(x.grad(), out.dy(), p, site, state));
  }

  /** Rows of a table by id; ids I32 of any shape, the result has one more dimension. */
  public static Var embedding(Var table, Tensor ids) {
    return embedding(table, ids, Embedding.NO_PADDING);
  }

  /** The same, where the row of {@code paddingId} gets no gradient; see {@link Embedding}. */
  public static Var embedding(Var table, Tensor ids, int paddingId) {
    Tensor y = table.tape().alloc(table.value().dtype(), append(ids, table.value().last()));
    Embedding.forward(y, table.value(), ids);
    return table
        .tape()
        .record(
            "embedding",
            y,
            tracks(table),
            out -> Embedding.backward(table.grad(), out.dy(), ids, paddingId));
  }

  /** {@code table[ids] + positionTable[positions]}; see {@link Embedding}. */
  public static Var embedding(Var table, Tensor ids, Var positionTable, Tensor positions) {
    Tensor y = table.tape().alloc(table.value().dtype(), append(ids, table.value().last()));
    Embedding.forward(y, table.value(), ids, positionTable.value(), positions);
    return table
        .tape()
        .record(
            "embedding",
            y,
            tracks(table, positionTable),
            out -> {
              Embedding.backward(table.grad(), out.dy(), ids, Embedding.NO_PADDING);
              Embedding.backward(positionTable.grad(), out.dy(), positions, Embedding.NO_PADDING);
            });
  }

  private static Shape append(Tensor t, int dim) {
    int[] dims = Arrays.copyOf(t.shape().toArray(), t.rank() + 1);
    dims[t.rank()] = dim;
    return Shape.of(dims);
  }

  /** {@code f(gate) · up}; see {@link Glu}. */
  public static Var glu(Var gate, Var up, Activation f) {
    Tensor y = gate.like();
    Glu.forward(y, gate.value(), up.value(), f);
    return gate.tape()
        .record(
            "glu",
            y,
            tracks(gate, up),
            out -> Glu.backward(gate.grad(), up.grad(), out.dy(), gate.value(), up.value(), f));
  }

  /** {@code f(gate) · up} of a packed [.., 2F]: the gate in the first half, up in the second. */
  public static Var glu(Var gateUp, Activation f) {
    int width = gateUp.value().last();
    if (width % 2 != 0) {
      throw new IllegalArgumentException(
          "glu: the last dimension must be even (gate and up), got " + gateUp.shape());
    }
    List<Var> halves = gateUp.split(-1, width / 2, width / 2);
    return glu(halves.get(0), halves.get(1), f);
  }

  /** Layer normalisation of the last dimension; see {@link LayerNorm}. */
  public static Var layerNorm(Var x, @Nullable Var w, @Nullable Var b, float eps) {
    Tensor y = x.like();
    Tensor mean = x.alloc(DType.F32, x.value().rows());
    Tensor rstd = x.alloc(DType.F32, x.value().rows());
    Tensor weight = valueOf(w);
    LayerNorm.forward(y, mean, rstd, x.value(), weight, valueOf(b), eps);
    return x.tape()
        .record(
            "layer_norm",
            y,
            tracks(x, w, b),
            out ->
                LayerNorm.backward(
                    x.grad(), gradOf(w), gradOf(b), out.dy(), x.value(), weight, mean, rstd));
  }

  /**
   * The training loss {@code (1/N) Σ losses} of {@code x·wᵀ}, as the root of backward: in training
   * the gradients, times the loss scale, are written in the forward pass already, and nothing is
   * saved. The loss is added to the step's. See {@link LinearCrossEntropy}.
   *
   * @throws IllegalStateException in backward, where it is not the root; then use {@link
   *     #linearCrossEntropyLosses}
   */
  public static Var linearCrossEntropy(
      Var x, Var w, Tensor targets, LossOptions options, StepState state) {
    Workspace ws = x.tape().workspace();
    Tensor loss = x.alloc(DType.F32);
    // Recorded before the gradients are asked for: their memory then belongs to the nodes that made
    // x and w and outlives this one.
    Var out = x.tape().record("linear_cross_entropy", loss, tracks(x, w), Functional::requireRoot);
    int rows = x.value().rows();
    try (var losses = ws.scratch(DType.F32, targets.shape());
        var stats = ws.scratch(DType.F32, Shape.of(rows, 2));
        var dy = ws.scratch(DType.F32, targets.shape());
        var logits = ws.scratch(DType.F32, LinearCrossEntropy.scratch(rows, w.value().dim(0)))) {
      if (out.requiresGrad()) {
        MeanLoss.backward(
            new Grad(dy.tensor(), false), state.lossScaleTensor(), state.inverseTargetsTensor());
        LinearCrossEntropy.forwardBackward(
            losses.tensor(),
            stats.tensor(),
            x.grad(),
            w.grad(),
            dy.tensor(),
            x.value(),
            w.value(),
            targets,
            options,
            logits.tensor());
      } else {
        LinearCrossEntropy.forward(
            losses.tensor(),
            stats.tensor(),
            x.value(),
            w.value(),
            targets,
            options,
            logits.tensor());
      }
      MeanLoss.forward(loss, losses.tensor(), state.inverseTargetsTensor(), state);
    }
    return out;
  }

  private static void requireRoot(Var out) {
    if (!out.isRoot()) {
      throw new IllegalStateException(
          "linearCrossEntropy: its gradients were written in the forward pass, so it must be the"
              + " root of backward; as one term of a loss use linearCrossEntropyLosses");
    }
  }

  /**
   * One loss for each target, of logits {@code x·wᵀ} that are computed again in backward; for
   * losses that are not the root. See {@link LinearCrossEntropy}.
   */
  public static Var linearCrossEntropyLosses(Var x, Var w, Tensor targets, LossOptions options) {
    Workspace ws = x.tape().workspace();
    Tensor losses = x.tape().alloc(DType.F32, targets.shape());
    Tensor stats = x.alloc(DType.F32, x.value().rows(), 2);
    Shape scratch = LinearCrossEntropy.scratch(x.value().rows(), w.value().dim(0));
    try (var logits = ws.scratch(DType.F32, scratch)) {
      LinearCrossEntropy.forward(
          losses, stats, x.value(), w.value(), targets, options, logits.tensor());
    }
    return x.tape()
        .record(
            "linear_cross_entropy",
            losses,
            tracks(x, w),
            out -> {
              try (var logits = ws.scratch(DType.F32, scratch)) {
                LinearCrossEntropy.backward(
                    x.grad(),
                    w.grad(),
                    out.dy(),
                    x.value(),
                    w.value(),
                    targets,
                    stats,
                    options,
                    logits.tensor());
              }
            });
  }

  /** {@code x · wᵀ + b}, w [N, K]; see {@link Linear}. */
  public static Var linear(Var x, Var w, @Nullable Var b) {
    return linear(x, w, b, null);
  }

  /**
   * {@code f(x · wᵀ + b)}, the activation applied while the sums are in the cache; see {@link
   * Linear}.
   */
  public static Var linear(Var x, Var w, @Nullable Var b, @Nullable Activation f) {
    Tape tape = x.tape();
    boolean tracked = tape.isRecording() && tracks(x, w, b);
    Shape shape = x.shape().with(-1, w.value().dim(0));
    Tensor y = tape.alloc(x.value().dtype(), shape);
    Tensor z = f != null && tracked ? tape.alloc(x.value().dtype(), shape) : null;
    Linear.forward(y, z, x.value(), w.value(), valueOf(b), f);
    return tape.record(
        "linear",
        y,
        tracked,
        out -> {
          if (f == null || z == null) {
            Linear.backward(x.grad(), w.grad(), gradOf(b), out.dy(), x.value(), w.value());
            return;
          }
          try (Workspace.Scratch dz = tape.workspace().scratch(z.dtype(), shape)) {
            Activate.backward(new Grad(dz.tensor(), false), out.dy(), z, f);
            Linear.backward(x.grad(), w.grad(), gradOf(b), dz.tensor(), x.value(), w.value());
          }
        });
  }

  /** The logarithm of softmax over the last dimension; see {@link Softmax}. */
  public static Var logSoftmax(Var x) {
    Tensor y = x.like();
    Softmax.logForward(y, x.value());
    return x.tape()
        .record("log_softmax", y, tracks(x), out -> Softmax.logBackward(x.grad(), out.dy(), y));
  }

  /** The mean over the targets that are not ignored; 0 where all are. See {@link MeanLoss}. */
  public static Var meanLoss(Var losses, Tensor targets, LossOptions options) {
    Tensor weight = losses.alloc(DType.F32);
    MeanLoss.weightOfValid(weight, targets, options.ignoreIndex());
    return weighted(losses, weight, null);
  }

  /** Matrix product of the last two dimensions, leading ones broadcast; see {@link Matmul}. */
  public static Var matmul(Var a, Var b) {
    Tensor c = a.tape().alloc(a.value().dtype(), Matmul.shape(a.shape(), b.shape()));
    Matmul.forward(c, a.value(), b.value());
    return a.tape()
        .record(
            "matmul",
            c,
            tracks(a, b),
            out -> Matmul.backward(a.grad(), b.grad(), out.dy(), a.value(), b.value()));
  }

  /** Root mean square normalisation of the last dimension; see {@link RmsNorm}. */
  public static Var rmsNorm(Var x, Var w, float eps) {
    Tensor y = x.like();
    Tensor rstd = x.alloc(DType.F32, x.value().rows());
    RmsNorm.forward(y, rstd, x.value(), w.value(), eps);
    return x.tape()
        .record(
            "rms_norm",
            y,
            tracks(x, w),
            out -> RmsNorm.backward(x.grad(), w.grad(), out.dy(), x.value(), w.value(), rstd));
  }

  /** Softmax over the last dimension; see {@link Softmax}. */
  public static Var softmax(Var x) {
    Tensor y = x.like();
    Softmax.forward(y, x.value());
    return x.tape().record("softmax", y, tracks(x), out -> Softmax.backward(x.grad(), out.dy(), y));
  }

  /**
   * A micro-batch's share {@code (1/N) Σ losses} of the step's loss, N being the step's valid
   * targets; added to the step's loss. See {@link MeanLoss}.
   */
  public static Var stepLoss(Var losses, StepState state) {
    return weighted(losses, state.inverseTargetsTensor(), state);
  }

  private static Var weighted(Var losses, Tensor weight, @Nullable StepState state) {
    Tensor loss = losses.alloc(DType.F32);
    MeanLoss.forward(loss, losses.value(), weight, state);
    return losses
        .tape()
        .record(
            "mean_loss",
            loss,
            tracks(losses),
            out -> MeanLoss.backward(losses.grad(), out.dy(), weight));
  }

  private static @Nullable Tensor valueOf(@Nullable Var v) {
    return v == null ? null : v.value();
  }

  private static @Nullable Grad gradOf(@Nullable Var v) {
    return v == null ? null : v.grad();
  }
}
