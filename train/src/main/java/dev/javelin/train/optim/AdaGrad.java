package dev.javelin.train.optim;

import dev.javelin.nn.Trained;
import dev.javelin.tensor.op.Fill;
import dev.javelin.tensor.step.StepState;
import java.util.List;

/**
 * AdaGrad; the formula stands at {@link dev.javelin.tensor.op.AdaGrad}.
 *
 * @see <a href="https://jmlr.org/papers/v12/duchi11a.html">Duchi, Hazan and Singer 2011</a>
 */
public final class AdaGrad implements Optimizer {
  private final Trained trained;
  private final AdaGradConfig config;
  private final FlatState sum;

  public AdaGrad(Trained trained, AdaGradConfig config) {
    this.trained = trained;
    this.config = config;
    this.sum = FlatState.likeWeights("sum", trained);
    Fill.constant(sum.buffer(), config.initial());
  }

  @Override
  public void step(StepState state) {
    for (Trained.Part p : trained.parts()) {
      dev.javelin.tensor.op.AdaGrad.step(
          p.weights(), p.of(sum.buffer()), state, config.lrDecay(), config.eps());
    }
  }

  @Override
  public List<FlatState> state() {
    return List.of(sum);
  }
}
