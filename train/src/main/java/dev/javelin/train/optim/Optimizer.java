package dev.javelin.train.optim;

import dev.javelin.device.DType;
import dev.javelin.device.Device;
import dev.javelin.device.Memory;
import dev.javelin.nn.HuggingFace;
import dev.javelin.nn.ParameterBuffer;
import dev.javelin.nn.Transformer;
import dev.javelin.tensor.Tensor;
import dev.javelin.tensor.io.Safetensors;
import dev.javelin.tensor.op.AdamW;
import dev.javelin.tensor.op.GlobalNorm;
import dev.javelin.tensor.step.LossScaling;
import dev.javelin.tensor.step.StepState;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * AdamW over the flat buffers of a model, with its moments: global norm, clipping, the decision to
 * skip, the update, and clearing the gradients. All of it reads and writes {@link StepState}, so
 * the same call serves every step.
 */
public final class Optimizer implements AutoCloseable {
  public static final String FILE = "optimizer.safetensors";
  private static final String MASTER = "master.";
  private static final String MOMENT1 = "exp_avg.";
  private static final String MOMENT2 = "exp_avg_sq.";

  private final ParameterBuffer<Transformer> parameters;
  private final AdamWConfig config;
  private final LossScaling scaling;
  private final Memory memory1;
  private final Memory memory2;
  private final Tensor weights;
  private final @Nullable Tensor master;
  private final Tensor gradients;
  private final Tensor moment1; // f32, laid out as the weights
  private final Tensor moment2;

  public Optimizer(
      Device device,
      ParameterBuffer<Transformer> parameters,
      AdamWConfig config,
      LossScaling scaling) {
    this.parameters = parameters;
    this.config = config;
    this.scaling = scaling;
    this.weights = parameters.weights();
    this.master = parameters.master();
    this.gradients = parameters.gradients();
    long bytes = DType.F32.bytes(weights.elements());
    this.memory1 = device.allocate(bytes);
    this.memory2 = device.allocate(bytes);
    this.moment1 = Tensor.of(memory1, 0, DType.F32, parameters.flat());
    this.moment2 = Tensor.of(memory2, 0, DType.F32, parameters.flat());
  }

  /**
   * Ends a step: the weights move, or stay where the gradient was not finite; the gradients are
   * zero afterwards.
   */
  public void step(StepState state) {
    GlobalNorm.run(state, gradients, config.gradNorm(), config.maxGradNorm(), scaling);
    if (config.maxGradValue() < Float.POSITIVE_INFINITY) {
      GlobalNorm.clipValues(state, gradients, config.maxGradValue());
    }
    AdamW.step(
        weights,
        master,
        moment1,
        moment2,
        gradients,
        parameters.segments(),
        state,
        config.beta1(),
        config.beta2(),
        config.eps());
  }

  /** Writes masters (of half weights) and moments under the parameters' Hugging Face names. */
  public void save(Path directory) {
    List<Safetensors.Item> items = new ArrayList<>();
    if (master != null) {
      Tensor m = master;
      items.addAll(HuggingFace.items(parameters, MASTER, p -> parameters.part(m, p)));
    }
    items.addAll(HuggingFace.items(parameters, MOMENT1, p -> parameters.part(moment1, p)));
    items.addAll(HuggingFace.items(parameters, MOMENT2, p -> parameters.part(moment2, p)));
    Safetensors.write(directory.resolve(FILE), Map.of("format", "pt"), items);
  }

  /**
   * Reads what {@link #save} wrote.
   *
   * @throws dev.javelin.tensor.io.FileFormatException where it does not fit this model and
   *     precision
   */
  public void load(Path directory) {
    try (Safetensors file = Safetensors.open(directory.resolve(FILE))) {
      if (master != null) {
        Tensor m = master;
        HuggingFace.read(parameters, file, MASTER, p -> parameters.part(m, p));
      }
      HuggingFace.read(parameters, file, MOMENT1, p -> parameters.part(moment1, p));
      HuggingFace.read(parameters, file, MOMENT2, p -> parameters.part(moment2, p));
    }
  }

  @Override
  public void close() {
    memory1.close();
    memory2.close();
  }
}
