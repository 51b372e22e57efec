package dev.javelin.tensor.op;

import dev.javelin.device.Cpu;
import dev.javelin.device.Cuda;
import dev.javelin.device.DType;
import dev.javelin.kernels.cpu.LinearCrossEntropyCpu;
import dev.javelin.kernels.cpu.LinearCrossEntropyCpu.Matrix;
import dev.javelin.tensor.Check;
import dev.javelin.tensor.Grad;
import dev.javelin.tensor.Shape;
import dev.javelin.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/**
 * {@link CrossEntropy} of {@code logits = x·wᵀ}, computed some rows at a time: the logits of all
 * rows never exist together. x [.., C] with dense rows; w [V, C] of the same type; targets I32 and
 * losses F32 of x's leading dimensions. The logits are F32; on a GPU their gradient is rounded to
 * x's type, as an operand of tensor cores. dw gets the chunks of rows in their order.
 *
 * @see <a href="https://arxiv.org/abs/2411.09009">Cut your losses in large-vocabulary language
 *     models</a>
 */
public final class LinearCrossEntropy {
  private LinearCrossEntropy() {}

  /** The shape of the scratch F32 tensor that each of the methods here wants, with any content. */
  public static Shape scratch(int rows, int vocabulary) {
    return Shape.of(
        LinearCrossEntropyCpu.chunkRows(rows, vocabulary),
        LinearCrossEntropyCpu.logitStride(vocabulary));
  }

  /**
   * The losses alone.
   *
   * @param stats F32 [R, 2], saved for {@link #backward}
   */
  public static void forward(
      Tensor losses,
      Tensor stats,
      Tensor x,
      Tensor w,
      Tensor targets,
      LossOptions options,
      Tensor scratch) {
    run(losses, stats, null, null, null, x, w, targets, options, scratch);
  }

  /**
   * {@code dx = dlogits·w} and {@code dw = dlogitsᵀ·x} with the logits computed again; dx of x's
   * type, dw F32, either may be {@code null}; dy F32, the shape of targets.
   */
  public static void backward(
      @Nullable Grad dx,
      @Nullable Grad dw,
      Tensor dy,
      Tensor x,
      Tensor w,
      Tensor targets,
      Tensor stats,
      LossOptions options,
      Tensor scratch) {
    if (dx != null || dw != null) {
      run(null, stats, dx, dw, dy, x, w, targets, options, scratch);
    }
  }

  /**
   * {@link #forward} and {@link #backward} at once, where the gradient of the losses is known
   * beforehand: a third less work.
   */
  public static void forwardBackward(
      Tensor losses,
      Tensor stats,
      @Nullable Grad dx,
      @Nullable Grad dw,
      Tensor dy,
      Tensor x,
      Tensor w,
      Tensor targets,
      LossOptions options,
      Tensor scratch) {
    run(losses, stats, dx, dw, dy, x, w, targets, options, scratch);
  }

  private static void run(
      @Nullable Tensor losses,
      Tensor stats,
      @Nullable Grad dx,
      @Nullable Grad dw,
      @Nullable Tensor dy,
      Tensor x,
      Tensor w,
      Tensor targets,
      LossOptions options,
      Tensor scratch) {
    check(losses, stats, dx, dw, dy, x, w, targets, options, scratch);
    switch (x.device()) {
      case Cpu cpu ->
          LinearCrossEntropyCpu.run(
              cpu,
              losses == null ? null : losses.segment(),
              stats.segment(),
              dx == null ? null : matrix(dx.tensor()),
              dx != null && dx.accumulate(),
              dw == null ? null : matrix(dw.tensor()),
              dw != null && dw.accumulate(),
              dy == null ? null : dy.segment(),
              matrix(x),
              matrix(w),
              targets.segment(),
              scratch.segment(),
              x.rows(),
              x.last(),
              w.dim(0),
              options.cpu());
      case Cuda cuda ->
          LinearCrossEntropyCuda.run(
              cuda, losses, stats, dx, dw, dy, x, w, targets, options, scratch);
    }
  }

  private static Matrix matrix(Tensor t) {
    return new Matrix(t.segment(), t.dtype(), t.rowStride());
  }

  private static void check(
      @Nullable Tensor losses,
      Tensor stats,
      @Nullable Grad dx,
      @Nullable Grad dw,
      @Nullable Tensor dy,
      Tensor x,
      Tensor w,
      Tensor targets,
      LossOptions options,
      Tensor scratch) {
    Check check =
        Check.that("linearCrossEntropy")
            .floats("x", x)
            .dtype("w", w, x.dtype())
            .rank("w", w, 2)
            .shape("w", w, Shape.of(w.dim(0), x.last()))
            .denseRows("x", x)
            .denseRows("w", w)
            .is(
                targets.elements() == x.rows(),
                () ->
                    "targets must have one element for each row of x "
                        + x.shape()
                        + ", got "
                        + targets.shape())
            .shape("stats", stats, Shape.of(x.rows(), 2))
            .dtype("stats", stats, DType.F32)
            .like("dx", dx, "x", x)
            .denseRows("dx", dx)
            .weightGrad("dw", dw, "w", w)
            .denseRows("dw", dw)
            .shape("scratch", scratch, scratch(x.rows(), w.dim(0)))
            .dtype("scratch", scratch, DType.F32);
    for (Tensor t : new @Nullable Tensor[] {losses, dy}) {
      if (t != null) {
        String name = t == dy ? "dy" : "losses";
        check.sameShape(name, t, "targets", targets).dtype(name, t, DType.F32).contiguous(name, t);
      }
    }
    Ids.check(
        "linearCrossEntropy", "targets", targets, w.dim(0), "vocabulary", options.ignoreIndex());
  }
}
