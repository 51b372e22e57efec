package dev.javelin.tensor.op;

import dev.javelin.kernels.cpu.AdaGradCpu;
import dev.javelin.tensor.FlatWeights;
import dev.javelin.tensor.Segment;
import dev.javelin.tensor.Tensor;
import dev.javelin.tensor.step.StepState;

/**
 * AdaGrad over the flat buffers of a model.
 *
 * @see <a href="https://jmlr.org/papers/v12/duchi11a.html">Adaptive subgradient methods for online
 *     learning and stochastic optimization</a>
 */
public final class AdaGrad {
  private AdaGrad() {}

  /**
   * One update, where {@link GlobalNorm} has decided the step. With {@code t} the applied steps,
   * {@code g = grads · gradScale + weightDecay·w} and {@code lr} the learning rate times the
   * segment's scale:
   *
   * <pre>
   * sum ← sum + g²
   * w ← w - lr/(1 + (t-1)·lrDecay) · g / (sqrt(sum) + eps)
   * grads ← 0
   * </pre>
   *
   * A skipped step clears the gradients and changes nothing else.
   *
   * @param sum of the squares of all gradients so far, F32 [n]
   */
  public static void step(FlatWeights flat, Tensor sum, StepState state, float lrDecay, float eps) {
    Update.of("ada_grad", flat)
        .keeping("sum", sum)
        .step(state, s -> formula(s, state, lrDecay, eps), lrDecay, eps);
  }

  private static AdaGradCpu formula(Segment s, StepState state, float lrDecay, float eps) {
    double lr = (double) state.learningRate() * s.lrScale();
    double rate = lr / (1 + (state.appliedSteps() - 1) * (double) lrDecay);
    return new AdaGradCpu(state.gradScale(), s.weightDecay(), (float) rate, eps);
  }
}
