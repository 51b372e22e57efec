package dev.javelin.autograd;

import static dev.javelin.autograd.Tape.inputs;
import static dev.javelin.autograd.Tape.tracks;

import dev.javelin.device.DType;
import dev.javelin.kernels.Activation;
import dev.javelin.tensor.Grad;
import dev.javelin.tensor.QuantizedMatrix;
import dev.javelin.tensor.Shape;
import dev.javelin.tensor.Tensor;
import dev.javelin.tensor.op.Activate;
import dev.javelin.tensor.op.AddLayerNorm;
import dev.javelin.tensor.op.AddRmsNorm;
import dev.javelin.tensor.op.Attention;
import dev.javelin.tensor.op.AttentionDropout;
import dev.javelin.tensor.op.AttentionMask;
import dev.javelin.tensor.op.Dropout;
import dev.javelin.tensor.op.Embedding;
import dev.javelin.tensor.op.Glu;
import dev.javelin.tensor.op.LayerNorm;
import dev.javelin.tensor.op.Linear;
import dev.javelin.tensor.op.Matmul;
import dev.javelin.tensor.op.QkNormRope;
import dev.javelin.tensor.op.QuantizedLinear;
import dev.javelin.tensor.op.RmsNorm;
import dev.javelin.tensor.op.Rope;
import dev.javelin.tensor.op.Rotation;
import dev.javelin.tensor.op.Softmax;
import dev.javelin.tensor.step.StepState;
import dev.javelin.tensor.step.Workspace;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/**
 * The differentiable functions: each runs its operator forward and records how to run it backward.
 * What the closure captures is what is kept for the backward pass. In alphabetical order; losses
 * are in {@link Losses}.
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
            inputs(x),
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
                inputs(x, h, w, b),
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
    return addRmsNorm(x, h, w, eps, 0);
  }

  /** The same with {@code offset} added to the weight. */
  public static AddNorm addRmsNorm(Var x, Var h, Var w, float eps, float offset) {
    Tensor sum = x.like();
    Tensor y = x.like();
    Tensor rstd = x.alloc(DType.F32, x.value().rows());
    AddRmsNorm.forward(sum, y, rstd, x.value(), h.value(), w.value(), eps, offset);
    List<Var> outs =
        x.tape()
            .record(
                "add_rms_norm",
                List.of(sum, y),
                inputs(x, h, w),
                out ->
                    AddRmsNorm.backward(
                        x.grad(),
                        h.grad(),
                        w.grad(),
                        out.get(0).dyOrNull(),
                        out.get(1).dyOrNull(),
                        sum,
                        w.value(),
                        rstd,
                        offset));
    return new AddNorm(outs.get(0), outs.get(1));
  }

  /** Attention with the scale 1/√D; see {@link Attention}. */
  public static Var attention(Var q, Var k, Var v, AttentionMask mask) {
    return attention(q, k, v, mask, Attention.scale(q.value()));
  }

  /** Attention of heads [B, T, H, D]; see {@link Attention}. */
  public static Var attention(Var q, Var k, Var v, AttentionMask mask, float scale) {
    return attention(q, k, v, mask, scale, null);
  }

  /** The same with dropout of its weights, which a re-run repeats; {@code null} for none. */
  public static Var attention(
      Var q, Var k, Var v, AttentionMask mask, float scale, @Nullable AttentionDropout dropout) {
    Shape s = q.shape();
    Tensor o = q.like();
    Tensor lse = q.alloc(DType.F32, s.dim(0), s.dim(2), s.dim(1));
    Attention.forward(o, lse, q.value(), k.value(), v.value(), mask, scale, dropout);
    return q.tape()
        .record(
            "attention",
            o,
            inputs(q, k, v),
            out ->
                Attention.backward(
                    q.grad(), k.grad(), v.grad(), out.dy(), o, lse, q.value(), k.value(), v.value(),
                    mask, scale, dropout));
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
            "dropout", y, inputs(x), out -> Dropout.backward(x.grad(), out.dy(), p, site, state));
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
            inputs(table),
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
            inputs(table, positionTable),
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
            inputs(gate, up),
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

  /**
   * Queries, keys and values of a packed [B, T, (H + 2·Hkv)·D]: views, the values without a copy.
   */
  public static Heads heads(Var qkv, int queryHeads, int kvHeads) {
    int dim = qkv.value().last() / (queryHeads + 2 * kvHeads);
    if (qkv.value().rank() != 3 || dim * (queryHeads + 2 * kvHeads) != qkv.value().last()) {
      throw new IllegalArgumentException(
          "heads: qkv must be [B, T, (H + 2·Hkv)·D] with H = %d and Hkv = %d, got %s"
              .formatted(queryHeads, kvHeads, qkv.shape()));
    }
    int b = qkv.value().dim(0);
    int t = qkv.value().dim(1);
    List<Var> parts = qkv.split(2, queryHeads * dim, kvHeads * dim, kvHeads * dim);
    return new Heads(
        parts.get(0).reshape(b, t, queryHeads, dim),
        parts.get(1).reshape(b, t, kvHeads, dim),
        parts.get(2).reshape(b, t, kvHeads, dim));
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
            inputs(x, w, b),
            out ->
                LayerNorm.backward(
                    x.grad(), gradOf(w), gradOf(b), out.dy(), x.value(), weight, mean, rstd));
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
        inputs(x, w, b),
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

  /** The same with a frozen weight in few bits; see {@link QuantizedLinear}. */
  public static Var linear(Var x, QuantizedMatrix w, @Nullable Var b, @Nullable Activation f) {
    Tape tape = x.tape();
    Workspace ws = tape.workspace();
    boolean tracked = tape.isRecording() && tracks(x, b);
    if (tracked && w.int8Activations()) {
      throw new IllegalStateException(
          "quantized linear: activations of 8 bits have no gradient: train without them");
    }
    Shape shape = x.shape().with(-1, w.out());
    Tensor y = tape.alloc(x.value().dtype(), shape);
    Tensor z = f != null && tracked ? tape.alloc(x.value().dtype(), shape) : null;
    QuantizedLinear.forward(ws, y, z, x.value(), w, valueOf(b), f);
    return tape.record(
        "quantized_linear",
        y,
        inputs(x, b),
        out -> {
          if (f == null || z == null) {
            QuantizedLinear.backward(ws, x.grad(), gradOf(b), out.dy(), w);
            return;
          }
          try (Workspace.Scratch dz = ws.scratch(z.dtype(), shape)) {
            Activate.backward(new Grad(dz.tensor(), false), out.dy(), z, f);
            QuantizedLinear.backward(ws, x.grad(), gradOf(b), dz.tensor(), w);
          }
        });
  }

  /** The logarithm of softmax over the last dimension; see {@link Softmax}. */
  public static Var logSoftmax(Var x) {
    Tensor y = x.like();
    Softmax.logForward(y, x.value());
    return x.tape()
        .record("log_softmax", y, inputs(x), out -> Softmax.logBackward(x.grad(), out.dy(), y));
  }

  /**
   * Turns queries and keys, each head RMS-normalised before; the values stay. See {@link
   * QkNormRope}.
   */
  public static Heads qkNormRope(
      Heads heads, Var qWeight, Var kWeight, float eps, Rotation rotation) {
    return qkNormRope(heads, qWeight, kWeight, eps, 0, rotation);
  }

  /** The same with {@code offset} added to the weights. */
  public static Heads qkNormRope(
      Heads heads, Var qWeight, Var kWeight, float eps, float offset, Rotation rotation) {
    return qkNormRope("qk_norm_rope", heads, qWeight, kWeight, eps, offset, rotation);
  }

  /** Turns queries and keys in one pass; see {@link QkNormRope}. */
  public static Heads qkRope(Heads heads, Rotation rotation) {
    return qkNormRope("qk_rope", heads, null, null, 0, 0, rotation);
  }

  private static Heads qkNormRope(
      String name,
      Heads heads,
      @Nullable Var qWeight,
      @Nullable Var kWeight,
      float eps,
      float offset,
      Rotation rotation) {
    Var q = heads.q();
    Var k = heads.k();
    Tensor qOut = q.like();
    Tensor kOut = k.like();
    Tensor qRstd = rstd(q, qWeight);
    Tensor kRstd = rstd(k, kWeight);
    Tensor qw = valueOf(qWeight);
    Tensor kw = valueOf(kWeight);
    QkNormRope.forward(
        new QkNormRope.Side(qOut, qRstd, q.value(), qw),
        new QkNormRope.Side(kOut, kRstd, k.value(), kw),
        rotation,
        eps,
        offset);
    List<Var> outs =
        q.tape()
            .record(
                name,
                List.of(qOut, kOut),
                inputs(q, k, qWeight, kWeight),
                out ->
                    QkNormRope.backward(
                        new QkNormRope.GradSide(
                            q.grad(), gradOf(qWeight), out.get(0).dyOrNull(), q.value(), qw, qRstd),
                        new QkNormRope.GradSide(
                            k.grad(), gradOf(kWeight), out.get(1).dyOrNull(), k.value(), kw, kRstd),
                        rotation,
                        offset));
    return new Heads(outs.get(0), outs.get(1), heads.v());
  }

  private static @Nullable Tensor rstd(Var x, @Nullable Var weight) {
    Shape s = x.shape();
    return weight == null ? null : x.alloc(DType.F32, s.dim(0), s.dim(1), s.dim(2));
  }

  /** Matrix product of the last two dimensions, leading ones broadcast; see {@link Matmul}. */
  public static Var matmul(Var a, Var b) {
    Tensor c = a.tape().alloc(a.value().dtype(), Matmul.shape(a.shape(), b.shape()));
    Matmul.forward(c, a.value(), b.value());
    return a.tape()
        .record(
            "matmul",
            c,
            inputs(a, b),
            out -> Matmul.backward(a.grad(), b.grad(), out.dy(), a.value(), b.value()));
  }

  /** Root mean square normalisation of the last dimension; see {@link RmsNorm}. */
  public static Var rmsNorm(Var x, Var w, float eps) {
    return rmsNorm(x, w, eps, 0);
  }

  /** The same with {@code offset} added to the weight. */
  public static Var rmsNorm(Var x, Var w, float eps, float offset) {
    Tensor y = x.like();
    Tensor rstd = x.alloc(DType.F32, x.value().rows());
    RmsNorm.forward(y, rstd, x.value(), w.value(), eps, offset);
    return x.tape()
        .record(
            "rms_norm",
            y,
            inputs(x, w),
            out ->
                RmsNorm.backward(x.grad(), w.grad(), out.dy(), x.value(), w.value(), rstd, offset));
  }

  /** Rotary position embedding of heads [B, T, H, D]; see {@link Rope}. */
  public static Var rope(Var x, Rotation rotation) {
    Tensor y = x.like();
    Rope.forward(y, x.value(), rotation);
    return x.tape()
        .record("rope", y, inputs(x), out -> Rope.backward(x.grad(), out.dy(), rotation));
  }

  /** Softmax over the last dimension; see {@link Softmax}. */
  public static Var softmax(Var x) {
    Tensor y = x.like();
    Softmax.forward(y, x.value());
    return x.tape().record("softmax", y, inputs(x), out -> Softmax.backward(x.grad(), out.dy(), y));
  }

  private static @Nullable Tensor valueOf(@Nullable Var v) {
    return v == null ? null : v.value();
  }

  private static @Nullable Grad gradOf(@Nullable Var v) {
    return v == null ? null : v.grad();
  }
}
