package dev.javelin.train.optim;

import dev.javelin.nn.Trained;
import dev.javelin.tensor.step.StepState;
import java.util.List;
import java.util.Objects;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * RMSprop; the formula stands at {@link dev.javelin.tensor.op.RmsProp}.
 *
 * @see <a href="https://arxiv.org/abs/1308.0850">Graves 2013</a> for the centred form
 */
public final class RmsProp implements Optimizer {
  private final Trained trained;
  private final RmsPropConfig config;
  private final FlatState square;
  private final @Nullable FlatState mean;
  private final @Nullable FlatState velocity;

  public RmsProp(Trained trained, RmsPropConfig config) {
    this.trained = trained;
    this.config = config;
    this.square = FlatState.likeWeights("square_avg", trained);
    this.mean = config.centered() ? FlatState.likeWeights("grad_avg", trained) : null;
    this.velocity =
        config.momentum() == 0 ? null : FlatState.likeWeights("momentum_buffer", trained);
  }

  @Override
  public void step(StepState state) {
    for (Trained.Part p : trained.parts()) {
      dev.javelin.tensor.op.RmsProp.step(
          p.weights(),
          p.of(square.buffer()),
          mean == null ? null : p.of(mean.buffer()),
          velocity == null ? null : p.of(velocity.buffer()),
          state,
          config.alpha(),
          config.momentum(),
          config.eps());
    }
  }

  @Override
  public List<FlatState> state() {
    return Stream.of(square, mean, velocity).filter(Objects::nonNull).toList();
  }
}
