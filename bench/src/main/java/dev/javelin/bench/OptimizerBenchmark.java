package dev.javelin.bench;

import dev.javelin.device.Cpu;
import dev.javelin.nn.Grouping;
import dev.javelin.nn.Init;
import dev.javelin.nn.ParameterBuffer;
import dev.javelin.nn.Precision;
import dev.javelin.nn.Transformer;
import dev.javelin.tensor.Tensor;
import dev.javelin.tensor.op.Elementwise;
import dev.javelin.tensor.step.LossScaling;
import dev.javelin.tensor.step.StepState;
import dev.javelin.train.optim.GradientClip;
import dev.javelin.train.optim.Optimizer;
import dev.javelin.train.optim.Optimizers;
import java.util.Map;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.TearDown;

/**
 * Gradient, clipping and update of all weights of a model. The gradient is copied in each time,
 * since an update clears it: without one the moments would decay to denormal numbers.
 */
public class OptimizerBenchmark extends Timed {
  @Param({"adamw", "adamw8bit", "sgd", "lion", "muon", "adafactor", "lamb", "sophia"})
  public String rule;

  @Param({"llama-shakespeare-cpu", "llama-shakespeare"})
  public String model;

  private ParameterBuffer<Transformer> buffer;
  private Optimizer optimizer;
  private StepState state;

  @Setup
  public void allocate(Operands operands) {
    Cpu cpu = operands.cpu();
    buffer =
        Transformer.allocate(
            cpu,
            ModelCase.parse(model).config().withDropout(0),
            Precision.FP32,
            Grouping.decayMatrices(0.1f));
    Init.normal(buffer, 0);
    optimizer = Optimizers.create(rule, buffer, Map.of());
    state = StepState.on(cpu);
    state.begin(1, 0, 1e-6f, 1);
    Tensor gradients = buffer.gradients();
    Tensor drawn = operands.random(gradients.shape().toArray());
    GradientClip clip = GradientClip.byNorm(1, LossScaling.NONE);
    time(
        () -> {
          Elementwise.copy(gradients, drawn);
          clip.run(state, gradients);
          optimizer.step(state);
        });
  }

  @TearDown
  public void close() {
    optimizer.close();
    state.close();
    buffer.close();
  }
}
