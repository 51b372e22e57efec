package dev.javelin.nn;

import dev.javelin.autograd.AddNorm;
import dev.javelin.autograd.Algebra;
import dev.javelin.autograd.Var;
import org.jspecify.annotations.Nullable;

/** A normalisation of the last dimension: in front of a block's halves and of the head. */
public interface Norm {

  /**
   * @param x [.., C]
   * @return the same shape
   */
  Var forward(Var x);

  /** Adds {@code h} to the residual stream {@code x} and normalises the sum. */
  default AddNorm add(Var x, Var h) {
    Var sum = Algebra.add(x, h);
    return new AddNorm(sum, forward(sum));
  }

  /** Adds what is pending to the residual stream and normalises the sum. */
  default AddNorm forward(Stream in) {
    Var h = in.pending();
    return h == null ? new AddNorm(in.sum(), forward(in.sum())) : add(in.sum(), h);
  }

  /**
   * The residual stream between two blocks, [B, T, C]: what the last block adds to it is added by
   * the next one's norm, in one pass over memory.
   *
   * @param pending what is still to be added to {@code sum}; {@code null} for nothing
   */
  record Stream(Var sum, @Nullable Var pending) {
    public static Stream of(Var x) {
      return new Stream(x, null);
    }

    /** The whole stream. */
    public Var settled() {
      return pending == null ? sum : Algebra.add(sum, pending);
    }
  }
}
