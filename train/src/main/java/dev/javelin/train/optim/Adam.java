package dev.javelin.train.optim;

import dev.javelin.nn.Trained;
import dev.javelin.tensor.step.StepState;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Adam, whose weight decay is part of the gradient; the formula stands at {@link
 * dev.javelin.tensor.op.Adam}.
 *
 * @see <a href="https://arxiv.org/abs/1412.6980">Kingma and Ba 2014, Adam</a>
 */
public final class Adam implements Optimizer {
  private final Trained trained;
  private final AdamConfig config;
  private final FlatState moment1;
  private final FlatState moment2;
  private final @Nullable FlatState largest;

  public Adam(Trained trained, AdamConfig config) {
    this.trained = trained;
    this.config = config;
    this.moment1 = FlatState.likeWeights("exp_avg", trained);
    this.moment2 = FlatState.likeWeights("exp_avg_sq", trained);
    this.largest = config.amsgrad() ? FlatState.likeWeights("max_exp_avg_sq", trained) : null;
  }

  @Override
  public void step(StepState state) {
    for (Trained.Part p : trained.parts()) {
      dev.javelin.tensor.op.Adam.step(
          p.weights(),
          p.of(moment1.buffer()),
          p.of(moment2.buffer()),
          largest == null ? null : p.of(largest.buffer()),
          state,
          config.beta1(),
          config.beta2(),
          config.eps());
    }
  }

  @Override
  public List<FlatState> state() {
    return largest == null ? List.of(moment1, moment2) : List.of(moment1, moment2, largest);
  }
}
