package dev.javelin.train.optim;

import dev.javelin.tensor.step.StepState;

/**
 * A rule that from time to time wants, before a step, the gradient of the same objective with
 * targets that are drawn from the model's own distribution: the Gauss-Newton-Bartlett estimate of
 * the diagonal Hessian is that gradient squared, times the number of targets.
 *
 * @see <a href="https://arxiv.org/abs/2305.14342">Liu et al. 2023, Sophia</a>, algorithm 2
 */
public interface Curvature {

  /**
   * Whether one is wanted before a step.
   *
   * @param step steps done so far
   */
  boolean wantsEstimate(long step);

  /**
   * Takes it: the gradients hold it, times the loss scale, and are zero afterwards. Takes no memory
   * and waits for nothing.
   */
  void estimate(StepState state);
}
