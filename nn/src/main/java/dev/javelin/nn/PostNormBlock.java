package dev.javelin.nn;

import dev.javelin.autograd.Var;

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
    Var a = norm1.add(x, drop1.forward(attention.forward(x, pass), pass)).norm();
    return norm2.add(a, drop2.forward(mlp.forward(a, pass), pass)).norm();
  }
}
