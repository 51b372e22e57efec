package dev.javelin.autograd;

import dev.javelin.tensor.Grad;
import dev.javelin.tensor.Tensor;
import dev.javelin.tensor.step.Workspace;
import java.util.ArrayList;
import java.util.List;
import java.util.function.UnaryOperator;
import org.jspecify.annotations.Nullable;

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
    return block(List.of(x), xs -> List.of(f.apply(xs.getFirst()))).getFirst();
  }

  /**
   * The same of several variables.
   *
   * @param f whose results are none of its arguments
   */
  public static List<Var> block(List<Var> xs, UnaryOperator<List<Var>> f) {
    Tape tape = xs.getFirst().tape();
    if (!tape.isRecording()) {
      return f.apply(xs);
    }
    Workspace ws = tape.workspace();
    List<Tensor> ys = new ArrayList<>();
    try (Workspace.Scope scope = ws.scope()) {
      Tape once = Tape.inference(ws);
      for (Var y : f.apply(xs.stream().map(x -> once.constant(x.value())).toList())) {
        ys.add(scope.keep(y.value()));
      }
    }
    return tape.record(
        "recompute", ys, xs.toArray(new Var[0]), true, outs -> backward(xs, outs, f));
  }

  private static void backward(List<Var> xs, List<Var> outs, UnaryOperator<List<Var>> f) {
    Workspace ws = xs.getFirst().tape().workspace();
    List<@Nullable Tensor> dys = new ArrayList<>();
    outs.forEach(out -> dys.add(out.dyOrNull()));
    List<@Nullable Grad> dxs = new ArrayList<>();
    xs.forEach(x -> dxs.add(x.grad())); // before the inner tape, which would take their memory
    Tape inner = new Tape(ws);
    List<Var> leaves = new ArrayList<>();
    for (int i = 0; i < xs.size(); i++) {
      leaves.add(inner.leaf(xs.get(i).value(), dxs.get(i)));
    }
    List<Var> again = f.apply(leaves);
    List<Var> roots = new ArrayList<>();
    List<Tensor> gradients = new ArrayList<>();
    for (int i = 0; i < again.size(); i++) {
      Tensor dy = dys.get(i);
      if (dy != null) {
        roots.add(again.get(i));
        gradients.add(dy);
      }
    }
    inner.backward(roots, gradients);
  }
}
