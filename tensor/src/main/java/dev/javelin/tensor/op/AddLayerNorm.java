package dev.javelin.tensor.op;

import static dev.javelin.tensor.op.Operands.cudaRows;
import static dev.javelin.tensor.op.Operands.cudaRowsOrNull;
import static dev.javelin.tensor.op.Operands.rows;
import static dev.javelin.tensor.op.Operands.rowsOrNull;

import dev.javelin.device.Cpu;
import dev.javelin.device.Cuda;
import dev.javelin.kernels.cpu.NormCpu;
import dev.javelin.kernels.cuda.NormCuda;
import dev.javelin.tensor.Check;
import dev.javelin.tensor.Grad;
import dev.javelin.tensor.Shape;
import dev.javelin.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/** A residual addition and the layer normalisation of its result, in one pass. */
public final class AddLayerNorm {
  private AddLayerNorm() {}

  /**
   * {@code sum = x + h} and {@code y = layerNorm(sum, w, b, eps)}; x, h, sum, y [.., C] with dense
   * rows, w, b [C], all of one float type; mean, rstd F32 [R].
   *
   * @param w {@code null} for ones
   * @param b {@code null} for zeros
   * @see LayerNorm#forward
   */
  public static void forward(
      Tensor sum,
      Tensor y,
      Tensor mean,
      Tensor rstd,
      Tensor x,
      Tensor h,
      @Nullable Tensor w,
      @Nullable Tensor b,
      float eps) {
    Check check =
        Check.that("addLayerNorm")
            .floats("x", x)
            .sameShape("sum", sum, "x", x)
            .dtype("sum", sum, x.dtype())
            .sameShape("y", y, "x", x)
            .dtype("y", y, x.dtype())
            .sameShape("h", h, "x", x)
            .dtype("h", h, x.dtype())
            .denseRows("sum", sum)
            .denseRows("y", y)
            .denseRows("x", x)
            .denseRows("h", h);
    LayerNorm.checkParameter(check, "w", w, x);
    LayerNorm.checkParameter(check, "b", b, x);
    LayerNorm.checkStatistic(check, "mean", mean, x);
    LayerNorm.checkStatistic(check, "rstd", rstd, x);
    switch (x.device()) {
      case Cpu cpu ->
          NormCpu.forward(
              cpu,
              rows(sum),
              rows(y),
              mean.segment(),
              rstd.segment(),
              rows(x),
              rows(h),
              rowsOrNull(w),
              0,
              rowsOrNull(b),
              eps);
      case Cuda cuda ->
          NormCuda.forward(
              cuda,
              cudaRows(sum),
              cudaRows(y),
              mean,
              rstd,
              cudaRows(x),
              cudaRows(h),
              cudaRowsOrNull(w),
              0,
              cudaRowsOrNull(b),
              eps);
    }
  }

  /**
   * {@code dx = dh = dsum + d(layerNorm)(dy)} at {@code sum}, and {@code dw}, {@code db} as there.
   * Every destination may be {@code null}.
   *
   * @param dsum the gradient that reached the sum directly; {@code null} for zeros
   * @param dy the gradient of the norm; {@code null} for zeros
   */
  public static void backward(
      @Nullable Grad dx,
      @Nullable Grad dh,
      @Nullable Grad dw,
      @Nullable Grad db,
      @Nullable Tensor dsum,
      @Nullable Tensor dy,
      Tensor sum,
      @Nullable Tensor w,
      Tensor mean,
      Tensor rstd) {
    Shape row = Shape.of(sum.last());
    Check check =
        Check.that("addLayerNorm backward")
            .like("dx", dx, "sum", sum)
            .like("dh", dh, "sum", sum)
            .shape("dw", dw, row)
            .shape("db", db, row)
            .denseRows("dx", dx)
            .denseRows("dh", dh)
            .denseRows("sum", sum);
    AddRmsNorm.checkUpstream(check, "dsum", dsum, sum);
    AddRmsNorm.checkUpstream(check, "dy", dy, sum);
    switch (sum.device()) {
      case Cpu cpu ->
          NormCpu.backward(
              cpu,
              rowsOrNull(dx),
              rowsOrNull(dh),
              rowsOrNull(dw),
              rowsOrNull(db),
              rowsOrNull(dsum),
              rowsOrNull(dy),
              rows(sum),
              rowsOrNull(w),
              0,
              mean.segment(),
              rstd.segment());
      case Cuda cuda ->
          NormCuda.backward(
              cuda,
              cudaRowsOrNull(dx),
              cudaRowsOrNull(dh),
              cudaRowsOrNull(dw),
              cudaRowsOrNull(db),
              cudaRowsOrNull(dsum),
              cudaRowsOrNull(dy),
              cudaRows(sum),
              cudaRowsOrNull(w),
              0,
              mean,
              rstd);
    }
  }
}
