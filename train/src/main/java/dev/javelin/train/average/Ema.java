package dev.javelin.train.average;

import dev.javelin.nn.ParameterBuffer;
import dev.javelin.nn.Weights;
import dev.javelin.tensor.Grad;
import dev.javelin.tensor.Parameter;
import dev.javelin.tensor.Tensor;
import dev.javelin.tensor.io.FileFormatException;
import dev.javelin.tensor.io.Safetensors;
import dev.javelin.tensor.op.Elementwise;
import dev.javelin.tensor.step.StepState;
import dev.javelin.train.hook.StandIn;
import dev.javelin.train.hook.StepHook;
import dev.javelin.train.optim.FlatState;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * The exponential moving average of the trained weights, in fp32 beside them. After the t-th step
 * (from 0):
 *
 * <pre>
 * d = min(decay, (1 + t)/(10 + t))        ema ← d·ema + (1 − d)·w
 * </pre>
 *
 * The smaller decay of the first steps lets it forget the weights that the run began with. At each
 * evaluation it stands in for the weights once more: {@code ema_eval_loss}. Each checkpoint holds
 * it as {@value #FILE}. It takes 4 bytes a parameter, and a copy of the weights during an
 * evaluation.
 *
 * @see <a href="https://arxiv.org/abs/1706.03762">Attention is all you need</a>, which averages
 *     checkpoints, and <a href="https://doi.org/10.1137/0330046">Polyak and Juditsky 1992</a>
 */
public final class Ema implements StepHook {
  /** Its file in a checkpoint: F32, under the names that the model's weights have in files. */
  public static final String FILE = "ema.safetensors";

  private static final String LOSS = "ema_eval_loss";
  private static final String STEPS = "steps";

  private final ParameterBuffer<?> parameters;
  private final double decay;
  private final FlatState average;
  private long steps; // averaged so far

  /**
   * @param decay of the average a step, such as 0.999; in [0, 1)
   */
  public Ema(ParameterBuffer<?> parameters, double decay) {
    if (!(decay >= 0 && decay < 1)) {
      throw new IllegalArgumentException("the decay must lie in [0, 1), got " + decay);
    }
    this.parameters = parameters;
    this.decay = decay;
    this.average = FlatState.likeWeights("ema", parameters);
    for (ParameterBuffer.Flat flat : parameters.flats()) {
      Elementwise.copy(flat.part(average.buffer()), precise(flat));
    }
  }

  @Override
  public String name() {
    return "ema";
  }

  @Override
  public void updated(StepState state) {
    double d = Math.min(decay, (1.0 + steps) / (10.0 + steps));
    steps++;
    for (ParameterBuffer.Flat flat : parameters.flats()) {
      Tensor ema = flat.part(average.buffer());
      Elementwise.scale(ema, ema, (float) d);
      // The gradient of a scaling is what adds a multiple: ema += (1 - d)·w.
      Elementwise.scaleBackward(new Grad(ema, true), precise(flat), (float) (1 - d));
    }
  }

  private static Tensor precise(ParameterBuffer.Flat flat) {
    return flat.master() == null ? flat.weights() : flat.master();
  }

  @Override
  public StandIn standIn() {
    List<Tensor> trained = new ArrayList<>();
    for (ParameterBuffer.Flat flat : parameters.flats()) {
      Tensor weights = flat.weights();
      var memory = weights.device().allocate(weights.dtype().bytes(weights.elements()));
      Tensor copy = Tensor.of(memory, 0, weights.dtype(), weights.shape());
      copy.copyFrom(weights);
      trained.add(copy);
      Elementwise.copy(weights, flat.part(average.buffer()));
    }
    return new StandIn() {
      @Override
      public String key() {
        return LOSS;
      }

      @Override
      public void close() {
        for (int i = 0; i < trained.size(); i++) {
          parameters.flats().get(i).weights().copyFrom(trained.get(i));
          trained.get(i).memory().close();
        }
      }
    };
  }

  @Override
  public Map<String, double[]> save() {
    return Map.of(STEPS, new double[] {steps});
  }

  @Override
  public void restore(Map<String, double[]> saved) {
    steps = (long) Objects.requireNonNull(saved.get(STEPS))[0];
  }

  @Override
  public void write(Path directory) {
    Safetensors.write(
        directory.resolve(FILE), Map.of("format", "pt"), Weights.items(parameters, "", this::part));
  }

  /**
   * Reads the average of a checkpoint.
   *
   * @throws FileFormatException where it has none, or that of another model
   */
  @Override
  public void read(Path directory) {
    Path file = directory.resolve(FILE);
    if (!Files.exists(file)) {
      throw new FileFormatException(
          file,
          "there is no average of weights: the run had none when this checkpoint was written",
          "resume without --ema-decay");
    }
    try (Safetensors tensors = Safetensors.open(file)) {
      Weights.read(parameters, tensors, "", this::part);
    }
  }

  private @Nullable Tensor part(Parameter p) {
    return p.group().frozen() ? null : parameters.part(average.buffer(), p);
  }

  @Override
  public void close() {
    average.close();
  }
}
