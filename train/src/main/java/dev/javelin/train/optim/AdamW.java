package dev.javelin.train.optim;

import dev.javelin.nn.ParameterBuffer;
import dev.javelin.nn.Trained;
import dev.javelin.tensor.step.StepState;
import java.util.List;

/**
 * Adam with decoupled weight decay; the formula stands at {@link dev.javelin.tensor.op.AdamW}.
 *
 * @see <a href="https://arxiv.org/abs/1711.05101">Decoupled weight decay regularization</a>
 */
public final class AdamW implements Optimizer, EpsilonScale.Scaled {
  private final Trained trained;
  private final AdamWConfig config;
  private final FlatState moment1;
  private final FlatState moment2;
  private final EpsilonScale epsilonScale;

  public AdamW(ParameterBuffer<?> parameters, AdamWConfig config) {
    this(parameters.trained(), config);
  }

  public AdamW(Trained trained, AdamWConfig config) {
    this.trained = trained;
    this.config = config;
    this.moment1 = FlatState.likeWeights("exp_avg", trained);
    this.moment2 = FlatState.likeWeights("exp_avg_sq", trained);
    this.epsilonScale = new EpsilonScale(trained.device());
  }

  @Override
  public void step(StepState state) {
    for (Trained.Part p : trained.parts()) {
      dev.javelin.tensor.op.AdamW.step(
          p.weights(),
          p.of(moment1.buffer()),
          p.of(moment2.buffer()),
          state,
          config.beta1(),
          config.beta2(),
          config.epsilon(),
          epsilonScale.tensor());
    }
  }

  @Override
  public EpsilonScale epsilonScale() {
    return epsilonScale;
  }

  @Override
  public List<FlatState> state() {
    return List.of(moment1, moment2);
  }

  @Override
  public void close() {
    Optimizer.super.close();
    epsilonScale.close();
  }
}
