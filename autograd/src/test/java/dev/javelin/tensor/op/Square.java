package dev.javelin.tensor.op;

import static dev.javelin.tensor.op.Operands.cudaRows;
import static dev.javelin.tensor.op.Operands.rows;

import dev.javelin.device.Cpu;
import dev.javelin.device.Cuda;
import dev.javelin.kernels.cpu.SquareCpu;
import dev.javelin.kernels.cuda.SquareCuda;
import dev.javelin.tensor.Check;
import dev.javelin.tensor.Grad;
import dev.javelin.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/** The square of each element. */
public final class Square {
  private Square() {}

  /** {@code y = x²}; x, y of one shape and float type with dense rows, math in fp32. */
  public static void forward(Tensor y, Tensor x) {
    Check.that("square")
        .floats("x", x)
        .sameShape("y", y, "x", x)
        .dtype("y", y, x.dtype())
        .denseRows("x", x)
        .denseRows("y", y);
    switch (x.device()) {
      case Cpu cpu -> SquareCpu.forward(cpu, rows(y), rows(x));
      case Cuda cuda -> SquareCuda.forward(cuda, cudaRows(y), cudaRows(x));
    }
  }

  /** {@code dx = 2·x·dy}; null means that the gradient is not wanted. */
  public static void backward(@Nullable Grad dx, Tensor dy, Tensor x) {
    Check.that("square backward")
        .like("dx", dx, "x", x)
        .sameShape("dy", dy, "x", x)
        .dtype("dy", dy, x.dtype())
        .denseRows("dx", dx)
        .denseRows("dy", dy)
        .denseRows("x", x);
    if (dx == null) {
      return;
    }
    switch (x.device()) {
      case Cpu cpu -> SquareCpu.backward(cpu, rows(dx), rows(dy), rows(x));
      case Cuda cuda -> SquareCuda.backward(cuda, cudaRows(dx), cudaRows(dy), cudaRows(x));
    }
  }
}
