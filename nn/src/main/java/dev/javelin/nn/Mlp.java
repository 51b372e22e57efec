package dev.javelin.nn;

/** A block's second half, applied to each position by itself. */
sealed interface Mlp {

  /** {@code down(silu(gate(x)) · up(x))}, gate and up packed as [2F, C] with the gate first. */
  record SwiGlu(Linear gateUp, Linear down) implements Mlp {}

  /** {@code down(gelu(up(x)))}, with the tanh form of GELU. */
  record Gelu(Linear up, Linear down) implements Mlp {}

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
