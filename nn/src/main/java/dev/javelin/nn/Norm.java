package dev.javelin.nn;

import dev.javelin.tensor.Parameter;

/** The normalisation in front of a block's halves and of the head. */
sealed interface Norm {

  /** {@code y = x · weight / sqrt(mean(x²) + eps)}. */
  record Rms(Parameter weight, float eps) implements Norm {}

  /** {@code y = (x - mean(x)) · weight / sqrt(var(x) + eps) + bias}. */
  record Layer(Parameter weight, Parameter bias, float eps) implements Norm {}

  static Norm declare(Declare d, TransformerConfig c) {
    float eps = (float) c.normEps();
    return c.architecture() == Architecture.GPT2
        ? new Layer(d.parameter(c.hidden()), d.parameter(c.hidden()), eps)
        : new Rms(d.parameter(c.hidden()), eps);
  }
}
