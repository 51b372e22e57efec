package dev.javelin.tensor.op;

import dev.javelin.device.Cpu;
import dev.javelin.device.Cuda;
import dev.javelin.kernels.cpu.DropoutCpu;
import dev.javelin.kernels.cuda.DropoutCuda;
import dev.javelin.tensor.Check;
import dev.javelin.tensor.Grad;
import dev.javelin.tensor.Tensor;
import dev.javelin.tensor.step.StepState;
import org.jspecify.annotations.Nullable;

/**
 * Random zeros. The mask is a pure function of (seed, step, index of the sequence in the step's
 * batch, site, element), so none is kept: backward, a recomputed block, a replayed micro-batch and
 * another split of the batch draw the same.
 *
 * @see <a href="https://jmlr.org/papers/v15/srivastava14a.html">Srivastava et al. 2014, Dropout</a>
 */
public final class Dropout {
  private Dropout() {}

  /**
   * {@code y[b, i] = x[b, i] / (1-p)} with probability 1-p, otherwise 0; x, y [B, ..] contiguous, b
   * the sequence and i the element within it; any float type.
   *
   * @param p in [0, 1)
   * @param site a number of the model's own for each of its dropouts
   * @param state holds seed, step and the batch's first sequence
   */
  public static void forward(Tensor y, Tensor x, float p, int site, StepState state) {
    Check.that("dropout").sameShape("y", y, "x", x).dtype("y", y, x.dtype());
    run("dropout", y, false, x, p, site, state);
  }

  /**
   * {@code dx[b, i] (+)= dy[b, i] / (1-p)} where the forward pass kept the element, otherwise 0.
   */
  public static void backward(@Nullable Grad dx, Tensor dy, float p, int site, StepState state) {
    if (dx != null) {
      Check.that("dropout backward").like("dx", dx, "dy", dy);
      run("dropout backward", dx.tensor(), dx.accumulate(), dy, p, site, state);
    }
  }

  static DropoutCpu.Key key(int site, StepState state) {
    return new DropoutCpu.Key(state.seed(), state.step(), state.firstSequence(), site);
  }

  private static void run(
      String op, Tensor y, boolean accumulate, Tensor x, float p, int site, StepState state) {
    Check.that(op)
        .floats("x", x)
        .contiguous("x", x)
        .contiguous("y", y)
        .is(x.rank() >= 1, "x must have a batch dimension, got a scalar")
        .is(p >= 0 && p < 1, () -> "p must lie in [0, 1), got " + p);
    if (x.elements() == 0) {
      return;
    }
    switch (x.device()) {
      case Cpu cpu ->
          DropoutCpu.apply(
              cpu,
              y.segment(),
              accumulate,
              x.segment(),
              x.dtype(),
              x.dim(0),
              x.elements() / x.dim(0),
              p,
              key(site, state));
      case Cuda cuda ->
          DropoutCuda.apply(
              cuda,
              y,
              accumulate,
              x,
              x.dtype(),
              x.dim(0),
              x.elements() / x.dim(0),
              (int) DropoutCpu.threshold(p),
              DropoutCpu.scale(p),
              site,
              state);
    }
  }
}
