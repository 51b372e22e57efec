package dev.javelin.tensor.op;

import dev.javelin.kernels.cpu.AdamCpu;
import dev.javelin.tensor.FlatWeights;
import dev.javelin.tensor.Segment;
import dev.javelin.tensor.Tensor;
import dev.javelin.tensor.step.StepState;
import org.jspecify.annotations.Nullable;

/**
 * Adam, whose weight decay is part of the gradient, over the flat buffers of a model.
 *
 * @see <a href="https://arxiv.org/abs/1412.6980">Adam: a method for stochastic optimization</a>
 * @see <a href="https://arxiv.org/abs/1904.09237">On the convergence of Adam and beyond</a>
 */
public final class Adam {
  private Adam() {}

  /**
   * One update, where {@link GlobalNorm} has decided the step. With {@code t} the applied steps,
   * {@code g = grads · gradScale + weightDecay·w} and {@code lr} the learning rate times the
   * segment's scale:
   *
   * <pre>
   * m ← beta1·m + (1-beta1)·g        v ← beta2·v + (1-beta2)·g²
   * w ← w - lr · m/(1-beta1^t) / (sqrt(v/(1-beta2^t)) + eps)
   * grads ← 0
   * </pre>
   *
   * A skipped step clears the gradients and changes nothing else.
   *
   * @param m first moment, F32 [n]
   * @param v second moment, F32 [n]
   * @param largest the largest v so far, F32 [n], which then divides in its place (AMSGrad); {@code
   *     null} for Adam itself
   */
  public static void step(
      FlatWeights flat,
      Tensor m,
      Tensor v,
      @Nullable Tensor largest,
      StepState state,
      float beta1,
      float beta2,
      float eps) {
    Update.of("adam", flat)
        .keeping("m", m)
        .keeping("v", v)
        .keeping("largest", largest)
        .step(state, s -> formula(s, state, beta1, beta2, eps), beta1, beta2, eps);
  }

  private static AdamCpu formula(Segment s, StepState state, float beta1, float beta2, float eps) {
    double lr = (double) state.learningRate() * s.lrScale();
    // StrictMath: Math.pow may differ in the last bit between machines.
    double bias1 = 1 - StrictMath.pow(beta1, state.appliedSteps());
    double bias2 = 1 - StrictMath.pow(beta2, state.appliedSteps());
    return new AdamCpu(
        state.gradScale(),
        s.weightDecay(),
        beta1,
        beta2,
        (float) (lr / bias1),
        (float) (1 / Math.sqrt(bias2)),
        eps);
  }
}
