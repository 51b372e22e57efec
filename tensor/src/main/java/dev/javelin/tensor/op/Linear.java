package dev.javelin.tensor.op;

import static dev.javelin.tensor.op.Operands.matrix;
import static dev.javelin.tensor.op.Operands.rows;
import static dev.javelin.tensor.op.Operands.rowsOrNull;

import dev.javelin.device.Cpu;
import dev.javelin.device.Cuda;
import dev.javelin.kernels.Activation;
import dev.javelin.kernels.cpu.LinearCpu;
import dev.javelin.kernels.cpu.MatmulCpu;
import dev.javelin.kernels.cuda.MatmulCuda;
import dev.javelin.tensor.Check;
import dev.javelin.tensor.Grad;
import dev.javelin.tensor.Shape;
import dev.javelin.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/**
 * A linear layer, {@code y = f(x · Wᵀ + b)}, with the weight stored as PyTorch stores it: [out,
 * in]. Forward and backward are three matrix products straight from the stored layouts.
 */
public final class Linear {
  /**
   * Rows of x up to which a row of y has the same bits however many there are, on any device. (On a
   * GPU a product is cut up alike for up to 64 rows.)
   */
  public static final int STEADY_ROWS = MatmulCpu.STEADY_ROWS;

  private Linear() {}

  /**
   * {@code z = x · wᵀ + b, y = f(z)}; x [.., K], w [N, K], b [N], y and z [.., N], all of one float
   * type with dense rows; sums in fp32. 2·R·N·K FLOPs.
   *
   * @param z kept for the backward pass of an activation; {@code null} without one, or in inference
   * @param b {@code null} for none
   * @param f {@code null} for none
   */
  public static void forward(
      Tensor y,
      @Nullable Tensor z,
      Tensor x,
      Tensor w,
      @Nullable Tensor b,
      @Nullable Activation f) {
    Check check =
        Check.that("linear")
            .floats("x", x)
            .rank("w", w, 2)
            .is(
                w.rank() == 2 && w.dim(1) == x.last(),
                () ->
                    "w must be [N, "
                        + x.last()
                        + "] (last dimension of x "
                        + x.shape()
                        + "), got "
                        + w.shape())
            .dtype("w", w, x.dtype())
            .shape("y", y, x.shape().with(-1, w.dim(0)))
            .dtype("y", y, x.dtype())
            .denseRows("x", x)
            .denseRows("w", w)
            .denseRows("y", y);
    if (b != null) {
      check.shape("b", b, Shape.of(w.dim(0))).dtype("b", b, x.dtype());
    }
    if (z != null) {
      check.is(f != null, "z is for an activation, and there is none").sameShape("z", z, "y", y);
      check.dtype("z", z, x.dtype()).denseRows("z", z);
    }
    switch (x.device()) {
      case Cpu cpu ->
          LinearCpu.forward(cpu, rows(y), rowsOrNull(z), rows(x), rows(w), rowsOrNull(b), f);
      case Cuda cuda ->
          MatmulCuda.linear(
              cuda,
              matrix(y, false),
              matrix(x, false),
              matrix(w, true),
              x.rows(),
              w.dim(0),
              x.last(),
              new MatmulCuda.Epilogue(b, z, z == null ? 0 : z.rowStride(), f));
    }
  }

  /**
   * {@code dx = dz · w, dw = dzᵀ · x, db[n] = Σ_r dz[r,n]}; dx of x's type, dw and db F32. Any of
   * them may be {@code null}. With an activation, {@code dz = dy · f'(z)}: see {@link
   * Activate#backward}.
   */
  public static void backward(
      @Nullable Grad dx, @Nullable Grad dw, @Nullable Grad db, Tensor dz, Tensor x, Tensor w) {
    Check.that("linear backward")
        .like("dx", dx, "x", x)
        .weightGrad("dw", dw, "w", w)
        .shape("db", db, Shape.of(w.dim(0)))
        .shape("dz", dz, x.shape().with(-1, w.dim(0)))
        .dtype("dz", dz, x.dtype())
        .denseRows("dx", dx)
        .denseRows("dw", dw)
        .denseRows("dz", dz)
        .denseRows("x", x);
    switch (x.device()) {
      case Cpu cpu -> {
        if (dx != null) {
          product(cpu, dx, dz, false, w, x.rows(), x.last(), w.dim(0));
        }
        if (dw != null) {
          product(cpu, dw, dz, true, x, w.dim(0), x.last(), x.rows());
        }
        if (db != null) {
          LinearCpu.biasGradient(cpu, rows(db), rows(dz));
        }
      }
      case Cuda cuda -> {
        if (db != null) { // first: what was written of dz last may still be in the L2 cache
          MatmulCuda.biasGradient(
              cuda, db.tensor(), matrix(dz, false), dz.rows(), w.dim(0), db.accumulate());
        }
        if (dx != null) {
          product(cuda, dx, dz, false, w, x.rows(), x.last(), w.dim(0));
        }
        if (dw != null) {
          product(cuda, dw, dz, true, x, w.dim(0), x.last(), x.rows());
        }
      }
    }
  }

  /** {@code c (+)= op(a) · b} with c [m, n] and the sum over k. */
  private static void product(
      Cpu cpu, Grad c, Tensor a, boolean transA, Tensor b, int m, int n, int k) {
    Tensor t = c.tensor();
    MatmulCpu.run(
        cpu,
        t.segment(),
        t.dtype(),
        t.rowStride(),
        a.segment(),
        a.dtype(),
        a.rowStride(),
        transA,
        b.segment(),
        b.dtype(),
        b.rowStride(),
        false,
        m,
        n,
        k,
        c.accumulate());
  }

  private static void product(
      Cuda cuda, Grad c, Tensor a, boolean transA, Tensor b, int m, int n, int k) {
    MatmulCuda.run(
        cuda,
        matrix(c.tensor(), false),
        matrix(a, transA),
        matrix(b, false),
        m,
        n,
        k,
        1,
        c.accumulate());
  }
}
