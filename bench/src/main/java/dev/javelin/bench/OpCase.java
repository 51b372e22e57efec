package dev.javelin.bench;

import dev.javelin.device.DType;
import dev.javelin.kernels.Activation;
import dev.javelin.kernels.cpu.ExpLoop;
import dev.javelin.tensor.Grad;
import dev.javelin.tensor.LossScaling;
import dev.javelin.tensor.StepState;
import dev.javelin.tensor.Tensor;
import dev.javelin.tensor.op.Activate;
import dev.javelin.tensor.op.AdamW;
import dev.javelin.tensor.op.Attention;
import dev.javelin.tensor.op.AttentionMask;
import dev.javelin.tensor.op.CrossEntropy;
import dev.javelin.tensor.op.GlobalNorm;
import dev.javelin.tensor.op.Glu;
import dev.javelin.tensor.op.LossOptions;
import dev.javelin.tensor.op.RmsNorm;
import dev.javelin.tensor.op.Rope;
import dev.javelin.tensor.op.Rotation;
import dev.javelin.tensor.op.Softmax;
import java.util.Arrays;
import java.util.List;

/** Single operators on tensors that are allocated once, by the names the comparisons use. */
final class OpCase {
  private static final float EPS = 1e-5f;

  private OpCase() {}

  /** {@code name-dims}, for instance {@code rmsnorm-4096x384}. */
  static Runnable of(String name, Operands operands) {
    int cut = name.lastIndexOf('-');
    int[] dims =
        Arrays.stream(name.substring(cut + 1).split("x")).mapToInt(Integer::parseInt).toArray();
    return switch (name.substring(0, cut)) {
      case "rmsnorm" -> rmsNorm(operands, dims);
      case "rmsnorm-backward" -> rmsNormBackward(operands, dims);
      case "swiglu" -> swiGlu(operands, dims[0], dims[1]);
      case "softmax" -> softmax(operands, dims);
      case "cross-entropy" -> crossEntropy(operands, dims);
      case "rope" -> rope(operands, dims);
      case "exp" -> exp(operands, dims[0]);
      case "gelu" -> gelu(operands, dims);
      case "adamw" -> adamW(operands, dims[0]);
      case "attention" -> attention(operands, dims);
      case "attention-backward" -> attentionBackward(operands, dims);
      default -> throw new IllegalArgumentException("no such case: " + name);
    };
  }

  private static Runnable rmsNorm(Operands o, int[] dims) {
    Tensor x = o.random(dims);
    Tensor w = o.random(dims[1]);
    Tensor y = o.random(dims);
    Tensor rstd = o.random(DType.F32, dims[0]);
    return () -> RmsNorm.forward(y, rstd, x, w, EPS);
  }

  private static Runnable rmsNormBackward(Operands o, int[] dims) {
    Tensor x = o.random(dims);
    Tensor w = o.random(dims[1]);
    Tensor dy = o.random(dims);
    Tensor rstd = o.random(DType.F32, dims[0]);
    Grad dx = new Grad(o.random(dims), false);
    Grad dw = new Grad(o.random(DType.F32, dims[1]), false);
    return () -> RmsNorm.backward(dx, dw, dy, x, w, rstd);
  }

  private static Runnable swiGlu(Operands o, int rows, int hidden) {
    Tensor packed = o.random(rows, 2 * hidden);
    Tensor gate = packed.slice(1, 0, hidden);
    Tensor up = packed.slice(1, hidden, 2 * hidden);
    Tensor y = o.random(rows, hidden);
    return () -> Glu.forward(y, gate, up, Activation.SILU);
  }

  private static Runnable softmax(Operands o, int[] dims) {
    Tensor x = o.random(dims);
    Tensor y = o.random(dims);
    return () -> Softmax.forward(y, x);
  }

  private static Runnable crossEntropy(Operands o, int[] dims) {
    Tensor logits = o.random(dims);
    Tensor targets = o.ids(dims[1], dims[0]);
    Tensor losses = o.random(DType.F32, dims[0]);
    Tensor stats = o.random(DType.F32, dims[0], 2);
    return () -> CrossEntropy.forward(losses, stats, logits, targets, LossOptions.PLAIN);
  }

  /** dims: batch, time steps, heads, features. */
  private static Runnable rope(Operands o, int[] dims) {
    Tensor x = o.random(dims);
    Tensor y = o.random(dims);
    Rotation rotation =
        Rotation.of(
            o.random(DType.F32, dims[1], dims[3] / 2), o.random(DType.F32, dims[1], dims[3] / 2));
    return () -> Rope.forward(y, x, rotation);
  }

  private static Runnable gelu(Operands o, int[] dims) {
    Tensor x = o.random(dims);
    Tensor y = o.random(dims);
    return () -> Activate.forward(y, x, Activation.GELU_TANH);
  }

  private static Runnable exp(Operands o, int n) {
    Tensor x = o.random(n);
    Tensor y = o.random(n);
    return () -> ExpLoop.run(o.cpu(), y.segment(), x.segment(), n);
  }

  private static Runnable adamW(Operands o, int parameters) {
    Tensor w = o.random(DType.F32, parameters);
    Tensor m = o.random(DType.F32, parameters);
    Tensor v = o.random(DType.F32, parameters);
    Activate.forward(v, v, Activation.RELU_SQUARED);
    Tensor grads = o.random(DType.F32, parameters);
    StepState state = StepState.on(o.device());
    state.begin(1, 0, 3e-4f, 1);
    GlobalNorm.run(state, grads, 1, LossScaling.NONE);
    var segments = List.of(new AdamW.Segment(0, parameters, 1, 0.1f));
    return () -> AdamW.step(w, null, m, v, grads, segments, state, 0.9999f, 0.99999f, 1e-8f);
  }

  /** dims: batch, time steps, heads, features. */
  private static Runnable attention(Operands o, int[] dims) {
    Tensor q = o.random(dims);
    Tensor k = o.random(dims);
    Tensor v = o.random(dims);
    Tensor y = o.random(dims);
    Tensor lse = o.random(DType.F32, dims[0], dims[2], dims[1]);
    float scale = Attention.scale(q);
    return () -> Attention.forward(y, lse, q, k, v, AttentionMask.CAUSAL, scale);
  }

  private static Runnable attentionBackward(Operands o, int[] dims) {
    Tensor q = o.random(dims);
    Tensor k = o.random(dims);
    Tensor v = o.random(dims);
    Tensor y = o.random(dims);
    Tensor dy = o.random(dims);
    Tensor lse = o.random(DType.F32, dims[0], dims[2], dims[1]);
    Grad dq = new Grad(o.random(dims), false);
    Grad dk = new Grad(o.random(dims), false);
    Grad dv = new Grad(o.random(dims), false);
    float scale = Attention.scale(q);
    Attention.forward(y, lse, q, k, v, AttentionMask.CAUSAL, scale);
    return () -> Attention.backward(dq, dk, dv, dy, y, lse, q, k, v, AttentionMask.CAUSAL, scale);
  }
}
