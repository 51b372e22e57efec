package dev.javelin.nn;

import dev.javelin.autograd.Functional;
import dev.javelin.autograd.Tape;
import dev.javelin.autograd.Var;
import dev.javelin.kernels.Activation;
import dev.javelin.tensor.Parameter;
import org.jspecify.annotations.Nullable;

/**
 * {@code y = x·Wᵀ + b}.
 *
 * @param weight [out, in]
 * @param bias [out], or {@code null} for none
 */
record Linear(Parameter weight, @Nullable Parameter bias) {

  static Linear declare(Declare d, int out, int in, boolean bias) {
    return new Linear(d.parameter(out, in), bias ? d.parameter(out) : null);
  }

  Var forward(Var x) {
    return forward(x, null);
  }

  /** {@code f(x·Wᵀ + b)} in one pass. */
  Var forward(Var x, @Nullable Activation f) {
    Tape tape = x.tape();
    Var b = bias == null ? null : tape.param(bias);
    return Functional.linear(x, tape.param(weight), b, f);
  }
}
