package dev.javelin.nn;

import dev.javelin.autograd.Var;
import java.util.function.UnaryOperator;

/**
 * One layer of a transformer with its norms behind the additions, as it was first published: {@code
 * x = norm1(x + drop1(attention(x))); x = norm2(x + drop2(mlp(x)))}.
 *
 * @see <a href="https://arxiv.org/abs/1706.03762">Vaswani et al. 2017</a>
 */
public record PostNormBlock(
    Attention attention, Dropout drop1, Norm norm1, Mlp mlp, Dropout drop2, Norm norm2) {

  /**
   * @param x [B, T, C]
   * @return the same shape
   */
  public Var forward(Var x, Pass pass) {
    return forward(x, pass, Recomputation.NONE);
  }

  /** The same, one half of it computed again in the backward pass. */
  Var forward(Var x, Pass pass, Recomputation recompute) {
    UnaryOperator<Var> first =
        Block.half(recompute instanceof Recomputation.OfAttention, v -> attention.forward(v, pass));
    UnaryOperator<Var> second =
        Block.half(recompute instanceof Recomputation.OfMlp, v -> mlp.forward(v, pass));
    Var a = norm1.add(x, drop1.forward(first.apply(x), pass)).norm();
    return norm2.add(a, drop2.forward(second.apply(a), pass)).norm();
  }
}
