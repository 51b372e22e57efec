package dev.javelin.nn;

import dev.javelin.autograd.Functional;
import dev.javelin.autograd.Var;
import dev.javelin.tensor.step.StepState;

/**
 * In training, {@code y = x · m / (1 - p)} with each element of m 0 with probability p, else 1;
 * elsewhere x itself. The mask is a function of the step's seed, its micro-batch and the site
 * alone, so that a block that is recomputed drops the same elements again.
 *
 * @param p in [0, 1)
 * @param site tells the masks of one step apart: each layer of a model has a number of its own
 * @see <a href="https://jmlr.org/papers/v15/srivastava14a.html">Srivastava et al. 2014</a>
 */
public record Dropout(double p, int site) {
  public Dropout {
    if (!(p >= 0 && p < 1)) {
      throw new IllegalArgumentException("dropout must be in [0, 1), got " + p);
    }
  }

  public Var forward(Var x, Pass pass) {
    StepState training = pass.training();
    return training == null || p == 0 ? x : Functional.dropout(x, (float) p, site, training);
  }
}
