package dev.javelin.train.trace;

import dev.javelin.device.DType;
import dev.javelin.kernels.Activation;
import dev.javelin.tensor.FlatWeights;
import dev.javelin.tensor.Grad;
import dev.javelin.tensor.Segment;
import dev.javelin.tensor.Tensor;
import dev.javelin.tensor.op.Activate;
import dev.javelin.tensor.op.AdamW;
import dev.javelin.tensor.op.CrossEntropy;
import dev.javelin.tensor.op.Embedding;
import dev.javelin.tensor.op.Glu;
import dev.javelin.tensor.op.LayerNorm;
import dev.javelin.tensor.op.LossOptions;
import dev.javelin.tensor.op.Matmul;
import dev.javelin.tensor.op.RmsNorm;
import dev.javelin.tensor.op.Rope;
import dev.javelin.tensor.op.Rotation;
import dev.javelin.tensor.op.Softmax;
import dev.javelin.train.data.InputException;
import dev.javelin.train.settings.Names;
import java.util.List;

/**
 * A kernel that can be traced: an operator, and small tensors for it.
 *
 * @param name on the command line
 * @param launches how the names of its kernels begin
 * @param formula what it computes
 * @param shapes of its tensors, in rows R, columns C and inner dimension K
 * @param sizes where the user gives none
 */
public record TracedKernel(
    String name, String launches, String formula, String shapes, Sizes sizes, Setup setup) {
  private static final float EPS = 1e-5f;
  private static final double THETA = 10_000;
  private static final int VOCABULARY = 8;

  /**
   * How large the tensors are.
   *
   * @param inner the dimension that a matrix product sums over; others ignore it
   */
  public record Sizes(int rows, int cols, int inner) {
    static Sizes of(int rows, int cols) {
      return new Sizes(rows, cols, 0);
    }
  }

  /** Makes the tensors; what it returns runs the operator on them. */
  interface Setup {
    Runnable on(Stage stage, Sizes sizes);
  }

  /** Those there are, in the order of {@code --list}. */
  public static final List<TracedKernel> ALL =
      List.of(
          new TracedKernel(
              "rms_norm",
              "rms_norm_forward",
              "y = x · rstd · w, rstd = 1/√(mean(x²) + ε) of each row",
              "x, y [R, C], w [C], rstd [R]",
              Sizes.of(4, 256),
              TracedKernel::rmsNorm),
          new TracedKernel(
              "rms_norm_backward",
              "rms_norm_backward",
              "dx = rstd · (dy·w − x · rstd² · mean(dy·w·x)), dw = Σ dy · x · rstd",
              "x, dy, dx [R, C], w, dw [C], rstd [R]",
              Sizes.of(4, 128),
              TracedKernel::rmsNormBackward),
          new TracedKernel(
              "layer_norm",
              "layer_norm_forward",
              "y = (x − mean) · rstd · w + b, rstd = 1/√(var(x) + ε) of each row",
              "x, y [R, C], w, b [C], mean, rstd [R]",
              Sizes.of(4, 256),
              TracedKernel::layerNorm),
          new TracedKernel(
              "softmax",
              "softmax_forward",
              "y = e^(x − max) / Σ e^(x − max) of each row",
              "x, y [R, C]",
              Sizes.of(4, 256),
              (stage, n) -> {
                Tensor y = stage.output("y", n.rows, n.cols);
                Tensor x = stage.input("x", n.rows, n.cols);
                return () -> Softmax.forward(y, x);
              }),
          new TracedKernel(
              "silu",
              "activate_forward",
              "y = x · sigmoid(x)",
              "x, y [R, C]",
              Sizes.of(4, 256),
              (stage, n) -> {
                Tensor y = stage.output("y", n.rows, n.cols);
                Tensor x = stage.input("x", n.rows, n.cols);
                return () -> Activate.forward(y, x, Activation.SILU);
              }),
          new TracedKernel(
              "swiglu",
              "glu_forward",
              "y = gate · sigmoid(gate) · up",
              "gate, up, y [R, C]",
              Sizes.of(4, 256),
              (stage, n) -> {
                Tensor y = stage.output("y", n.rows, n.cols);
                Tensor gate = stage.input("gate", n.rows, n.cols);
                Tensor up = stage.input("up", n.rows, n.cols);
                return () -> Glu.forward(y, gate, up, Activation.SILU);
              }),
          new TracedKernel(
              "rope",
              "rope_turn",
              "(a, b) turns to (a·cos − b·sin, b·cos + a·sin), a = x[t, h, i], b = x[t, h, i + C/2]",
              "x, y [1, R, 2, C], cos, sin [R, C/2]",
              Sizes.of(4, 32),
              TracedKernel::rope),
          new TracedKernel(
              "matmul",
              "matmul_",
              "c = a · b",
              "a [R, K], b [K, C], c [R, C]",
              new Sizes(64, 64, 16),
              (stage, n) -> {
                Tensor c = stage.output("c", n.rows, n.cols);
                Tensor a = stage.input("a", n.rows, n.inner);
                Tensor b = stage.input("b", n.inner, n.cols);
                return () -> Matmul.forward(c, a, b);
              }),
          new TracedKernel(
              "embedding",
              "embedding_forward",
              "y[r] = table[ids[r]]",
              "ids [R], table [8, C], y [R, C]",
              Sizes.of(4, 256),
              (stage, n) -> {
                Tensor y = stage.output("y", n.rows, n.cols);
                Tensor table = stage.input("table", VOCABULARY, n.cols);
                Tensor ids = stage.ids("ids", VOCABULARY, n.rows);
                return () -> Embedding.forward(y, table, ids);
              }),
          new TracedKernel(
              "cross_entropy",
              "cross_entropy_forward",
              "losses = ln Σ e^x − x[target] of each row",
              "logits [R, C], targets, losses [R], stats [R, 2]",
              Sizes.of(4, 256),
              (stage, n) -> {
                Tensor losses = stage.f32("losses", n.rows);
                Tensor stats = stage.f32("stats", n.rows, 2);
                Tensor logits = stage.input("logits", n.rows, n.cols);
                Tensor targets = stage.ids("targets", n.cols, n.rows);
                return () ->
                    CrossEntropy.forward(losses, stats, logits, targets, LossOptions.PLAIN);
              }),
          new TracedKernel(
              "adam_w",
              "adam_w_step",
              "m ← β₁·m + (1−β₁)·g, v ← β₂·v + (1−β₂)·g², w ← w·(1−lr·λ) − lr·m̂/(√v̂ + ε), g ← 0",
              "w, m, v, grad [R·C]",
              Sizes.of(1, 1024),
              TracedKernel::adamW));

  /**
   * That of a name.
   *
   * @throws InputException where there is none, naming the nearest
   */
  public static TracedKernel named(String name) {
    List<String> names = ALL.stream().map(TracedKernel::name).toList();
    int at = names.indexOf(name);
    if (at < 0) {
      throw new InputException(
          "--trace knows no kernel "
              + name
              + Names.nearest(name, names).map(n -> ": did you mean " + n + "?").orElse("")
              + " (javelin kernel --list shows all)");
    }
    return ALL.get(at);
  }

  private static Runnable rmsNorm(Stage stage, Sizes n) {
    Tensor y = stage.output("y", n.rows, n.cols);
    Tensor rstd = stage.f32("rstd", n.rows);
    Tensor x = stage.input("x", n.rows, n.cols);
    Tensor w = stage.input("w", n.cols);
    return () -> RmsNorm.forward(y, rstd, x, w, EPS);
  }

  private static Runnable rmsNormBackward(Stage stage, Sizes n) {
    Tensor dx = stage.output("dx", n.rows, n.cols);
    Tensor dw = stage.f32("dw", n.cols);
    Tensor dy = stage.input("dy", n.rows, n.cols);
    Tensor x = stage.input("x", n.rows, n.cols);
    Tensor w = stage.input("w", n.cols);
    Tensor rstd = stage.positive("rstd", n.rows);
    return () -> RmsNorm.backward(new Grad(dx, false), new Grad(dw, false), dy, x, w, rstd);
  }

  private static Runnable layerNorm(Stage stage, Sizes n) {
    Tensor y = stage.output("y", n.rows, n.cols);
    Tensor mean = stage.f32("mean", n.rows);
    Tensor rstd = stage.f32("rstd", n.rows);
    Tensor x = stage.input("x", n.rows, n.cols);
    Tensor w = stage.input("w", n.cols);
    Tensor b = stage.input("b", n.cols);
    return () -> LayerNorm.forward(y, mean, rstd, x, w, b, EPS);
  }

  private static Runnable rope(Stage stage, Sizes n) {
    if (n.cols % 2 != 0) {
      throw new InputException("rope turns pairs: --cols must be even, got " + n.cols);
    }
    int pairs = n.cols / 2;
    Tensor y = stage.output("y", 1, n.rows, 2, n.cols);
    Tensor x = stage.input("x", 1, n.rows, 2, n.cols);
    Tensor cos = stage.f32("cos", i -> Math.cos(angle(i, pairs)), n.rows, pairs);
    Tensor sin = stage.f32("sin", i -> Math.sin(angle(i, pairs)), n.rows, pairs);
    return () -> Rope.forward(y, x, Rotation.of(cos, sin));
  }

  private static double angle(int i, int pairs) {
    int position = i / pairs;
    return position * Math.pow(THETA, -(double) (i % pairs) / pairs);
  }

  private static Runnable adamW(Stage stage, Sizes n) {
    int elements = n.rows * n.cols;
    Tensor w = stage.input("w", elements);
    Tensor master = w.dtype() == DType.F32 ? null : stage.f32("master", elements);
    Tensor grad = stage.f32("grad", elements);
    Tensor m = stage.f32("m", i -> 0, elements);
    Tensor v = stage.f32("v", i -> 0, elements);
    FlatWeights flat =
        new FlatWeights(w, master, grad, List.of(new Segment(0, elements, 1, 0.125f)));
    var state = stage.state(0.0625f);
    return () -> AdamW.step(flat, m, v, state, 0.9f, 0.999f, 1e-8f);
  }
}
