package dev.javelin.nn;

import dev.javelin.autograd.AddNorm;
import dev.javelin.autograd.Algebra;
import dev.javelin.autograd.Functional;
import dev.javelin.autograd.Tape;
import dev.javelin.autograd.Var;
import dev.javelin.tensor.Parameter;
import org.jspecify.annotations.Nullable;

/** The normalisation in front of a block's halves and of the head. */
sealed interface Norm {

  /** The normalised residual stream. */
  Var forward(Var x);

  /** Adds {@code h} to the residual stream and normalises it, in one pass over memory. */
  AddNorm add(Var x, Var h);

  default AddNorm forward(Stream in) {
    Var h = in.pending();
    return h == null ? new AddNorm(in.sum(), forward(in.sum())) : add(in.sum(), h);
  }

  /**
   * The residual stream between two blocks: what the last block adds to it is added by the next
   * one's norm.
   */
  record Stream(Var sum, @Nullable Var pending) {
    Var settled() {
      return pending == null ? sum : Algebra.add(sum, pending);
    }
  }

  /** {@code y = x · weight / sqrt(mean(x²) + eps)}. */
  record Rms(Parameter weight, float eps) implements Norm {
    @Override
    public Var forward(Var x) {
      return Functional.rmsNorm(x, x.tape().param(weight), eps);
    }

    @Override
    public AddNorm add(Var x, Var h) {
      return Functional.addRmsNorm(x, h, x.tape().param(weight), eps);
    }
  }

  /** {@code y = (x - mean(x)) · weight / sqrt(var(x) + eps) + bias}. */
  record Layer(Parameter weight, Parameter bias, float eps) implements Norm {
    @Override
    public Var forward(Var x) {
      Tape tape = x.tape();
      return Functional.layerNorm(x, tape.param(weight), tape.param(bias), eps);
    }

    @Override
    public AddNorm add(Var x, Var h) {
      Tape tape = x.tape();
      return Functional.addLayerNorm(x, h, tape.param(weight), tape.param(bias), eps);
    }
  }

  static Norm declare(Declare d, TransformerConfig c) {
    float eps = (float) c.normEps();
    return c.architecture() == Architecture.GPT2
        ? new Layer(d.parameter(c.hidden()), d.parameter(c.hidden()), eps)
        : new Rms(d.parameter(c.hidden()), eps);
  }
}
