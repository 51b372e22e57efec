package dev.javelin.bench;

import dev.javelin.device.DType;
import dev.javelin.kernels.Activation;
import dev.javelin.kernels.cpu.ExpLoop;
import dev.javelin.tensor.FlatWeights;
import dev.javelin.tensor.Grad;
import dev.javelin.tensor.Segment;
import dev.javelin.tensor.Shape;
import dev.javelin.tensor.Tensor;
import dev.javelin.tensor.op.Activate;
import dev.javelin.tensor.op.AdamW;
import dev.javelin.tensor.op.AddLayerNorm;
import dev.javelin.tensor.op.AddRmsNorm;
import dev.javelin.tensor.op.CrossEntropy;
import dev.javelin.tensor.op.Dropout;
import dev.javelin.tensor.op.Elementwise;
import dev.javelin.tensor.op.Embedding;
import dev.javelin.tensor.op.GlobalNorm;
import dev.javelin.tensor.op.Glu;
import dev.javelin.tensor.op.LayerNorm;
import dev.javelin.tensor.op.Linear;
import dev.javelin.tensor.op.LinearCrossEntropy;
import dev.javelin.tensor.op.LossOptions;
import dev.javelin.tensor.op.RmsNorm;
import dev.javelin.tensor.op.Rope;
import dev.javelin.tensor.op.Rotation;
import dev.javelin.tensor.op.Softmax;
import dev.javelin.tensor.step.LossScaling;
import dev.javelin.tensor.step.StepState;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** How the operators of {@link OpCase} are run: on tensors that are allocated once. */
final class OpWork {
  private static final float EPS = 1e-5f;
  private static final float DROPPED = 0.1f;

  private OpWork() {}

  static Runnable copy(Operands o, int... dims) {
    Tensor x = o.random(dims);
    Tensor y = o.random(dims);
    return () -> Elementwise.copy(y, x);
  }

  static Runnable rmsNorm(Operands o, int... dims) {
    Tensor x = o.random(dims);
    Tensor w = o.random(dims[1]);
    Tensor y = o.random(dims);
    Tensor rstd = o.random(DType.F32, dims[0]);
    return () -> RmsNorm.forward(y, rstd, x, w, EPS);
  }

  static Runnable rmsNormBackward(Operands o, int... dims) {
    Tensor x = o.random(dims);
    Tensor w = o.random(dims[1]);
    Tensor dy = o.random(dims);
    Tensor rstd = o.random(DType.F32, dims[0]);
    Grad dx = new Grad(o.random(dims), false);
    Grad dw = weightGrad(o, dims[1]);
    return () -> RmsNorm.backward(dx, dw, dy, x, w, rstd);
  }

  static Runnable addRmsNorm(Operands o, int... dims) {
    Tensor x = o.random(dims);
    Tensor h = o.random(dims);
    Tensor w = o.random(dims[1]);
    Tensor sum = o.random(dims);
    Tensor y = o.random(dims);
    Tensor rstd = o.random(DType.F32, dims[0]);
    return () -> AddRmsNorm.forward(sum, y, rstd, x, h, w, EPS);
  }

  static Runnable addRmsNormBackward(Operands o, int... dims) {
    Tensor sum = o.random(dims);
    Tensor w = o.random(dims[1]);
    Tensor dsum = o.random(dims);
    Tensor dy = o.random(dims);
    Tensor rstd = o.random(DType.F32, dims[0]);
    Grad dx = new Grad(o.random(dims), false);
    Grad dh = new Grad(o.random(dims), false);
    Grad dw = weightGrad(o, dims[1]);
    return () -> AddRmsNorm.backward(dx, dh, dw, dsum, dy, sum, w, rstd);
  }

  static Runnable layerNorm(Operands o, int... dims) {
    Tensor x = o.random(dims);
    Tensor w = o.random(dims[1]);
    Tensor b = o.random(dims[1]);
    Tensor y = o.random(dims);
    Tensor mean = o.random(DType.F32, dims[0]);
    Tensor rstd = o.random(DType.F32, dims[0]);
    return () -> LayerNorm.forward(y, mean, rstd, x, w, b, EPS);
  }

  static Runnable layerNormBackward(Operands o, int... dims) {
    Tensor x = o.random(dims);
    Tensor w = o.random(dims[1]);
    Tensor dy = o.random(dims);
    Tensor mean = o.random(DType.F32, dims[0]);
    Tensor rstd = o.random(DType.F32, dims[0]);
    Grad dx = new Grad(o.random(dims), false);
    Grad dw = weightGrad(o, dims[1]);
    Grad db = weightGrad(o, dims[1]);
    return () -> LayerNorm.backward(dx, dw, db, dy, x, w, mean, rstd);
  }

  static Runnable addLayerNorm(Operands o, int... dims) {
    Tensor x = o.random(dims);
    Tensor h = o.random(dims);
    Tensor w = o.random(dims[1]);
    Tensor b = o.random(dims[1]);
    Tensor sum = o.random(dims);
    Tensor y = o.random(dims);
    Tensor mean = o.random(DType.F32, dims[0]);
    Tensor rstd = o.random(DType.F32, dims[0]);
    return () -> AddLayerNorm.forward(sum, y, mean, rstd, x, h, w, b, EPS);
  }

  static Runnable addLayerNormBackward(Operands o, int... dims) {
    Tensor sum = o.random(dims);
    Tensor w = o.random(dims[1]);
    Tensor dsum = o.random(dims);
    Tensor dy = o.random(dims);
    Tensor mean = o.random(DType.F32, dims[0]);
    Tensor rstd = o.random(DType.F32, dims[0]);
    Grad dx = new Grad(o.random(dims), false);
    Grad dh = new Grad(o.random(dims), false);
    Grad dw = weightGrad(o, dims[1]);
    Grad db = weightGrad(o, dims[1]);
    return () -> AddLayerNorm.backward(dx, dh, dw, db, dsum, dy, sum, w, mean, rstd);
  }

  private static Grad weightGrad(Operands o, int... dims) {
    return new Grad(o.random(DType.F32, dims), false);
  }

  static Runnable gelu(Operands o, int... dims) {
    Tensor x = o.random(dims);
    Tensor y = o.random(dims);
    return () -> Activate.forward(y, x, Activation.GELU_TANH);
  }

  static Runnable geluBackward(Operands o, int... dims) {
    Tensor x = o.random(dims);
    Tensor dy = o.random(dims);
    Grad dx = new Grad(o.random(dims), false);
    return () -> Activate.backward(dx, dy, x, Activation.GELU_TANH);
  }

  /** Gate and up are halves of one packed tensor, as the model has them. */
  static Runnable swiGlu(Operands o, int... dims) {
    Tensor packed = o.random(dims[0], 2 * dims[1]);
    Tensor gate = packed.slice(1, 0, dims[1]);
    Tensor up = packed.slice(1, dims[1], 2 * dims[1]);
    Tensor y = o.random(dims);
    return () -> Glu.forward(y, gate, up, Activation.SILU);
  }

  static Runnable swiGluBackward(Operands o, int... dims) {
    Tensor packed = o.random(dims[0], 2 * dims[1]);
    Tensor dpacked = o.random(dims[0], 2 * dims[1]);
    Tensor gate = packed.slice(1, 0, dims[1]);
    Tensor up = packed.slice(1, dims[1], 2 * dims[1]);
    Grad dgate = new Grad(dpacked.slice(1, 0, dims[1]), false);
    Grad dup = new Grad(dpacked.slice(1, dims[1], 2 * dims[1]), false);
    Tensor dy = o.random(dims);
    return () -> Glu.backward(dgate, dup, dy, gate, up, Activation.SILU);
  }

  static Runnable softmax(Operands o, int... dims) {
    Tensor x = o.random(dims);
    Tensor y = o.random(dims);
    return () -> Softmax.forward(y, x);
  }

  static Runnable softmaxBackward(Operands o, int... dims) {
    Tensor y = o.random(dims);
    Tensor dy = o.random(dims);
    Grad dx = new Grad(o.random(dims), false);
    return () -> Softmax.backward(dx, dy, y);
  }

  static Runnable crossEntropy(Operands o, int... dims) {
    Tensor logits = o.random(dims);
    Tensor targets = o.ids(dims[1], dims[0]);
    Tensor losses = o.random(DType.F32, dims[0]);
    Tensor stats = o.random(DType.F32, dims[0], 2);
    return () -> CrossEntropy.forward(losses, stats, logits, targets, LossOptions.PLAIN);
  }

  static Runnable crossEntropyBackward(Operands o, int... dims) {
    Tensor logits = o.random(dims);
    Tensor targets = o.ids(dims[1], dims[0]);
    Tensor losses = o.random(DType.F32, dims[0]);
    Tensor stats = o.random(DType.F32, dims[0], 2);
    Tensor dy = o.random(DType.F32, dims[0]);
    Grad dx = new Grad(o.random(dims), false);
    CrossEntropy.forward(losses, stats, logits, targets, LossOptions.PLAIN);
    return () -> CrossEntropy.backward(dx, dy, logits, targets, stats, LossOptions.PLAIN);
  }

  static Runnable linearCrossEntropy(Operands o, int... dims) {
    Tensor x = o.random(dims[0], dims[1]);
    Tensor w = o.random(dims[2], dims[1]);
    Tensor targets = o.ids(dims[2], dims[0]);
    Tensor losses = o.random(DType.F32, dims[0]);
    Tensor stats = o.random(DType.F32, dims[0], 2);
    Tensor dy = o.random(DType.F32, dims[0]);
    Grad dx = new Grad(o.random(dims[0], dims[1]), false);
    Grad dw = new Grad(o.random(DType.F32, dims[2], dims[1]), true);
    Shape logits = LinearCrossEntropy.scratch(o.device(), dims[0], dims[2]);
    Tensor scratch = o.random(DType.F32, logits.toArray());
    return () ->
        LinearCrossEntropy.forwardBackward(
            losses, stats, dx, dw, dy, x, w, targets, LossOptions.PLAIN, scratch);
  }

  /** dims: batch, time steps, heads, features. */
  static Runnable rope(Operands o, int... dims) {
    Tensor x = o.random(dims);
    Tensor y = o.random(dims);
    Rotation rotation =
        Rotation.of(
            o.random(DType.F32, dims[1], dims[3] / 2), o.random(DType.F32, dims[1], dims[3] / 2));
    return () -> Rope.forward(y, x, rotation);
  }

  static Runnable dropout(Operands o, int... dims) {
    Tensor x = o.random(dims);
    Tensor y = o.random(dims);
    StepState state = o.state();
    return () -> Dropout.forward(y, x, DROPPED, 0, state);
  }

  /** dims: tokens, columns, vocabulary. */
  static Runnable embedding(Operands o, int... dims) {
    Tensor table = o.random(dims[2], dims[1]);
    Tensor ids = o.ids(dims[2], dims[0]);
    Tensor y = o.random(dims[0], dims[1]);
    return () -> Embedding.forward(y, table, ids);
  }

  static Runnable embeddingBackward(Operands o, int... dims) {
    Grad table = new Grad(o.random(DType.F32, dims[2], dims[1]), true);
    Tensor ids = o.ids(dims[2], dims[0]);
    Tensor dy = o.random(dims[0], dims[1]);
    return () -> Embedding.backward(table, dy, ids, Embedding.NO_PADDING);
  }

  static Runnable biasGradient(Operands o, int... dims) {
    Tensor dz = o.random(dims);
    Tensor x = o.random(dims[0], 1);
    Tensor w = o.random(dims[1], 1);
    Grad db = new Grad(o.random(DType.F32, dims[1]), true);
    return () -> Linear.backward(null, null, db, dz, x, w);
  }

  static Runnable globalNorm(Operands o, int... dims) {
    Tensor grads = o.random(DType.F32, dims[0]);
    StepState state = o.state();
    return () -> GlobalNorm.run(state, grads, 1, LossScaling.NONE);
  }

  static Runnable adamW(Operands o, int... dims) {
    int n = dims[0];
    boolean halves = o.type() != DType.F32;
    Tensor w = o.random(n);
    @Nullable Tensor master = halves ? o.random(DType.F32, n) : null;
    Tensor m = o.random(DType.F32, n);
    Tensor v = o.random(DType.F32, n);
    Activate.forward(v, v, Activation.RELU_SQUARED);
    Tensor grads = o.random(DType.F32, n);
    StepState state = o.state();
    GlobalNorm.run(state, grads, 1, LossScaling.NONE);
    var segments = List.of(new Segment(0, n, 1, 0.1f));
    return () ->
        AdamW.step(
            new FlatWeights(w, master, grads, segments), m, v, state, 0.9999f, 0.99999f, 1e-8f);
  }

  static Runnable exp(Operands o, int... dims) {
    Tensor x = o.random(dims[0]);
    Tensor y = o.random(dims[0]);
    return () -> ExpLoop.run(o.cpu(), y.segment(), x.segment(), dims[0]);
  }
}
