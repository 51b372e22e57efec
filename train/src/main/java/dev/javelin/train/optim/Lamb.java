package dev.javelin.train.optim;

import dev.javelin.nn.Trained;
import dev.javelin.tensor.step.StepState;
import java.util.List;

/**
 * LAMB, which scales each parameter's step to its norm; the formula stands at {@link
 * dev.javelin.tensor.op.Lamb}.
 *
 * @see <a href="https://arxiv.org/abs/1904.00962">You et al. 2019, LAMB</a>
 */
public final class Lamb implements Optimizer {
  private final Trained trained;
  private final LambConfig config;
  private final FlatState moment1;
  private final FlatState moment2;

  public Lamb(Trained trained, LambConfig config) {
    this.trained = trained;
    this.config = config;
    this.moment1 = FlatState.likeWeights("exp_avg", trained);
    this.moment2 = FlatState.likeWeights("exp_avg_sq", trained);
  }

  @Override
  public void step(StepState state) {
    for (Trained.Part p : trained.parts()) {
      dev.javelin.tensor.op.Lamb.step(
          p.parameters(),
          p.of(moment1.buffer()),
          p.of(moment2.buffer()),
          state,
          config.beta1(),
          config.beta2(),
          config.eps());
    }
  }

  @Override
  public List<FlatState> state() {
    return List.of(moment1, moment2);
  }
}
