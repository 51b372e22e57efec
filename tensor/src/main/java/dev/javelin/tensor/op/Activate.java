package dev.javelin.tensor.op;

import static dev.javelin.tensor.op.Operands.cudaRows;
import static dev.javelin.tensor.op.Operands.rows;

import dev.javelin.device.Cpu;
import dev.javelin.device.Cuda;
import dev.javelin.kernels.Activation;
import dev.javelin.kernels.cpu.ActivateCpu;
import dev.javelin.kernels.cuda.ActivateCuda;
import dev.javelin.tensor.Check;
import dev.javelin.tensor.Grad;
import dev.javelin.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/** An elementwise nonlinearity; {@link Activation} has the formulas. */
public final class Activate {
  private Activate() {}

  /** {@code y = f(x)}; x, y of one shape and float type with dense rows, math in fp32. */
  public static void forward(Tensor y, Tensor x, Activation f) {
    Check.that(f.name())
        .floats("x", x)
        .sameShape("y", y, "x", x)
        .dtype("y", y, x.dtype())
        .denseRows("x", x)
        .denseRows("y", y);
    switch (x.device()) {
      case Cpu cpu -> ActivateCpu.forward(cpu, rows(y), rows(x), f);
      case Cuda cuda -> ActivateCuda.forward(cuda, cudaRows(y), cudaRows(x), f);
    }
  }

  /** {@code dx = dy · f'(x)}; all of x's shape and type. */
  public static void backward(@Nullable Grad dx, Tensor dy, Tensor x, Activation f) {
    Check.that(f + " backward")
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
      case Cpu cpu -> ActivateCpu.backward(cpu, rows(dx), rows(dy), rows(x), f);
      case Cuda cuda -> ActivateCuda.backward(cuda, cudaRows(dx), cudaRows(dy), cudaRows(x), f);
    }
  }
}
