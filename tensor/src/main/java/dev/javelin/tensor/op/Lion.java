package dev.javelin.tensor.op;

import dev.javelin.kernels.cpu.LionCpu;
import dev.javelin.tensor.FlatWeights;
import dev.javelin.tensor.Segment;
import dev.javelin.tensor.Tensor;
import dev.javelin.tensor.step.StepState;

/**
 * Lion, whose steps are all of one length, over the flat buffers of a model.
 *
 * @see <a href="https://arxiv.org/abs/2302.06675">Symbolic discovery of optimization algorithms</a>
 */
public final class Lion {
  private Lion() {}

  /**
   * One update, where {@link GlobalNorm} has decided the step. With {@code g = grads · gradScale}
   * and {@code lr} the learning rate times the segment's scale:
   *
   * <pre>
   * w ← w·(1 - lr·weightDecay) - lr · sign(beta1·m + (1-beta1)·g)        sign(0) = 0
   * m ← beta2·m + (1-beta2)·g
   * grads ← 0
   * </pre>
   *
   * A skipped step clears the gradients and changes nothing else.
   *
   * @param m momentum, F32 [n]
   */
  public static void step(FlatWeights flat, Tensor m, StepState state, float beta1, float beta2) {
    Update.of("lion", flat)
        .keeping("m", m)
        .step(state, s -> formula(s, state, beta1, beta2), beta1, beta2);
  }

  private static LionCpu formula(Segment s, StepState state, float beta1, float beta2) {
    double lr = (double) state.learningRate() * s.lrScale();
    return new LionCpu(
        state.gradScale(), (float) (1 - lr * s.weightDecay()), beta1, beta2, (float) lr);
  }
}
