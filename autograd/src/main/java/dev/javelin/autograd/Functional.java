package dev.javelin.autograd;

import static dev.javelin.autograd.Tape.tracks;

import dev.javelin.device.DType;
import dev.javelin.tensor.Tensor;
import dev.javelin.tensor.op.RmsNorm;

/**
 * The differentiable functions: each runs its operator forward and records how to run it backward.
 * What the closure captures is what is kept for the backward pass. In alphabetical order.
 */
public final class Functional {
  private Functional() {}

  /** Root mean square normalisation of the last dimension; see {@link RmsNorm}. */
  public static Var rmsNorm(Var x, Var w, float eps) {
    Tensor y = x.like();
    Tensor rstd = x.alloc(DType.F32, x.value().rows());
    RmsNorm.forward(y, rstd, x.value(), w.value(), eps);
    return x.tape()
        .record(
            "rms_norm",
            y,
            tracks(x, w),
            out -> RmsNorm.backward(x.grad(), w.grad(), out.dy(), x.value(), w.value(), rstd));
  }
}
