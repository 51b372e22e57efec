package dev.javelin.nn;

import dev.javelin.autograd.AddNorm;
import dev.javelin.autograd.Var;
import dev.javelin.nn.Norm.Stream;

/**
 * One layer of a transformer with its norms in front: {@code x += drop1(attn(norm1(x))); x +=
 * drop2(mlp(norm2(x)))}.
 *
 * @see <a href="https://arxiv.org/abs/2002.04745">Xiong et al. 2020</a>
 */
public record Block(Norm norm1, Attention attn, Dropout drop1, Norm norm2, Mlp mlp, Dropout drop2) {

  /** One whose dropout sites follow from its attention's index: 1 + 2·index and the next. */
  public static Block of(Norm norm1, Attention attn, Norm norm2, Mlp mlp, double dropout) {
    int site = 1 + 2 * attn.index();
    return new Block(
        norm1, attn, new Dropout(dropout, site), norm2, mlp, new Dropout(dropout, site + 1));
  }

  /**
   * @param x [B, T, C]
   * @return the same shape
   */
  public Var forward(Var x, Pass pass) {
    return forward(Stream.of(x), pass).settled();
  }

  /** The same, the last addition left to the norm that follows. */
  public Stream forward(Stream in, Pass pass) {
    AddNorm first = norm1.forward(in);
    Var h = drop1.forward(attn.forward(first.norm(), pass), pass);
    AddNorm second = norm2.add(first.sum(), h);
    return new Stream(second.sum(), drop2.forward(mlp.forward(second.norm(), pass), pass));
  }
}
