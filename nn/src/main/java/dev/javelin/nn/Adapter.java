package dev.javelin.nn;

import dev.javelin.autograd.Var;

/**
 * Stands before a {@link Linear} and computes in its place, {@code y = x·Wᵀ + b + …}. An adapter is
 * a record of parameters; where it is part of the model's record they are named behind their layer,
 * {@code attn.qkv.adapter.down}, and form groups of their own, so that they are trained while the
 * base is frozen.
 *
 * <pre>{@code
 * record Small(Parameter down, Parameter up, float scale) implements Adapter {
 *   public Var forward(Linear base, Var x, Pass pass) {
 *     Var h = Functional.linear(x, x.tape().param(down), null); // [.., r]
 *     Var delta = Functional.linear(h, x.tape().param(up), null);
 *     return Algebra.add(base.forward(x, pass), Algebra.scale(delta, scale));
 *   }
 * }
 * }</pre>
 *
 * @see <a href="https://arxiv.org/abs/2106.09685">Hu et al. 2021, LoRA</a>
 */
public interface Adapter {
  /**
   * @param base the layer without its adapter
   * @param x [.., in], of the activations' element type
   * @param pass says whether the run trains, for dropout of the adapter's own
   * @return [.., out], of the same type
   */
  Var forward(Linear base, Var x, Pass pass);
}
