package dev.javelin.tensor.op;

import dev.javelin.device.Cpu;
import dev.javelin.kernels.cpu.LambCpu;
import dev.javelin.kernels.cpu.UpdateCpu;
import dev.javelin.kernels.cuda.LambCuda;
import dev.javelin.tensor.FlatWeights;
import dev.javelin.tensor.Segment;
import dev.javelin.tensor.Tensor;
import dev.javelin.tensor.step.StepState;

/**
 * LAMB, which scales Adam's step of each parameter to the parameter's norm, over the flat buffers
 * of a model.
 *
 * @see <a href="https://arxiv.org/abs/1904.00962">Large batch optimization for deep learning</a>
 */
public final class Lamb {
  private Lamb() {}

  /**
   * One update, where {@link GlobalNorm} has decided the step. With {@code t} the applied steps,
   * {@code g = grads · gradScale} and {@code lr} the learning rate times the segment's scale:
   *
   * <pre>
   * m ← beta1·m + (1-beta1)·g        v ← beta2·v + (1-beta2)·g²
   * u = m/(1-beta1^t) / (sqrt(v/(1-beta2^t)) + eps) + weightDecay·w
   * w ← w - lr · |w|/|u| · u         the ratio of norms is 1 where either is 0
   * grads ← 0
   * </pre>
   *
   * A skipped step clears the gradients and changes nothing else.
   *
   * @param flat with a segment for each parameter: norms are a segment's
   * @param m first moment, F32 [n]
   * @param v second moment, F32 [n]
   */
  public static void step(
      FlatWeights flat, Tensor m, Tensor v, StepState state, float beta1, float beta2, float eps) {
    Update update =
        Update.of("lamb", flat).keeping("m", m).keeping("v", v).launchedBy(LambCuda::step);
    update.step(
        state,
        s -> formula(update.buffers(state), flat, s, state, beta1, beta2, eps),
        beta1,
        beta2,
        eps);
  }

  private static LambCpu formula(
      UpdateCpu.Buffers buffers,
      FlatWeights flat,
      Segment s,
      StepState state,
      float beta1,
      float beta2,
      float eps) {
    // StrictMath: Math.pow may differ in the last bit between machines.
    double bias1 = 1 - StrictMath.pow(beta1, state.appliedSteps());
    double bias2 = 1 - StrictMath.pow(beta2, state.appliedSteps());
    var c =
        new LambCpu.Constants(
            state.gradScale(),
            s.weightDecay(),
            beta1,
            beta2,
            (float) (1 / bias1),
            (float) (1 / Math.sqrt(bias2)),
            eps);
    float trust = LambCpu.trust((Cpu) flat.weights().device(), buffers, c, s.from(), s.to());
    return new LambCpu(c, (float) ((double) state.learningRate() * s.lrScale()) * trust);
  }
}
