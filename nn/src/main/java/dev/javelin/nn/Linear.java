package dev.javelin.nn;

import dev.javelin.autograd.Functional;
import dev.javelin.autograd.Tape;
import dev.javelin.autograd.Var;
import dev.javelin.kernels.Activation;
import dev.javelin.tensor.Parameter;
import org.jspecify.annotations.Nullable;

/**
 * An affine map of the last dimension: {@code y = x·Wᵀ + b}, or what its adapter makes of that. x
 * [.., in], y [.., out], both of the weight's element type.
 *
 * @param weight [out, in]; in few bits where its group says so, and then x may be of any float type
 * @param bias [out], or {@code null} for none
 * @param adapter {@code null} for none
 */
public record Linear(Parameter weight, @Nullable Parameter bias, @Nullable Adapter adapter) {

  public Linear(Parameter weight, @Nullable Parameter bias) {
    this(weight, bias, null);
  }

  public static Linear declare(Declare d, int out, int in, boolean bias) {
    return new Linear(d.parameter(out, in), bias ? d.parameter(out) : null);
  }

  /** The same layer, its parameters shared, with {@code adapter} beside it. */
  public Linear withAdapter(@Nullable Adapter adapter) {
    return new Linear(weight, bias, adapter);
  }

  /** In a run that does not train, {@link Pass#PLAIN}. */
  public Var forward(Var x) {
    return forward(x, Pass.PLAIN);
  }

  public Var forward(Var x, Pass pass) {
    return forward(x, null, pass);
  }

  /** {@code f(x·Wᵀ + b)}, in one pass where there is no adapter. */
  public Var forward(Var x, @Nullable Activation f, Pass pass) {
    if (adapter == null) {
      Tape tape = x.tape();
      Var b = bias == null ? null : tape.param(bias);
      return weight.quantized() == null
          ? Functional.linear(x, tape.param(weight), b, f)
          : Functional.linear(x, weight.quantized(), b, f);
    }
    Var y = adapter.forward(withAdapter(null), x, pass);
    return f == null ? y : Functional.activate(y, f);
  }
}
