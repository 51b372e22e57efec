package dev.javelin.tensor.op;

import static dev.javelin.tensor.op.Operands.adds;
import static dev.javelin.tensor.op.Operands.flag;
import static dev.javelin.tensor.op.Operands.rows;
import static dev.javelin.tensor.op.Operands.rowsOrNull;
import static dev.javelin.tensor.op.Operands.strideOf;
import static dev.javelin.tensor.op.Operands.tensorOf;

import dev.javelin.device.Cpu;
import dev.javelin.device.Cuda;
import dev.javelin.kernels.Activation;
import dev.javelin.kernels.cpu.GluCpu;
import dev.javelin.tensor.Check;
import dev.javelin.tensor.Grad;
import dev.javelin.tensor.Tensor;
import dev.javelin.tensor.op.Operands.Units;
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
      case Cuda cuda -> {
        Units u = Units.of(y, gate, up);
        cuda.kernel("glu_forward", y.dtype())
            .threads(u.count())
            .ptr(y)
            .i64(y.rowStride())
            .ptr(gate)
            .i64(gate.rowStride())
            .ptr(up)
            .i64(up.rowStride())
            .i64(u.count())
            .i64(u.cols())
            .i32(flag(u.vectors()))
            .i32(f.ordinal())
            .run();
      }
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
      case Cuda cuda -> {
        Units u = Units.of(gate, tensorOf(dgate), tensorOf(dup), dy, up);
        cuda.kernel("glu_backward", gate.dtype())
            .threads(u.count())
            .ptr(tensorOf(dgate))
            .i64(strideOf(dgate))
            .i32(adds(dgate))
            .ptr(tensorOf(dup))
            .i64(strideOf(dup))
            .i32(adds(dup))
            .ptr(dy)
            .i64(dy.rowStride())
            .ptr(gate)
            .i64(gate.rowStride())
            .ptr(up)
            .i64(up.rowStride())
            .i64(u.count())
            .i64(u.cols())
            .i32(flag(u.vectors()))
            .i32(f.ordinal())
            .run();
      }
    }
  }
}
