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
 * Layer normalisation of rows, with optional weight and bias.
 *
 * @see <a href="https://arxiv.org/abs/1607.06450">Ba, Kiros and Hinton 2016, Layer
 *     Normalization</a>
 */
public final class LayerNorm {
  private LayerNorm() {}

  /**
   * {@code y[r,c] = x̂[r,c] · w[c] + b[c]} with {@code x̂[r,c] = (x[r,c] − mean[r]) · rstd[r]},
   * {@code mean[r] = mean_c(x[r,c])} and {@code rstd[r] = 1 / sqrt(mean_c((x[r,c] − mean[r])²) +
   * eps)}; x, y [.., C] with dense rows, w, b [C], all of one float type; mean, rstd F32 [R]. The
   * variance is taken around the mean, so that a large mean costs no precision.
   *
   * @param w {@code null} for ones
   * @param b {@code null} for zeros
   */
  public static void forward(
      Tensor y,
      Tensor mean,
      Tensor rstd,
      Tensor x,
      @Nullable Tensor w,
      @Nullable Tensor b,
      float eps) {
    Check check =
        Check.that("layerNorm")
            .floats("x", x)
            .sameShape("y", y, "x", x)
            .dtype("y", y, x.dtype())
            .denseRows("x", x)
            .denseRows("y", y);
    checkParameter(check, "w", w, x);
    checkParameter(check, "b", b, x);
    checkStatistic(check, "mean", mean, x);
    checkStatistic(check, "rstd", rstd, x);
    switch (x.device()) {
      case Cpu cpu ->
          NormCpu.forward(
              cpu,
              null,
              rows(y),
              mean.segment(),
              rstd.segment(),
              rows(x),
              null,
              rowsOrNull(w),
              0,
              rowsOrNull(b),
              eps);
      case Cuda cuda ->
          NormCuda.forward(
              cuda,
              null,
              cudaRows(y),
              mean,
              rstd,
              cudaRows(x),
              null,
              cudaRowsOrNull(w),
              0,
              cudaRowsOrNull(b),
              eps);
    }
  }

  /**
   * With {@code g = dy · w}: {@code dx = rstd · (g − mean_c(g) − x̂ · mean_c(g · x̂))}, {@code
   * dw[c] = Σ_r dy[r,c] · x̂[r,c]}, {@code db[c] = Σ_r dy[r,c]}; dx of x's type, dw and db F32.
   * Each may be {@code null}.
   */
  public static void backward(
      @Nullable Grad dx,
      @Nullable Grad dw,
      @Nullable Grad db,
      Tensor dy,
      Tensor x,
      @Nullable Tensor w,
      Tensor mean,
      Tensor rstd) {
    Shape row = Shape.of(x.last());
    Check.that("layerNorm backward")
        .like("dx", dx, "x", x)
        .shape("dw", dw, row)
        .shape("db", db, row)
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
              rowsOrNull(db),
              null,
              rows(dy),
              rows(x),
              rowsOrNull(w),
              0,
              mean.segment(),
              rstd.segment());
      case Cuda cuda ->
          NormCuda.backward(
              cuda,
              cudaRowsOrNull(dx),
              null,
              cudaRowsOrNull(dw),
              cudaRowsOrNull(db),
              null,
              cudaRows(dy),
              cudaRows(x),
              cudaRowsOrNull(w),
              0,
              mean,
              rstd);
    }
  }

  static void checkParameter(Check check, String name, @Nullable Tensor p, Tensor x) {
    if (p != null) {
      check.shape(name, p, Shape.of(x.last())).dtype(name, p, x.dtype());
    }
  }

  static void checkStatistic(Check check, String name, Tensor s, Tensor x) {
    check.shape(name, s, Shape.of(x.rows())).dtype(name, s, DType.F32);
  }
}
