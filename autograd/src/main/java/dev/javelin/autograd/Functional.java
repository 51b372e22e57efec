package dev.javelin.autograd;

import static dev.javelin.autograd.Tape.tracks;

import dev.javelin.device.DType;
import dev.javelin.kernels.Activation;
import dev.javelin.tensor.Grad;
import dev.javelin.tensor.Shape;
import dev.javelin.tensor.Tensor;
import dev.javelin.tensor.op.Activate;
import dev.javelin.tensor.op.AddLayerNorm;
import dev.javelin.tensor.op.AddRmsNorm;
import dev.javelin.tensor.op.Embedding;
import dev.javelin.tensor.op.Glu;
import dev.javelin.tensor.op.LayerNorm;
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

  /** The logarithm of softmax over the last dimension; see {@link Softmax}. */
  public static Var logSoftmax(Var x) {
    Tensor y = x.like();
    Softmax.logForward(y, x.value());
    return x.tape()
        .record("log_softmax", y, tracks(x), out -> Softmax.logBackward(x.grad(), out.dy(), y));
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

  private static @Nullable Tensor valueOf(@Nullable Var v) {
    return v == null ? null : v.value();
  }

  private static @Nullable Grad gradOf(@Nullable Var v) {
    return v == null ? null : v.grad();
  }
}
