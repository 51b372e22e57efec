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

/**
 * Root mean square normalisation of rows.
 *
 * @see <a href="https://arxiv.org/abs/1910.07467">Zhang and Sennrich 2019, Root Mean Square Layer
 *     Normalization</a>
 */
public final class RmsNorm {
  private RmsNorm() {}

  /** Without an offset. */
  public static void forward(Tensor y, Tensor rstd, Tensor x, Tensor w, float eps) {
    forward(y, rstd, x, w, eps, 0);
  }

  /** Without an offset. */
  public static void backward(
      @Nullable Grad dx, @Nullable Grad dw, Tensor dy, Tensor x, Tensor w, Tensor rstd) {
    backward(dx, dw, dy, x, w, rstd, 0);
  }

  /**
   * {@code y[r,c] = x[r,c] · rstd[r] · (offset + w[c])} with {@code rstd[r] = 1 /
   * sqrt(mean_c(x[r,c]²) + eps)}; x, y [.., C] with dense rows, w [C], all of one float type; rstd
   * F32 [R]. Sums in fp32 at least.
   */
  public static void forward(Tensor y, Tensor rstd, Tensor x, Tensor w, float eps, float offset) {
    Check.that("rmsNorm")
        .floats("x", x)
        .sameShape("y", y, "x", x)
        .dtype("y", y, x.dtype())
        .shape("w", w, Shape.of(x.last()))
        .dtype("w", w, x.dtype())
        .shape("rstd", rstd, Shape.of(x.rows()))
        .dtype("rstd", rstd, DType.F32)
        .denseRows("x", x)
        .denseRows("y", y);
    switch (x.device()) {
      case Cpu cpu ->
          NormCpu.forward(
              cpu, null, rows(y), null, rstd.segment(), rows(x), null, rows(w), offset, null, eps);
      case Cuda cuda ->
          NormCuda.forward(
              cuda,
              null,
              cudaRows(y),
              null,
              rstd,
              cudaRows(x),
              null,
              cudaRows(w),
              offset,
              null,
              eps);
    }
  }

  /**
   * With the offset in w: {@code dx = rstd · (dy·w − x · rstd² · mean_c(dy·w·x))} and {@code dw[c]
   * = Σ_r dy[r,c] · x[r,c] · rstd[r]}; dx of x's type, dw F32. Either may be {@code null}.
   */
  public static void backward(
      @Nullable Grad dx,
      @Nullable Grad dw,
      Tensor dy,
      Tensor x,
      Tensor w,
      Tensor rstd,
      float offset) {
    Check.that("rmsNorm backward")
        .like("dx", dx, "x", x)
        .weightGrad("dw", dw, "w", w)
        .sameShape("dy", dy, "x", x)
        .dtype("dy", dy, x.dtype())
        .denseRows("dx", dx)
        .denseRows("dy", dy)
        .denseRows("x", x);
    switch (x.device()) {
      case Cpu cpu ->
          NormCpu.backward(
              cpu,
              rowsOrNull(dx),
              null,
              rowsOrNull(dw),
              null,
              null,
              rows(dy),
              rows(x),
              rows(w),
              offset,
              null,
              rstd.segment());
      case Cuda cuda ->
          NormCuda.backward(
              cuda,
              cudaRowsOrNull(dx),
              null,
              cudaRowsOrNull(dw),
              null,
              null,
              cudaRows(dy),
              cudaRows(x),
              cudaRows(w),
              offset,
              null,
              rstd);
    }
  }
}
