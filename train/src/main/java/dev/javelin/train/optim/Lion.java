package dev.javelin.train.optim;

import dev.javelin.nn.Trained;
import dev.javelin.tensor.step.StepState;
import java.util.List;

/**
 * Lion, whose steps are all of one length; the formula stands at {@link
 * dev.javelin.tensor.op.Lion}.
 *
 * @see <a href="https://arxiv.org/abs/2302.06675">Chen et al. 2023, Lion</a>
 */
public final class Lion implements Optimizer {
  private final Trained trained;
  private final LionConfig config;
  private final FlatState momentum;

  public Lion(Trained trained, LionConfig config) {
    this.trained = trained;
    this.config = config;
    this.momentum = FlatState.likeWeights("exp_avg", trained);
  }

  @Override
  public void step(StepState state) {
    for (Trained.Part p : trained.parts()) {
      dev.javelin.tensor.op.Lion.step(
          p.weights(), p.of(momentum.buffer()), state, config.beta1(), config.beta2());
    }
  }

  @Override
  public List<FlatState> state() {
    return List.of(momentum);
  }
}
