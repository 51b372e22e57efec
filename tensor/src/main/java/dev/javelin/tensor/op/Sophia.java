package dev.javelin.tensor.op;

import dev.javelin.device.Cpu;
import dev.javelin.device.Cuda;
import dev.javelin.device.DType;
import dev.javelin.kernels.cpu.SophiaCpu;
import dev.javelin.kernels.cuda.SophiaCuda;
import dev.javelin.tensor.Check;
import dev.javelin.tensor.FlatWeights;
import dev.javelin.tensor.Segment;
import dev.javelin.tensor.Tensor;
import dev.javelin.tensor.step.StepState;

/**
 * Sophia, which divides by an estimate of the loss's curvature, over the flat buffers of a model.
 *
 * @see <a href="https://arxiv.org/abs/2305.14342">Sophia: a scalable stochastic second-order
 *     optimizer for language model pre-training</a>
 */
public final class Sophia {
  private Sophia() {}

  /**
   * One update, where {@link GlobalNorm} has decided the step. With {@code N} the targets of the
   * step, {@code g = grads · gradScale} and {@code lr} the learning rate times the segment's scale:
   *
   * <pre>
   * m ← beta1·m + (1-beta1)·g
   * w ← w·(1 - lr·weightDecay) - lr · clip(m / max(rho·N·h, eps), -1, 1)
   * grads ← 0
   * </pre>
   *
   * A skipped step clears the gradients and changes nothing else.
   *
   * @param m momentum, F32 [n]
   * @param h mean of the squared gradients that {@link #estimate} was given, F32 [n]
   */
  public static void step(
      FlatWeights flat, Tensor m, Tensor h, StepState state, float beta1, float rho, float eps) {
    Update.of("sophia", flat)
        .keeping("m", m)
        .keeping("h", h)
        .step(state, s -> formula(s, state, beta1, rho, eps), beta1, rho, eps);
  }

  private static SophiaCpu formula(Segment s, StepState state, float beta1, float rho, float eps) {
    double lr = (double) state.learningRate() * s.lrScale();
    float inverse = state.inverseTargets();
    return new SophiaCpu(
        state.gradScale(),
        (float) (1 - lr * s.weightDecay()),
        beta1,
        (float) lr,
        inverse > 0 ? (float) ((double) rho / inverse) : 0,
        eps);
  }

  /**
   * Takes up a Gauss-Newton-Bartlett estimate of the diagonal Hessian: {@code h ← beta2·h +
   * (1-beta2)·(grads/lossScale)²; grads ← 0}. Its factor N, the number of targets, is {@link
   * #step}'s. Elements whose estimate is not finite keep their h.
   *
   * @param h F32 [n]
   * @param grads of the mean loss, with targets drawn from the model's own distribution, F32 [n]
   */
  public static void estimate(Tensor h, Tensor grads, StepState state, float beta2) {
    Check.that("sophia")
        .dtype("h", h, DType.F32)
        .dtype("grads", grads, DType.F32)
        .sameShape("h", h, "grads", grads)
        .contiguous("h", h)
        .contiguous("grads", grads);
    long n = h.elements();
    switch (h.device()) {
      case Cpu cpu ->
          SophiaCpu.estimate(cpu, h.segment(), grads.segment(), 1 / state.lossScale(), beta2, n);
      case Cuda cuda -> SophiaCuda.estimate(cuda, h, grads, state, beta2, n);
    }
  }
}
