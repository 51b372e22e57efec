package dev.javelin.nn;

import dev.javelin.autograd.AddNorm;
import dev.javelin.autograd.Functional;
import dev.javelin.autograd.Tape;
import dev.javelin.autograd.Var;
import dev.javelin.tensor.Parameter;
import org.jspecify.annotations.Nullable;

/**
 * Layer normalisation: {@code y = (x - mean(x)) · weight / sqrt(var(x) + eps) + bias}, mean and
 * variance over the last dimension, in fp32.
 *
 * @param weight [C], or {@code null} for 1
 * @param bias [C], or {@code null} for 0
 * @see <a href="https://arxiv.org/abs/1607.06450">Ba, Kiros and Hinton 2016</a>
 */
public record LayerNorm(@Nullable Parameter weight, @Nullable Parameter bias, float eps)
    implements Norm {

  public static LayerNorm declare(Declare d, int width, double eps) {
    return new LayerNorm(d.parameter(width), d.parameter(width), (float) eps);
  }

  @Override
  public Var forward(Var x) {
    return Functional.layerNorm(x, param(x, weight), param(x, bias), eps);
  }

  /** In one pass over memory. */
  @Override
  public AddNorm add(Var x, Var h) {
    return Functional.addLayerNorm(x, h, param(x, weight), param(x, bias), eps);
  }

  private static @Nullable Var param(Var x, @Nullable Parameter p) {
    Tape tape = x.tape();
    return p == null ? null : tape.param(p);
  }
}
