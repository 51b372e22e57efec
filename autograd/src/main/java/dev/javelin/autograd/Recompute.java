package dev.javelin.autograd;

import dev.javelin.tensor.Grad;
import dev.javelin.tensor.Tensor;
import dev.javelin.tensor.step.Workspace;
import java.util.List;
import java.util.function.UnaryOperator;

/**
 * Activation checkpointing: trades a second forward pass for the memory of a block's inside (Chen
 * et al. 2016).
 *
 * @see <a href="https://arxiv.org/abs/1604.06174">Training Deep Nets with Sublinear Memory Cost</a>
 */
public final class Recompute {
  private Recompute() {}

  /**
   * {@code f(x)}, keeping only its result: the backward pass runs {@code f} again. The gradients
   * are those of {@code f} to the bit, since random masks are keyed by site and step, not by call.
   */
  public static Var block(Var x, UnaryOperator<Var> f) {
    Tape tape = x.tape();
    if (!tape.isRecording()) {
      return f.apply(x);
    }
    Workspace ws = tape.workspace();
    Tensor y;
    try (Workspace.Scope scope = ws.scope()) {
      y = scope.keep(f.apply(Tape.inference(ws).constant(x.value())).value());
    }
    return tape.record(
        "recompute",
        y,
        true,
        out -> {
          Tensor dy = out.dy();
          Grad dx =
              x.grad(); // before the inner tape begins, which would take its memory for its own
          Tape inner = new Tape(ws);
          Var again = f.apply(inner.leaf(x.value(), dx));
          inner.backward(List.of(again), List.of(dy));
        });
  }
}
