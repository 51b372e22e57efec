package dev.javelin.tensor.op;

import dev.javelin.kernels.cpu.SgdCpu;
import dev.javelin.tensor.FlatWeights;
import dev.javelin.tensor.Segment;
import dev.javelin.tensor.Tensor;
import dev.javelin.tensor.step.StepState;
import org.jspecify.annotations.Nullable;

/**
 * Stochastic gradient descent with momentum over the flat buffers of a model.
 *
 * @see <a href="https://proceedings.mlr.press/v28/sutskever13.html">On the importance of
 *     initialization and momentum</a>
 */
public final class Sgd {
  private Sgd() {}

  /**
   * One update, where {@link GlobalNorm} has decided the step. With {@code g = grads · gradScale +
   * weightDecay·w} and {@code lr} the learning rate times the segment's scale:
   *
   * <pre>
   * v ← momentum·v + (1-dampening)·g       v ← g in the first step
   * w ← w - lr·v                           or Nesterov's w - lr·(g + momentum·v)
   * grads ← 0
   * </pre>
   *
   * A skipped step clears the gradients and changes nothing else.
   *
   * @param v velocity, F32 [n]; {@code null} where momentum is 0: then {@code w ← w - lr·g}
   */
  public static void step(
      FlatWeights flat,
      @Nullable Tensor v,
      StepState state,
      float momentum,
      float dampening,
      boolean nesterov) {
    if ((v == null) != (momentum == 0)) {
      throw new IllegalArgumentException("sgd: a velocity belongs to a momentum, got " + momentum);
    }
    Update.of("sgd", flat)
        .keeping("v", v)
        .step(
            state,
            s -> formula(s, state, momentum, dampening, nesterov),
            momentum,
            dampening,
            nesterov ? 1 : 0);
  }

  private static SgdCpu formula(
      Segment s, StepState state, float momentum, float dampening, boolean nesterov) {
    float lr = (float) ((double) state.learningRate() * s.lrScale());
    boolean plain = momentum == 0;
    return new SgdCpu(
        state.gradScale(),
        s.weightDecay(),
        momentum,
        state.appliedSteps() == 1 ? 1 : 1 - dampening,
        plain || nesterov ? lr : 0,
        plain ? 0 : nesterov ? lr * momentum : lr);
  }
}
