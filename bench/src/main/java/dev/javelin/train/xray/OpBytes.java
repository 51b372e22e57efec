package dev.javelin.train.xray;

import dev.javelin.autograd.Probe.Step;
import dev.javelin.nn.Transformer;

/** The bytes that a function must move at least, as an X-ray counts them. */
public final class OpBytes {
  private OpBytes() {}

  public static double forward(Step step, Transformer model) {
    return OpCost.forward(step, model).bytes();
  }

  public static double backward(Step step, Transformer model) {
    return OpCost.backward(step, model).bytes();
  }
}
