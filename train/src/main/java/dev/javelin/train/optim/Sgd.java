package dev.javelin.train.optim;

import dev.javelin.nn.Trained;
import dev.javelin.tensor.step.StepState;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Stochastic gradient descent, with momentum or without; the formula stands at {@link
 * dev.javelin.tensor.op.Sgd}.
 *
 * @see <a href="https://proceedings.mlr.press/v28/sutskever13.html">Sutskever et al. 2013</a>
 */
public final class Sgd implements Optimizer {
  private final Trained trained;
  private final SgdConfig config;
  private final @Nullable FlatState velocity;

  public Sgd(Trained trained, SgdConfig config) {
    this.trained = trained;
    this.config = config;
    this.velocity =
        config.momentum() == 0 ? null : FlatState.likeWeights("momentum_buffer", trained);
  }

  @Override
  public void step(StepState state) {
    for (Trained.Part p : trained.parts()) {
      dev.javelin.tensor.op.Sgd.step(
          p.weights(),
          velocity == null ? null : p.of(velocity.buffer()),
          state,
          config.momentum(),
          config.dampening(),
          config.nesterov());
    }
  }

  @Override
  public List<FlatState> state() {
    return velocity == null ? List.of() : List.of(velocity);
  }
}
