package dev.javelin.tensor.op;

import dev.javelin.kernels.EpsilonPlacement;
import dev.javelin.kernels.cpu.AdamWCpu;
import dev.javelin.tensor.FlatWeights;
import dev.javelin.tensor.Segment;
import dev.javelin.tensor.Tensor;
import dev.javelin.tensor.step.StepState;
import java.lang.foreign.ValueLayout;
import org.jspecify.annotations.Nullable;

/**
 * Adam with decoupled weight decay over the flat buffers of a model.
 *
 * @see <a href="https://arxiv.org/abs/1711.05101">Decoupled weight decay regularization</a>
 */
public final class AdamW {
  private AdamW() {}

  /**
   * One update, where {@link GlobalNorm} has decided the step. With {@code t} the applied steps,
   * {@code g = grads · gradScale} and {@code lr} the learning rate times the segment's scale:
   *
   * <pre>
   * m ← beta1·m + (1-beta1)·g        v ← beta2·v + (1-beta2)·g²
   * w ← w·(1 - lr·weightDecay) - lr · m/(1-beta1^t) / (sqrt(v/(1-beta2^t)) + eps)
   * grads ← 0
   * </pre>
   *
   * A skipped step clears the gradients and changes nothing else. Other places of eps stand at
   * {@link EpsilonPlacement}.
   *
   * @param m first moment, F32 [n]
   * @param v second moment, F32 [n]
   * @param epsScale factor on eps, F32 [1], read on the device when the step runs; {@code null} for
   *     1
   */
  public static void step(
      FlatWeights flat,
      Tensor m,
      Tensor v,
      StepState state,
      float beta1,
      float beta2,
      Epsilon eps,
      @Nullable Tensor epsScale) {
    Update.of("adam_w", flat)
        .keeping("m", m)
        .keeping("v", v)
        .reading(epsScale)
        .step(
            state,
            s -> new AdamWCpu(constants(s, state, beta1, beta2, eps, epsScale)),
            numbers(beta1, beta2, eps));
  }

  /** The same with a constant eps. */
  public static void step(
      FlatWeights flat, Tensor m, Tensor v, StepState state, float beta1, float beta2, float eps) {
    step(flat, m, v, state, beta1, beta2, Epsilon.of(eps), null);
  }

  /** What {@code adam_constants} of {@code adam.cuh} takes. */
  static float[] numbers(float beta1, float beta2, Epsilon eps) {
    return new float[] {
      beta1, beta2, eps.placement().ordinal(), eps.start(), eps.end(), eps.steps()
    };
  }

  static AdamWCpu.Constants constants(
      Segment s,
      StepState state,
      float beta1,
      float beta2,
      Epsilon eps,
      @Nullable Tensor epsScale) {
    double lr = (double) state.learningRate() * s.lrScale();
    // StrictMath: Math.pow may differ in the last bit between machines.
    double bias1 = 1 - StrictMath.pow(beta1, state.appliedSteps());
    double bias2 = 1 - StrictMath.pow(beta2, state.appliedSteps());
    return new AdamWCpu.Constants(
        state.gradScale(),
        beta1,
        beta2,
        (float) (1 - lr * s.weightDecay()),
        (float) (lr / bias1),
        (float) (1 / Math.sqrt(bias2)),
        (float) (1 / bias2),
        eps.at(state.appliedSteps())
            * (epsScale == null ? 1 : epsScale.segment().getAtIndex(ValueLayout.JAVA_FLOAT, 0)),
        eps.placement());
  }
}
