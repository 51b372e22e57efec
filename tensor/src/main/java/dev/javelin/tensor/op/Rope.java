package dev.javelin.tensor.op;

import static dev.javelin.tensor.op.Operands.cudaHeads;
import static dev.javelin.tensor.op.Operands.cudaHeadsOrNull;
import static dev.javelin.tensor.op.Operands.heads;
import static dev.javelin.tensor.op.Operands.headsOrNull;

import dev.javelin.device.Cpu;
import dev.javelin.device.Cuda;
import dev.javelin.kernels.cpu.RopeCpu;
import dev.javelin.kernels.cpu.RopeGradSide;
import dev.javelin.kernels.cpu.RopeSide;
import dev.javelin.kernels.cuda.RopeCuda;
import dev.javelin.tensor.Check;
import dev.javelin.tensor.Grad;
import dev.javelin.tensor.Tensor;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Rotary position embedding.
 *
 * @see <a href="https://arxiv.org/abs/2104.09864">Su et al. 2021, RoFormer</a>
 * @see QkNormRope
 */
public final class Rope {
  private Rope() {}

  /**
   * Each pair (a, b) of features becomes {@code (a·cos − b·sin, b·cos + a·sin)}; x, y [B, T, H, D]
   * of one float type, with a dense last dimension and any other strides. Arithmetic in fp32.
   */
  public static void forward(Tensor y, Tensor x, Rotation rotation) {
    Check check = check("rope", x, rotation);
    check.sameShape("y", y, "x", x).dtype("y", y, x.dtype());
    Operands.checkHeads(check, "y", y);
    switch (x.device()) {
      case Cpu cpu ->
          RopeCpu.forward(
              cpu,
              List.of(new RopeSide(heads(y), null, heads(x), null, x.dim(2))),
              rotation.cpu(),
              x.dim(0),
              x.dim(1),
              x.dim(3),
              0,
              0);
      case Cuda cuda ->
          RopeCuda.forward(
              cuda,
              List.of(new RopeCuda.Side(cudaHeads(y), null, cudaHeads(x), null)),
              rotation.cuda(),
              0,
              0);
    }
  }

  /** {@code dx} is dy turned back. */
  public static void backward(@Nullable Grad dx, Tensor dy, Rotation rotation) {
    if (dx == null) {
      return;
    }
    Check check = check("rope backward", dy, rotation).like("dx", dx, "dy", dy);
    Operands.checkHeads(check, "dx", dx.tensor());
    switch (dy.device()) {
      case Cpu cpu ->
          RopeCpu.backward(
              cpu,
              List.of(
                  new RopeGradSide(
                      headsOrNull(dx), null, heads(dy), heads(dy), null, null, dy.dim(2))),
              rotation.cpu(),
              dy.dim(0),
              dy.dim(1),
              dy.dim(3),
              0);
      case Cuda cuda ->
          RopeCuda.backward(
              cuda,
              List.of(
                  new RopeCuda.GradSide(
                      cudaHeadsOrNull(dx), null, cudaHeads(dy), cudaHeads(dy), null, null)),
              rotation.cuda(),
              0);
    }
  }

  private static Check check(String op, Tensor x, Rotation rotation) {
    Check check = Check.that(op).floats("x", x).rank("x", x, 4);
    Operands.checkHeads(check, "x", x);
    rotation.check(op, x);
    return check;
  }
}
