package dev.javelin.tensor.op;

import static dev.javelin.tensor.op.Operands.cudaRows;
import static dev.javelin.tensor.op.Operands.cudaRowsOrNull;
import static dev.javelin.tensor.op.Operands.rows;
import static dev.javelin.tensor.op.Operands.rowsOrNull;

import dev.javelin.device.Cpu;
import dev.javelin.device.Cuda;
import dev.javelin.kernels.Activation;
import dev.javelin.kernels.cpu.GluCpu;
import dev.javelin.kernels.cuda.GluCuda;
import dev.javelin.tensor.Check;
import dev.javelin.tensor.Grad;
import dev.javelin.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/**
 * Gated linear units: SwiGLU with {@link Activation#SILU}, GeGLU with {@link Activation#GELU} or
 * {@link Activation#GELU_TANH}. Gate and up may be the halves of one packed tensor: their rows need
 * not be neighbours.
 *
 * @see <a href="https://arxiv.org/abs/2002.05202">Shazeer 2020, GLU Variants Improve
 *     Transformer</a>
 */
public final class Glu {
  private Glu() {}

  /** {@code y = f(gate) · up}; all [.., F] of one float type with dense rows, math in fp32. */
  public static void forward(Tensor y, Tensor gate, Tensor up, Activation f) {
    Check.that("glu " + f)
        .floats("gate", gate)
        .sameShape("up", up, "gate", gate)
        .dtype("up", up, gate.dtype())
        .sameShape("y", y, "gate", gate)
        .dtype("y", y, gate.dtype())
        .denseRows("y", y)
        .denseRows("gate", gate)
        .denseRows("up", up);
    switch (gate.device()) {
      case Cpu cpu -> GluCpu.forward(cpu, rows(y), rows(gate), rows(up), f);
      case Cuda cuda -> GluCuda.forward(cuda, cudaRows(y), cudaRows(gate), cudaRows(up), f);
    }
  }

  /**
   * {@code dgate = dy · up · f'(gate)} and {@code dup = dy · f(gate)}; either may be {@code null}.
   */
  public static void backward(
      @Nullable Grad dgate, @Nullable Grad dup, Tensor dy, Tensor gate, Tensor up, Activation f) {
    Check.that("glu " + f + " backward")
        .like("dgate", dgate, "gate", gate)
        .like("dup", dup, "up", up)
        .sameShape("up", up, "gate", gate)
        .sameShape("dy", dy, "gate", gate)
        .dtype("dy", dy, gate.dtype())
        .denseRows("dgate", dgate)
        .denseRows("dup", dup)
        .denseRows("dy", dy)
        .denseRows("gate", gate)
        .denseRows("up", up);
    switch (gate.device()) {
      case Cpu cpu ->
          GluCpu.backward(
              cpu, rowsOrNull(dgate), rowsOrNull(dup), rows(dy), rows(gate), rows(up), f);
      case Cuda cuda ->
          GluCuda.backward(
              cuda,
              cudaRowsOrNull(dgate),
              cudaRowsOrNull(dup),
              cudaRows(dy),
              cudaRows(gate),
              cudaRows(up),
              f);
    }
  }
}
