package dev.javelin.nn;

import dev.javelin.autograd.Var;

/**
 * What a {@link Linear} adds to its product: {@code y = x·Wᵀ + b + adapter(x)}. An adapter is a
 * record of parameters; they are named behind their layer, {@code attn.qkv.adapter.down}, and form
 * groups of their own, so that they are trained while the base is frozen.
 *
 * <pre>{@code
 * record LowRank(Parameter down, Parameter up, float scale) implements Adapter {
 *   public Var forward(Var x) {
 *     Var h = Functional.linear(x, x.tape().param(down), null); // [.., r]
 *     return Algebra.scale(Functional.linear(h, x.tape().param(up), null), scale);
 *   }
 * }
 * }</pre>
 *
 * @see <a href="https://arxiv.org/abs/2106.09685">Hu et al. 2021, LoRA</a>
 */
public interface Adapter {
  /**
   * @param x [.., in], of the activations' element type
   * @return [.., out], of the same type
   */
  Var forward(Var x);
}
