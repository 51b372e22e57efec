package dev.javelin.nn;

import dev.javelin.autograd.AddNorm;
import dev.javelin.autograd.Functional;
import dev.javelin.autograd.Var;
import dev.javelin.tensor.Parameter;

/**
 * Root mean square normalisation: {@code y = x · (offset + weight) / sqrt(mean(x²) + eps)}, the
 * mean over the last dimension, in fp32.
 *
 * @param weight [C]
 * @param offset 0, or 1 where weights are stored as differences from 1
 * @see <a href="https://arxiv.org/abs/1910.07467">Zhang and Sennrich 2019</a>
 */
public record RmsNorm(Parameter weight, float eps, float offset) implements Norm {

  public RmsNorm(Parameter weight, float eps) {
    this(weight, eps, 0);
  }

  public static RmsNorm declare(Declare d, int width, double eps) {
    return new RmsNorm(d.parameter(width), (float) eps);
  }

  @Override
  public Var forward(Var x) {
    return Functional.rmsNorm(x, x.tape().param(weight), eps, offset);
  }

  /** In one pass over memory. */
  @Override
  public AddNorm add(Var x, Var h) {
    return Functional.addRmsNorm(x, h, x.tape().param(weight), eps, offset);
  }
}
