package dev.javelin.train;

import dev.javelin.device.Device;
import dev.javelin.nn.Grouping;
import dev.javelin.nn.ParameterBuffer;
import dev.javelin.nn.Precision;
import dev.javelin.nn.Weights;
import dev.javelin.tensor.Parameter;
import dev.javelin.tensor.io.FileFormatException;
import dev.javelin.tensor.io.Safetensors;
import dev.javelin.train.average.Ema;
import dev.javelin.train.data.InputException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;

/**
 * The mean of several checkpoints of one model, summed in double and rounded once: {@code w = (w₁ +
 * … + w_K)/K}. Checkpoints of a run near its end lie around a minimum that their mean is closer to.
 *
 * @see <a href="https://arxiv.org/abs/1803.05407">Averaging weights leads to wider optima</a>
 */
public final class CheckpointAverage {
  private CheckpointAverage() {}

  /**
   * The mean as a model, with tokenizer and companions of the last; the caller closes it. One model
   * is in memory at a time, beside 8 bytes a parameter for the sum.
   *
   * @param checkpoints directories, at least one
   * @param precision of the mean
   * @throws InputException where one is an adapter, or another model than the first
   */
  public static LanguageModel of(Device device, List<Path> checkpoints, Precision precision) {
    Map<String, double[]> sums = new LinkedHashMap<>();
    String shape = null;
    for (Path checkpoint : checkpoints) {
      if (LanguageModel.isAdapter(checkpoint)) {
        throw new InputException(
            "%s is an adapter, and the mean of adapters is no mean of models: javelin merge each of them first"
                .formatted(checkpoint));
      }
      try (LanguageModel model = LanguageModel.load(device, checkpoint)) {
        String its = LanguageModel.describe(model.config(), Precision.FP32);
        if (shape != null && !its.equals(shape)) {
          throw new InputException(
              "%s holds another model (%s) than %s (%s): average checkpoints of one model"
                  .formatted(checkpoint, its, checkpoints.getFirst(), shape));
        }
        shape = its;
        add(model.parameters(), sums);
      }
    }
    LanguageModel mean = last(device, checkpoints.getLast(), precision);
    for (Parameter p : mean.parameters().named().values()) {
      double[] sum = Objects.requireNonNull(sums.get(p.name()), p.name());
      float[] values = new float[sum.length];
      for (int i = 0; i < sum.length; i++) {
        values[i] = (float) (sum[i] / checkpoints.size());
      }
      mean.parameters().put(p, 0, values, values.length);
    }
    return mean;
  }

  private static LanguageModel last(Device device, Path directory, Precision precision) {
    return LanguageModel.load(
        device,
        directory,
        LanguageModel.readConfig(directory),
        precision,
        Grouping.frozen(),
        LanguageModel.tokenizer(directory));
  }

  private static void add(ParameterBuffer<?> parameters, Map<String, double[]> sums) {
    for (Parameter p : parameters.named().values()) {
      float[] values = parameters.values(p);
      double[] sum = sums.computeIfAbsent(p.name(), name -> new double[values.length]);
      for (int i = 0; i < values.length; i++) {
        sum[i] += values[i];
      }
    }
  }

  /**
   * The moving average that a checkpoint of {@code --ema-decay} holds, as a model; the caller
   * closes it.
   *
   * @throws FileFormatException where it holds none
   */
  public static LanguageModel ema(Device device, Path checkpoint, Precision precision) {
    Path file = checkpoint.resolve(Ema.FILE);
    if (!Files.isRegularFile(file)) {
      throw new FileFormatException(
          file,
          "there is no moving average of weights in this checkpoint",
          "train with --ema-decay 0.999, or average checkpoints");
    }
    if (LanguageModel.isAdapter(checkpoint)) {
      throw new InputException(
          "%s holds the average of an adapter; averages of whole models can be written only"
              .formatted(checkpoint));
    }
    LanguageModel model = last(device, checkpoint, precision);
    try (LanguageModel exact = last(device, checkpoint, Precision.FP32);
        Safetensors tensors = Safetensors.open(file)) {
      Weights.read(exact.parameters(), tensors, "", Parameter::value);
      for (Parameter p : model.parameters().named().values()) {
        float[] values = exact.parameters().values(exact.parameters().get(p.name()));
        model.parameters().put(p, 0, values, values.length);
      }
      return model;
    } catch (RuntimeException | Error e) {
      model.close();
      throw e;
    }
  }
}
