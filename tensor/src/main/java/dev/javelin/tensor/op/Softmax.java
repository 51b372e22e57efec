package dev.javelin.tensor.op;

import static dev.javelin.tensor.op.Operands.cudaRows;
import static dev.javelin.tensor.op.Operands.rows;

import dev.javelin.device.Cpu;
import dev.javelin.device.Cuda;
import dev.javelin.kernels.cpu.SoftmaxCpu;
import dev.javelin.kernels.cuda.SoftmaxCuda;
import dev.javelin.tensor.Check;
import dev.javelin.tensor.Grad;
import dev.javelin.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/** Softmax over the last dimension, and its logarithm. A row of nothing but −∞ gives NaN. */
public final class Softmax {
  private Softmax() {}

  /**
   * {@code y[r,c] = e^(x[r,c] − m[r]) / Σ_k e^(x[r,k] − m[r])} with the row's maximum m; x, y of
   * one shape and float type with dense rows, math in fp32.
   */
  public static void forward(Tensor y, Tensor x) {
    check("softmax", y, x);
    switch (x.device()) {
      case Cpu cpu -> SoftmaxCpu.forward(cpu, rows(y), rows(x));
      case Cuda cuda -> SoftmaxCuda.forward(cuda, cudaRows(y), cudaRows(x), false);
    }
  }

  /** {@code dx = y · (dy − Σ_c dy · y)}, from the result y. */
  public static void backward(@Nullable Grad dx, Tensor dy, Tensor y) {
    checkBackward("softmax backward", dx, dy, y);
    if (dx == null) {
      return;
    }
    switch (y.device()) {
      case Cpu cpu -> SoftmaxCpu.backward(cpu, rows(dx), rows(dy), rows(y));
      case Cuda cuda -> SoftmaxCuda.backward(cuda, cudaRows(dx), cudaRows(dy), cudaRows(y), false);
    }
  }

  /** {@code y[r,c] = x[r,c] − m[r] − ln Σ_k e^(x[r,k] − m[r])}, otherwise as {@link #forward}. */
  public static void logForward(Tensor y, Tensor x) {
    check("logSoftmax", y, x);
    switch (x.device()) {
      case Cpu cpu -> SoftmaxCpu.logForward(cpu, rows(y), rows(x));
      case Cuda cuda -> SoftmaxCuda.forward(cuda, cudaRows(y), cudaRows(x), true);
    }
  }

  /** {@code dx = dy − e^y · Σ_c dy}, from the result y. */
  public static void logBackward(@Nullable Grad dx, Tensor dy, Tensor y) {
    checkBackward("logSoftmax backward", dx, dy, y);
    if (dx == null) {
      return;
    }
    switch (y.device()) {
      case Cpu cpu -> SoftmaxCpu.logBackward(cpu, rows(dx), rows(dy), rows(y));
      case Cuda cuda -> SoftmaxCuda.backward(cuda, cudaRows(dx), cudaRows(dy), cudaRows(y), true);
    }
  }

  private static void check(String op, Tensor y, Tensor x) {
    Check.that(op)
        .floats("x", x)
        .sameShape("y", y, "x", x)
        .dtype("y", y, x.dtype())
        .is(x.last() > 0, () -> "x must have at least one column, got " + x.shape())
        .denseRows("x", x)
        .denseRows("y", y);
  }

  private static void checkBackward(String op, @Nullable Grad dx, Tensor dy, Tensor y) {
    Check.that(op)
        .like("dx", dx, "y", y)
        .sameShape("dy", dy, "y", y)
        .dtype("dy", dy, y.dtype())
        .denseRows("dx", dx)
        .denseRows("dy", dy)
        .denseRows("y", y);
  }
}
