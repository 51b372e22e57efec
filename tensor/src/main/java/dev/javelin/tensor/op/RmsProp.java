package dev.javelin.tensor.op;

import dev.javelin.kernels.cpu.RmsPropCpu;
import dev.javelin.tensor.FlatWeights;
import dev.javelin.tensor.Tensor;
import dev.javelin.tensor.step.StepState;
import org.jspecify.annotations.Nullable;

/**
 * RMSprop over the flat buffers of a model.
 *
 * @see <a href="https://www.cs.toronto.edu/~tijmen/csc321/slides/lecture_slides_lec6.pdf">Neural
 *     networks for machine learning, lecture 6</a>
 * @see <a href="https://arxiv.org/abs/1308.0850">Generating sequences with recurrent neural
 *     networks</a> for the centred form
 */
public final class RmsProp {
  private RmsProp() {}

  /**
   * One update, where {@link GlobalNorm} has decided the step. With {@code g = grads · gradScale +
   * weightDecay·w} and {@code lr} the learning rate times the segment's scale:
   *
   * <pre>
   * square ← alpha·square + (1-alpha)·g²
   * mean   ← alpha·mean + (1-alpha)·g             where there is one
   * u = g / (sqrt(square - mean²) + eps)          without a mean: of 0
   * v ← momentum·v + u                            where there is one; without: v = u
   * w ← w - lr·v
   * grads ← 0
   * </pre>
   *
   * A skipped step clears the gradients and changes nothing else.
   *
   * @param square F32 [n]
   * @param mean F32 [n]; {@code null} for the form that is not centred
   * @param v velocity, F32 [n]; {@code null} where momentum is 0
   */
  public static void step(
      FlatWeights flat,
      Tensor square,
      @Nullable Tensor mean,
      @Nullable Tensor v,
      StepState state,
      float alpha,
      float momentum,
      float eps) {
    Update.of("rms_prop", flat)
        .keeping("square", square)
        .keeping("mean", mean)
        .keeping("v", v)
        .step(
            state,
            s ->
                new RmsPropCpu(
                    state.gradScale(),
                    s.weightDecay(),
                    alpha,
                    momentum,
                    (float) ((double) state.learningRate() * s.lrScale()),
                    eps),
            alpha,
            momentum,
            eps,
            mean == null ? 0 : 1);
  }
}
