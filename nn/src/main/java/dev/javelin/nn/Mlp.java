package dev.javelin.nn;

import dev.javelin.autograd.Functional;
import dev.javelin.autograd.Var;
import dev.javelin.kernels.Activation;

/** A block's second half, applied to each position by itself. */
public interface Mlp {

  /**
   * @param x [.., C]
   * @return the same shape
   */
  Var forward(Var x, Pass pass);

  /**
   * {@code down(f(gate(x)) · up(x))}; with {@link Activation#SILU} SwiGLU.
   *
   * @param gateUp gate and up packed, [2F, C], the gate first
   * @param down [C, F]
   * @see <a href="https://arxiv.org/abs/2002.05202">Shazeer 2020</a>
   */
  record Gated(Linear gateUp, Linear down, Activation f) implements Mlp {
    public static Gated declare(Declare d, int width, int inner, Activation f, boolean bias) {
      return new Gated(
          Linear.declare(d, 2 * inner, width, bias), Linear.declare(d, width, inner, bias), f);
    }

    @Override
    public Var forward(Var x, Pass pass) {
      return down.forward(Functional.glu(gateUp.forward(x, pass), f), pass);
    }
  }

  /**
   * {@code down(f(up(x)))}.
   *
   * @param up [F, C]
   * @param down [C, F]
   */
  record Plain(Linear up, Linear down, Activation f) implements Mlp {
    public static Plain declare(Declare d, int width, int inner, Activation f, boolean bias) {
      return new Plain(
          Linear.declare(d, inner, width, bias), Linear.declare(d, width, inner, bias), f);
    }

    @Override
    public Var forward(Var x, Pass pass) {
      return down.forward(up.forward(x, f, pass), pass);
    }
  }
}
