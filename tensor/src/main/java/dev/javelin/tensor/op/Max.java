package dev.javelin.tensor.op;

import static dev.javelin.tensor.op.Operands.cudaRows;

import dev.javelin.device.Cpu;
import dev.javelin.device.Cuda;
import dev.javelin.device.DType;
import dev.javelin.kernels.cpu.MaxCpu;
import dev.javelin.kernels.cuda.MaxCuda;
import dev.javelin.tensor.Check;
import dev.javelin.tensor.Grad;
import dev.javelin.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/** The largest element of each row. */
public final class Max {
  private Max() {}

  /**
   * {@code y[r] = max_c x[r, c]} and {@code index[r]} the first place of it; x [.., C] with dense
   * rows and C at least 1; y x's leading dimensions and type; index I32 of y's shape.
   */
  public static void forward(Tensor y, Tensor index, Tensor x) {
    Check.that("max")
        .floats("x", x)
        .denseRows("x", x)
        .is(
            x.last() > 0,
            () -> "x must have at least one element in its last dimension, got " + x.form())
        .is(
            y.elements() == x.rows(),
            () -> "y must have one element for each row of " + x.form() + ", got " + y.form())
        .dtype("y", y, x.dtype())
        .contiguous("y", y)
        .sameShape("index", index, "y", y)
        .dtype("index", index, DType.I32);
    switch (x.device()) {
      case Cpu cpu ->
          MaxCpu.forward(
              cpu,
              y.segment(),
              index.segment(),
              x.segment(),
              x.rowStride(),
              x.dtype(),
              x.rows(),
              x.last());
      case Cuda cuda -> MaxCuda.forward(cuda, y, index, cudaRows(x));
    }
  }

  /** {@code dx[r, c] = dy[r]} where {@code c = index[r]}, and 0 elsewhere. */
  public static void backward(@Nullable Grad dx, Tensor dy, Tensor index) {
    if (dx == null) {
      return;
    }
    Tensor d = dx.tensor();
    Check.that("max backward")
        .denseRows("dx", dx)
        .dtype("dy", dy, d.dtype())
        .contiguous("dy", dy)
        .sameShape("index", index, "dy", dy);
    if (!dx.accumulate()) {
      Fill.zero(d);
    }
    switch (d.device()) {
      case Cpu cpu ->
          MaxCpu.backward(
              cpu, d.segment(), d.rowStride(), dy.segment(), index.segment(), d.dtype(), d.rows());
      case Cuda cuda -> MaxCuda.backward(cuda, cudaRows(d), dy, index);
    }
  }
}
