package dev.javelin.nn;

import dev.javelin.autograd.Functional;
import dev.javelin.autograd.Var;
import dev.javelin.kernels.Activation;

/** A block's second half, applied to each position by itself. */
sealed interface Mlp {

  Var forward(Var x);

  /** {@code down(silu(gate(x)) · up(x))}, gate and up packed as [2F, C] with the gate first. */
  record SwiGlu(Linear gateUp, Linear down) implements Mlp {
    @Override
    public Var forward(Var x) {
      return down.forward(Functional.glu(gateUp.forward(x), Activation.SILU));
    }
  }

  /** {@code down(gelu(up(x)))}, with the tanh form of GELU. */
  record Gelu(Linear up, Linear down) implements Mlp {
    @Override
    public Var forward(Var x) {
      return down.forward(up.forward(x, Activation.GELU_TANH));
    }
  }

  static Mlp declare(Declare d, TransformerConfig c) {
    return c.architecture() == Architecture.GPT2
        ? new Gelu(
            Linear.declare(d, c.ffn(), c.hidden(), true),
            Linear.declare(d, c.hidden(), c.ffn(), true))
        : new SwiGlu(
            Linear.declare(d, 2 * c.ffn(), c.hidden(), false),
            Linear.declare(d, c.hidden(), c.ffn(), false));
  }
}
