package dev.javelin.autograd;

import static dev.javelin.autograd.Tape.tracks;

import dev.javelin.device.DType;
import dev.javelin.tensor.Shape;
import dev.javelin.tensor.Tensor;
import dev.javelin.tensor.op.Embedding;
import dev.javelin.tensor.op.RmsNorm;
import java.util.Arrays;

/**
 * The differentiable functions: each runs its operator forward and records how to run it backward.
 * What the closure captures is what is kept for the backward pass. In alphabetical order.
 */
public final class Functional {
  private Functional() {}

  /** Rows of a table by id; ids I32 of any shape, the result has one more dimension. */
  public static Var embedding(Var table, Tensor ids) {
    return embedding(table, ids, Embedding.NO_PADDING);
  }

  /** The same, where the row of {@code paddingId} gets no gradient; see {@link Embedding}. */
  public static Var embedding(Var table, Tensor ids, int paddingId) {
    Tensor y = table.tape().alloc(table.value().dtype(), append(ids, table.value().last()));
    Embedding.forward(y, table.value(), ids);
    return table
        .tape()
        .record(
            "embedding",
            y,
            tracks(table),
            out -> Embedding.backward(table.grad(), out.dy(), ids, paddingId));
  }

  /** {@code table[ids] + positionTable[positions]}; see {@link Embedding}. */
  public static Var embedding(Var table, Tensor ids, Var positionTable, Tensor positions) {
    Tensor y = table.tape().alloc(table.value().dtype(), append(ids, table.value().last()));
    Embedding.forward(y, table.value(), ids, positionTable.value(), positions);
    return table
        .tape()
        .record(
            "embedding",
            y,
            tracks(table, positionTable),
            out -> {
              Embedding.backward(table.grad(), out.dy(), ids, Embedding.NO_PADDING);
              Embedding.backward(positionTable.grad(), out.dy(), positions, Embedding.NO_PADDING);
            });
  }

  private static Shape append(Tensor t, int dim) {
    int[] dims = Arrays.copyOf(t.shape().toArray(), t.rank() + 1);
    dims[t.rank()] = dim;
    return Shape.of(dims);
  }

  /** Root mean square normalisation of the last dimension; see {@link RmsNorm}. */
  public static Var rmsNorm(Var x, Var w, float eps) {
    Tensor y = x.like();
    Tensor rstd = x.alloc(DType.F32, x.value().rows());
    RmsNorm.forward(y, rstd, x.value(), w.value(), eps);
    return x.tape()
        .record(
            "rms_norm",
            y,
            tracks(x, w),
            out -> RmsNorm.backward(x.grad(), w.grad(), out.dy(), x.value(), w.value(), rstd));
  }
}
