package dev.javelin.train.optim;

import dev.javelin.nn.Trained;
import dev.javelin.tensor.step.StepState;
import java.util.List;

/**
 * Sophia-G, which divides by an estimate of the loss's curvature; the formula stands at {@link
 * dev.javelin.tensor.op.Sophia}.
 *
 * @see <a href="https://arxiv.org/abs/2305.14342">Liu et al. 2023, Sophia</a>
 */
public final class Sophia implements Optimizer, Curvature {
  private final Trained trained;
  private final SophiaConfig config;
  private final FlatState momentum;
  private final FlatState hessian;

  public Sophia(Trained trained, SophiaConfig config) {
    this.trained = trained;
    this.config = config;
    this.momentum = FlatState.likeWeights("exp_avg", trained);
    this.hessian = FlatState.likeWeights("hessian", trained);
  }

  @Override
  public void step(StepState state) {
    for (Trained.Part p : trained.parts()) {
      dev.javelin.tensor.op.Sophia.step(
          p.weights(),
          p.of(momentum.buffer()),
          p.of(hessian.buffer()),
          state,
          config.beta1(),
          config.rho(),
          config.eps());
    }
  }

  @Override
  public boolean wantsEstimate(long step) {
    return step % config.interval() == 0;
  }

  @Override
  public void estimate(StepState state) {
    for (Trained.Part p : trained.parts()) {
      dev.javelin.tensor.op.Sophia.estimate(
          p.of(hessian.buffer()), p.weights().grads(), state, config.beta2());
    }
  }

  @Override
  public List<FlatState> state() {
    return List.of(momentum, hessian);
  }
}
