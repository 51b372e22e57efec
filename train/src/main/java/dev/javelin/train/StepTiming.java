package dev.javelin.train;

import dev.javelin.device.Device;
import dev.javelin.nn.TransformerConfig;
import dev.javelin.train.data.Dataset;
import dev.javelin.train.estimate.StepTime;
import dev.javelin.train.settings.RunSettings;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * The time of a step from steps of the same model with one layer and with three, on the device of
 * the run, of a few sequences:
 *
 * <pre>
 * pass(L) = pass(1) + (L − 1) · (pass(3) − pass(1)) / 2        of the tokens tried
 * step    = A · pass(L) · tokens / tokens tried + update(1) · parameters / parameters(1)
 * </pre>
 *
 * Everything that a step does is in it at its own sizes: products, attention, norms, the head, the
 * optimizer. What differs are the number of rows of the products, and weights that are zeros.
 */
final class StepTiming {
  private static final int TOKENS = 1024;
  private static final double MOST_FLOPS = 5e10; // of a pass that is tried
  private static final int FEWEST_TOKENS = 64;
  private static final int LAYERS = 3;
  private static final double WINDOW_SECONDS = 1;
  private static final int FEWEST = 5; // steps of a window
  private static final double GAIN = 0.95; // less than that and a window is faster than the last
  private static final int STEADY = 2; // windows in a row that are no faster
  private static final double MOST_SECONDS = 15;

  private StepTiming() {}

  /** A model of some layers, ready to step. */
  private record Tried(LanguageModel model, Task task, Trainer trainer, long trained)
      implements AutoCloseable {
    @Override
    public void close() {
      trainer.close();
      task.close();
      model.close();
    }
  }

  /** {@code null} where it cannot be told: for objectives that read another model. */
  static @Nullable StepTime of(Plan plan, RunSettings config, Device device) {
    if (!config.objective().objective().equals("next-token") || !plan.data().train().isText()) {
      return null;
    }
    long start = System.nanoTime();
    TransformerConfig shape = Run.fitted(config, plan.name(), null, plan.shape(), plan.data());
    int layers = shape.layers();
    RunSettings few = few(config, shape);
    double share = (double) config.batch().tokens() / config.batch().gradientAccumulationSteps();
    share /= few.batch().batchSize() * (double) few.batch().seqLen();
    Dataset blank = plan.endless().data();
    int more = Math.min(LAYERS, layers);
    try (Tried one = tried(few, device, shape.withLayers(1), blank);
        Tried three = tried(few, device, shape.withLayers(more), blank)) {
      List<double[]> ones = new ArrayList<>();
      List<double[]> threes = new ArrayList<>();
      settle(one.trainer.training, three.trainer.training, ones, threes);
      double pass = median(ones, 0);
      double layer = more == 1 ? 0 : (median(threes, 0) - pass) / (more - 1);
      double perTrained = more == 1 ? 0 : (double) (three.trained - one.trained) / (more - 1);
      double update = median(threes, 1) / three.trained;
      double seconds =
          config.batch().gradientAccumulationSteps() * share * (pass + (layers - 1) * layer)
              + update * (one.trained + (layers - 1) * perTrained);
      double tried = (System.nanoTime() - start) * 1e-9;
      return new StepTime(seconds, config.batch().tokens(), tried);
    }
  }

  /**
   * Does steps of both until their times no longer fall: Java compiles what it runs for several
   * seconds. What is left in the lists is the last window.
   */
  private static void settle(
      TrainingStep one, TrainingStep three, List<double[]> ones, List<double[]> threes) {
    long most = System.nanoTime() + (long) (MOST_SECONDS * 1e9);
    double fastest = Double.POSITIVE_INFINITY;
    int steady = 0;
    do {
      ones.clear();
      threes.clear();
      long end = System.nanoTime() + (long) (WINDOW_SECONDS * 1e9);
      while (ones.size() < FEWEST || System.nanoTime() < end) {
        ones.add(one.time());
        threes.add(three.time());
      }
      double now = median(ones, 0) + median(threes, 0);
      steady = now < GAIN * fastest ? 0 : steady + 1;
      fastest = Math.min(fastest, now);
    } while (steady < STEADY && System.nanoTime() < most);
  }

  /** As many tokens as are quick to try, in sequences of the same length where that goes. */
  private static RunSettings few(RunSettings config, TransformerConfig shape) {
    int seqLen = config.batch().seqLen();
    int rows = Math.clamp(Math.round((double) TOKENS / seqLen), 1, config.batch().batchSize());
    double block =
        (double) shape.hidden() * (shape.qkvWidth() + shape.heads() * shape.headDim())
            + (shape.mlp().gated() ? 3.0 : 2.0) * shape.hidden() * shape.ffn();
    double weights = LAYERS * block + (double) shape.vocab() * shape.hidden();
    while (6 * weights * rows * seqLen > MOST_FLOPS && (rows > 1 || seqLen > FEWEST_TOKENS)) {
      if (rows > 1) {
        rows = rows / 2;
      } else {
        seqLen = Math.max(FEWEST_TOKENS, seqLen / 2);
      }
    }
    int b = rows;
    int t = seqLen;
    return config.withBatch(
        s -> s.withBatchSize(b).withSeqLen(t).withGradientAccumulationSteps(2)); // an update apart
  }

  private static Tried tried(
      RunSettings config, Device device, TransformerConfig shape, Dataset data) {
    boolean adapters = config.adapter().isOn();
    LanguageModel model =
        LanguageModel.empty(
            device,
            shape,
            config.device().precision(),
            adapters ? config.model().quantize().frozen() : config.optimizer().groups(),
            data.tokenizer());
    if (adapters) {
      model =
          model.with(
              Adaptation.open(
                  model.parameters(),
                  config.device().precision(),
                  config.adapter(),
                  config.optimizer(),
                  1,
                  Path.of(""),
                  null));
    }
    Task task = TextTraining.task(model, data, config);
    Trainer trainer = TextTraining.of(model, task, config, null).trainer();
    return new Tried(model, task, trainer, model.trained().size());
  }

  private static double median(List<double[]> times, int part) {
    double[] sorted = times.stream().mapToDouble(t -> t[part]).sorted().toArray();
    return sorted[sorted.length / 2];
  }
}
