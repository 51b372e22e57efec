package consumer;

import dev.javelin.device.Cpu;
import dev.javelin.nn.ParameterBuffer;
import dev.javelin.tensor.Grad;
import dev.javelin.tensor.Tensor;
import dev.javelin.tensor.op.Elementwise;
import dev.javelin.tensor.op.Fill;
import dev.javelin.tensor.step.StepState;
import dev.javelin.train.optim.FlatState;
import dev.javelin.train.optim.Optimizer;
import java.util.List;

/** {@code v ← mu·v + g, w ← w − lr·v}, of the engine's own operations; for fp32 weights. */
final class Momentum implements Optimizer {
  private final float mu;
  private final Tensor weights;
  private final Tensor gradients;
  private final FlatState velocity;
  private final FlatState product;

  Momentum(ParameterBuffer<?> parameters, float mu) {
    this.mu = mu;
    this.weights = parameters.weights();
    this.gradients = parameters.gradients();
    this.velocity = FlatState.likeWeights("velocity", parameters);
    this.product = FlatState.likeWeights("product", parameters);
  }

  @Override
  public void step(StepState state) {
    if (!(weights.device() instanceof Cpu && state.overflow())) {
      Tensor v = velocity.buffer();
      Elementwise.scale(v, v, mu);
      Elementwise.multiplyBackward(
          new Grad(v, true), null, gradients, gradients, state.gradScaleTensor());
      Elementwise.multiply(product.buffer(), v, state.learningRateTensor());
      Elementwise.subtract(weights, weights, product.buffer());
    }
    Fill.zero(gradients);
  }

  @Override
  public List<FlatState> state() {
    return List.of(velocity);
  }

  @Override
  public void close() {
    velocity.close();
    product.close();
  }
}
