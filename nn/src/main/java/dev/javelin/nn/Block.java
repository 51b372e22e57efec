package dev.javelin.nn;

import dev.javelin.autograd.AddNorm;
import dev.javelin.autograd.Algebra;
import dev.javelin.autograd.Recompute;
import dev.javelin.autograd.Tape;
import dev.javelin.autograd.Var;
import dev.javelin.nn.Norm.Stream;
import java.util.function.UnaryOperator;
import org.jspecify.annotations.Nullable;

/**
 * One layer of a transformer. Its halves follow one another, or read the same:
 *
 * <pre>
 * x += drop1(after1(attn(norm1(x))));  x += drop2(after2(mlp(norm2(x))))
 * x += drop1(after1(attn(norm1(x)))) + drop2(after2(mlp(norm2(x))))         parallel
 * </pre>
 *
 * @param norm1 {@code null} for none
 * @param after1 {@code null} for none
 * @param norm2 {@code null} for none, or where the halves are parallel for {@code norm1}
 * @param after2 {@code null} for none
 * @see <a href="https://arxiv.org/abs/2002.04745">Xiong et al. 2020</a>
 */
public record Block(
    @Nullable Norm norm1,
    Attention attn,
    @Nullable Norm after1,
    Dropout drop1,
    @Nullable Norm norm2,
    Mlp mlp,
    @Nullable Norm after2,
    Dropout drop2,
    boolean parallel) {

  /** The same layer with norms in front of its halves alone, one after the other. */
  public Block(Norm norm1, Attention attn, Dropout drop1, Norm norm2, Mlp mlp, Dropout drop2) {
    this(norm1, attn, null, drop1, norm2, mlp, null, drop2, false);
  }

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
    return forward(in, pass, Recomputation.NONE);
  }

  /**
   * The same.
   *
   * @param recompute which half is computed again in the backward pass
   */
  Stream forward(Stream in, Pass pass, Recomputation recompute) {
    UnaryOperator<Var> attention =
        half(recompute instanceof Recomputation.OfAttention, x -> attn.forward(x, pass));
    UnaryOperator<Var> perceptron =
        half(recompute instanceof Recomputation.OfMlp, x -> mlp.forward(x, pass));
    Tape tape = in.sum().tape();
    int layer = attn.index();
    tape.part("attention", layer);
    AddNorm first = norm1 == null ? plain(in) : norm1.forward(in);
    Var h = drop1.forward(after(after1, attention.apply(first.norm())), pass);
    tape.stream("attention", layer, first.sum(), h);
    tape.part("mlp", layer);
    if (parallel) {
      Var n = norm2 == null ? first.norm() : norm2.forward(first.sum());
      Var g = drop2.forward(after(after2, perceptron.apply(n)), pass);
      return seen(new Stream(first.sum(), Algebra.add(h, g)), layer);
    }
    Stream between = new Stream(first.sum(), h);
    AddNorm second = norm2 == null ? plain(between) : norm2.forward(between);
    Var g = drop2.forward(after(after2, perceptron.apply(second.norm())), pass);
    return seen(new Stream(second.sum(), g), layer);
  }

  private static Stream seen(Stream out, int layer) {
    out.sum().tape().stream("mlp", layer, out.sum(), out.pending());
    return out;
  }

  static UnaryOperator<Var> half(boolean recomputed, UnaryOperator<Var> f) {
    return recomputed ? x -> Recompute.block(x, f) : f;
  }

  private static AddNorm plain(Stream in) {
    Var x = in.settled();
    return new AddNorm(x, x);
  }

  private static Var after(@Nullable Norm norm, Var x) {
    return norm == null ? x : norm.forward(x);
  }
}
