package dev.javelin.tensor.op;

import static dev.javelin.tensor.op.Operands.cudaRows;
import static dev.javelin.tensor.op.Operands.cudaRowsOrNull;
import static dev.javelin.tensor.op.Operands.rows;
import static dev.javelin.tensor.op.Operands.rowsOrNull;

import dev.javelin.device.Cpu;
import dev.javelin.device.Cuda;
import dev.javelin.device.DType;
import dev.javelin.kernels.cpu.NormCpu;
import dev.javelin.kernels.cuda.NormCuda;
import dev.javelin.tensor.Check;
import dev.javelin.tensor.Grad;
import dev.javelin.tensor.Shape;
import dev.javelin.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/** A residual addition and the root mean square normalisation of its result, in one pass. */
public final class AddRmsNorm {
  private AddRmsNorm() {}

  /** Without an offset. */
  public static void forward(
      Tensor sum, Tensor y, Tensor rstd, Tensor x, Tensor h, Tensor w, float eps) {
    forward(sum, y, rstd, x, h, w, eps, 0);
  }

  /** Without an offset. */
  public static void backward(
      @Nullable Grad dx,
      @Nullable Grad dh,
      @Nullable Grad dw,
      @Nullable Tensor dsum,
      @Nullable Tensor dy,
      Tensor sum,
      Tensor w,
      Tensor rstd) {
    backward(dx, dh, dw, dsum, dy, sum, w, rstd, 0);
  }

  /**
   * {@code sum = x + h} and {@code y = rmsNorm(sum, w, eps, offset)}; x, h, sum, y [.., C] with
   * dense rows, w [C], all of one float type; rstd F32 [R].
   *
   * @see RmsNorm#forward
   */
  public static void forward(
      Tensor sum, Tensor y, Tensor rstd, Tensor x, Tensor h, Tensor w, float eps, float offset) {
    Check.that("addRmsNorm")
        .floats("x", x)
        .sameShape("sum", sum, "x", x)
        .dtype("sum", sum, x.dtype())
        .sameShape("y", y, "x", x)
        .dtype("y", y, x.dtype())
        .sameShape("h", h, "x", x)
        .dtype("h", h, x.dtype())
        .shape("w", w, Shape.of(x.last()))
        .dtype("w", w, x.dtype())
        .shape("rstd", rstd, Shape.of(x.rows()))
        .dtype("rstd", rstd, DType.F32)
        .denseRows("sum", sum)
        .denseRows("y", y)
        .denseRows("x", x)
        .denseRows("h", h);
    switch (x.device()) {
      case Cpu cpu ->
          NormCpu.forward(
              cpu,
              rows(sum),
              rows(y),
              null,
              rstd.segment(),
              rows(x),
              rows(h),
              rows(w),
              offset,
              null,
              eps);
      case Cuda cuda ->
          NormCuda.forward(
              cuda,
              cudaRows(sum),
              cudaRows(y),
              null,
              rstd,
              cudaRows(x),
              cudaRows(h),
              cudaRows(w),
              offset,
              null,
              eps);
    }
  }

  /**
   * {@code dx = dh = dsum + d(rmsNorm)(dy)} at {@code sum}, and {@code dw} as there. Every
   * destination may be {@code null}.
   *
   * @param dsum the gradient that reached the sum directly; {@code null} for zeros
   * @param dy the gradient of the norm; {@code null} for zeros
   */
  public static void backward(
      @Nullable Grad dx,
      @Nullable Grad dh,
      @Nullable Grad dw,
      @Nullable Tensor dsum,
      @Nullable Tensor dy,
      Tensor sum,
      Tensor w,
      Tensor rstd,
      float offset) {
    Check check =
        Check.that("addRmsNorm backward")
            .like("dx", dx, "sum", sum)
            .like("dh", dh, "sum", sum)
            .weightGrad("dw", dw, "w", w)
            .denseRows("dx", dx)
            .denseRows("dh", dh)
            .denseRows("sum", sum);
    checkUpstream(check, "dsum", dsum, sum);
    checkUpstream(check, "dy", dy, sum);
    switch (sum.device()) {
      case Cpu cpu ->
          NormCpu.backward(
              cpu,
              rowsOrNull(dx),
              rowsOrNull(dh),
              rowsOrNull(dw),
              null,
              rowsOrNull(dsum),
              rowsOrNull(dy),
              rows(sum),
              rows(w),
              offset,
              null,
              rstd.segment());
      case Cuda cuda ->
          NormCuda.backward(
              cuda,
              cudaRowsOrNull(dx),
              cudaRowsOrNull(dh),
              cudaRowsOrNull(dw),
              null,
              cudaRowsOrNull(dsum),
              cudaRowsOrNull(dy),
              cudaRows(sum),
              cudaRows(w),
              offset,
              null,
              rstd);
    }
  }

  static void checkUpstream(Check check, String name, @Nullable Tensor d, Tensor of) {
    if (d != null) {
      check.sameShape(name, d, "sum", of).dtype(name, d, of.dtype()).denseRows(name, d);
    }
  }
}
