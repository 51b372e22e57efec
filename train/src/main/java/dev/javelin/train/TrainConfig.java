package dev.javelin.train;

import dev.javelin.kernels.VectorNorm;
import dev.javelin.tensor.step.LossScaling;
import dev.javelin.train.data.InputException;
import dev.javelin.train.optim.AdamWConfig;
import dev.javelin.train.optim.GradientClip;
import dev.javelin.train.schedule.Decay;
import dev.javelin.train.schedule.Schedule;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/**
 * The settings of a training run. Each field is at once a flag of {@code javelin train}, a key of a
 * YAML file (the same name in snake_case) and a default; further names of an option are the
 * spellings of Hugging Face and nanoGPT. {@link #resolved} fills in what depends on other settings.
 *
 * <p>The hundreds of {@code order} are the groups of {@code --help}.
 */
public final class TrainConfig {
  /** The model of a run that names none. */
  public static final String DEFAULT_MODEL = "llama-small";

  public static final int MOST_THREADS = 1024;

  /** The numbers weights and activations are stored in; masters and moments are always fp32. */
  public enum Number {
    FP32,
    BF16,
    FP16
  }

  /** The shape of the learning rate over the steps. */
  public enum Scheduler {
    COSINE,
    LINEAR,
    CONSTANT,
    WSD,
    INVERSE_SQRT
  }

  /** The order in which the windows of the data are read. */
  public enum Order {
    SHUFFLED,
    SEQUENTIAL
  }

  @Option(
      names = {"--model", "--model-name-or-path"},
      order = 100,
      paramLabel = "NAME|DIR",
      description = "A preset (--list-models) or a Hugging Face directory.")
  public String model = DEFAULT_MODEL;

  @Option(
      names = {"--data", "--dataset", "--train-file"},
      order = 101,
      arity = "1..*",
      paramLabel = "PATH",
      description = "Text or token files; without it the text that comes with Javelin.")
  public List<Path> data = new ArrayList<>();

  @Option(
      names = {"--val-data", "--validation-file"},
      order = 102,
      arity = "1..*",
      paramLabel = "PATH",
      description = "Text or token files for validation.")
  public List<Path> valData = new ArrayList<>();

  @Option(
      names = "--val-fraction",
      order = 103,
      paramLabel = "F",
      description = "Part at the end of --data kept for validation (0, or 0.1 for the own text).")
  public @Nullable Double valFraction;

  @Option(
      names = {"--tokenizer", "--tokenizer-name"},
      order = 104,
      paramLabel = "byte|char|bpe|DIR",
      description = "The model's own by default.")
  public @Nullable String tokenizer;

  @Option(
      names = "--order",
      order = 105,
      paramLabel = "shuffled|sequential",
      description = "Order of the windows.")
  public Order order = Order.SHUFFLED;

  @Option(
      names = {"--seed", "--data-seed"},
      order = 106,
      paramLabel = "N",
      description = "Seeds weights, order and dropout.")
  public long seed = 1;

  @Option(
      names = {"--dropout", "--resid-pdrop"},
      order = 107,
      paramLabel = "P",
      description = "Of embedding and residual stream, in place of all the model's own.")
  public @Nullable Double dropout;

  @Option(
      names = {"--recompute", "--gradient-checkpointing"},
      order = 108,
      arity = "0..1",
      fallbackValue = "true",
      description = "Recompute each block in backward: less memory, a third more time.")
  public boolean recompute;

  @Option(
      names = {"--max-steps", "--max-iters"},
      order = 200,
      paramLabel = "N",
      description = "Optimizer steps.")
  public int maxSteps = 1000;

  @Option(
      names = {"--batch-size", "--per-device-train-batch-size", "--micro-batch-size"},
      order = 201,
      paramLabel = "N",
      description = "Sequences in a micro-batch.")
  public int batchSize = 8;

  @Option(
      names = {"--seq-len", "--block-size", "--max-seq-length", "--max-length"},
      order = 202,
      paramLabel = "N",
      description = "Tokens in a sequence.")
  public int seqLen = 128;

  @Option(
      names = {"--gradient-accumulation-steps", "--grad-accum-steps"},
      order = 203,
      paramLabel = "N",
      description = "Micro-batches in a step.")
  public int gradientAccumulationSteps = 1;

  @Option(
      names = {"--learning-rate", "--lr"},
      order = 300,
      paramLabel = "LR",
      description = "The largest learning rate.")
  public double learningRate = 1e-3;

  @Option(
      names = {"--min-learning-rate", "--min-lr"},
      order = 301,
      paramLabel = "LR",
      description = "Where the schedule ends (a tenth of --learning-rate).")
  public @Nullable Double minLearningRate;

  @Option(
      names = {"--lr-scheduler", "--lr-scheduler-type"},
      order = 302,
      paramLabel = "NAME",
      description = "cosine, linear, constant, wsd or inverse-sqrt.")
  public Scheduler lrScheduler = Scheduler.COSINE;

  @Option(
      names = {"--warmup-steps", "--warmup-iters"},
      order = 303,
      paramLabel = "N",
      description = "Steps of linear warm-up (a twentieth of --max-steps).")
  public @Nullable Integer warmupSteps;

  @Option(
      names = {"--lr-decay-steps", "--lr-decay-iters"},
      order = 304,
      paramLabel = "N",
      description = "The step at which the schedule ends (--max-steps).")
  public @Nullable Integer lrDecaySteps;

  @Option(
      names = {"--wsd-decay-steps", "--num-decay-steps"},
      order = 305,
      paramLabel = "N",
      description = "Steps of the decay of wsd (a fifth of the schedule).")
  public @Nullable Integer wsdDecaySteps;

  @Option(
      names = {"--wsd-decay-shape", "--decay-type"},
      order = 306,
      paramLabel = "NAME",
      description = "linear, cosine or sqrt.")
  public Decay wsdDecayShape = Decay.LINEAR;

  @Option(names = "--weight-decay", order = 307, paramLabel = "W", description = "Decoupled.")
  public float weightDecay = 0.1f;

  @Option(
      names = "--decay-all",
      order = 308,
      arity = "0..1",
      fallbackValue = "true",
      description = "Decay vectors (norms, biases) too, not only matrices.")
  public boolean decayAll;

  @Option(
      names = {"--adam-beta1", "--beta1"},
      order = 309,
      paramLabel = "B",
      description = "Decay of the first moment.")
  public float adamBeta1 = 0.9f;

  @Option(
      names = {"--adam-beta2", "--beta2"},
      order = 310,
      paramLabel = "B",
      description = "Decay of the second moment.")
  public float adamBeta2 = 0.95f;

  @Option(
      names = {"--adam-epsilon", "--adam-eps"},
      order = 311,
      paramLabel = "E",
      description = "Added to the root of the second moment.")
  public float adamEpsilon = 1e-8f;

  @Option(
      names = {"--max-grad-norm", "--grad-clip"},
      order = 312,
      paramLabel = "N",
      description = "Global norm to clip at; 0 for none.")
  public float maxGradNorm = 1;

  @Option(
      names = "--grad-norm-type",
      order = 313,
      paramLabel = "l1|l2|max",
      description = "How --max-grad-norm measures.")
  public VectorNorm gradNormType = VectorNorm.L2;

  @Option(
      names = "--max-grad-value",
      order = 314,
      paramLabel = "N",
      description = "Bound on each element of the gradient; 0 for none.")
  public float maxGradValue;

  @Option(
      names = {"--precision", "--dtype"},
      order = 400,
      paramLabel = "fp32|bf16|fp16",
      description = "Storage of weights and activations.")
  public Number precision = Number.FP32;

  @Option(
      names = "--device",
      order = 401,
      paramLabel = Devices.NAMES,
      description = "Where to compute; auto takes a GPU that can run the model, else the CPU.")
  public String device = "auto";

  @Option(
      names = {"--threads", "--num-threads"},
      order = 402,
      paramLabel = "N",
      description = "Threads (all cores); the result does not depend on it.")
  public @Nullable Integer threads;

  @Option(
      names = {"--eval-every", "--eval-steps", "--eval-interval"},
      order = 500,
      paramLabel = "N",
      description = "Steps between evaluations; 0 for none but the last.")
  public int evalEvery = 200;

  @Option(
      names = {"--eval-batches", "--eval-iters"},
      order = 501,
      paramLabel = "N",
      description = "Batches in an evaluation; 0 for all.")
  public int evalBatches;

  @Option(
      names = {"--save-every", "--save-steps"},
      order = 502,
      paramLabel = "N",
      description = "Steps between checkpoints; 0 for none but the last.")
  public int saveEvery = 500;

  @Option(
      names = {"--keep", "--save-total-limit"},
      order = 503,
      paramLabel = "N",
      description = "Checkpoints to keep beside the best and the last; 0 for all.")
  public int keep = 3;

  @Option(
      names = {"--resume", "--resume-from-checkpoint"},
      order = 504,
      arity = "0..1",
      fallbackValue = "auto",
      paramLabel = "auto|DIR",
      description = "Go on from the newest whole checkpoint of the output directory, or from DIR.")
  public @Nullable String resume;

  @Option(
      names = {"--output-dir", "--out-dir"},
      order = 600,
      paramLabel = "DIR",
      description = "The run's directory (out, or out-2 … where that holds a run).")
  public @Nullable Path outputDir;

  @Option(
      names = {"--logging-steps", "--log-interval"},
      order = 601,
      paramLabel = "N",
      description = "Steps between lines of metrics.jsonl.")
  public int loggingSteps = 10;

  @Option(
      names = {"--quiet", "--disable-tqdm"},
      order = 602,
      arity = "0..1",
      fallbackValue = "true",
      description = "No progress on the screen.")
  public boolean quiet;

  @Option(names = "--bf16", hidden = true, arity = "0..1", fallbackValue = "true")
  void bf16(boolean on) {
    precision = on ? Number.BF16 : precision;
  }

  @Option(names = "--fp16", hidden = true, arity = "0..1", fallbackValue = "true")
  void fp16(boolean on) {
    precision = on ? Number.FP16 : precision;
  }

  /** Fills in what was left open and checks every number, the first wrong one by its flag. */
  public TrainConfig resolved() {
    require(maxSteps >= 1, "--max-steps must be at least 1, got " + maxSteps);
    require(batchSize >= 1, "--batch-size must be at least 1, got " + batchSize);
    require(seqLen >= 1, "--seq-len must be at least 1, got " + seqLen);
    require(
        gradientAccumulationSteps >= 1,
        "--gradient-accumulation-steps must be at least 1, got " + gradientAccumulationSteps);
    require(
        learningRate >= 0 && learningRate < Double.POSITIVE_INFINITY,
        "--learning-rate must be 0 or more, got " + learningRate);
    minLearningRate = or(minLearningRate, learningRate / 10);
    require(
        minLearningRate >= 0 && minLearningRate <= learningRate,
        "--min-learning-rate must lie between 0 and --learning-rate, got " + minLearningRate);
    warmupSteps = or(warmupSteps, maxSteps / 20);
    require(warmupSteps >= 0, "--warmup-steps must be 0 or more, got " + warmupSteps);
    lrDecaySteps = or(lrDecaySteps, maxSteps);
    require(lrDecaySteps >= 1, "--lr-decay-steps must be at least 1, got " + lrDecaySteps);
    wsdDecaySteps = or(wsdDecaySteps, Math.max(1, lrDecaySteps / 5));
    require(wsdDecaySteps >= 1, "--wsd-decay-steps must be at least 1, got " + wsdDecaySteps);
    valFraction = or(valFraction, data.isEmpty() && valData.isEmpty() ? 0.1 : 0.0);
    require(
        valFraction >= 0 && valFraction < 1,
        "--val-fraction must lie between 0 and 1 (exclusive), got " + valFraction);
    require(
        valData.isEmpty() || valFraction == 0,
        "--val-data and --val-fraction exclude each other: give one of them");
    require(
        dropout == null || dropout >= 0 && dropout < 1,
        "--dropout must lie between 0 and 1 (exclusive), got " + dropout);
    require(weightDecay >= 0, "--weight-decay must be 0 or more, got " + weightDecay);
    require(isDecay(adamBeta1), "--adam-beta1 must lie between 0 and 1, got " + adamBeta1);
    require(isDecay(adamBeta2), "--adam-beta2 must lie between 0 and 1, got " + adamBeta2);
    require(adamEpsilon > 0, "--adam-epsilon must be more than 0, got " + adamEpsilon);
    require(maxGradNorm >= 0, "--max-grad-norm must be 0 (none) or more, got " + maxGradNorm);
    require(maxGradValue >= 0, "--max-grad-value must be 0 (none) or more, got " + maxGradValue);
    threads = or(threads, Runtime.getRuntime().availableProcessors());
    require(
        threads >= 1 && threads <= MOST_THREADS,
        "--threads must lie between 1 and " + MOST_THREADS + ", got " + threads);
    require(Devices.isName(device), "--device must be one of " + Devices.NAMES + ", got " + device);
    require(evalEvery >= 0, "--eval-every must be 0 or more, got " + evalEvery);
    require(evalBatches >= 0, "--eval-batches must be 0 or more, got " + evalBatches);
    require(saveEvery >= 0, "--save-every must be 0 or more, got " + saveEvery);
    require(keep >= 0, "--keep must be 0 (all) or more, got " + keep);
    require(loggingSteps >= 1, "--logging-steps must be at least 1, got " + loggingSteps);
    return this;
  }

  /**
   * The schedule these settings describe; a warm-up longer than the run is a ramp that never ends.
   */
  public Schedule schedule() {
    resolved();
    double min = or(minLearningRate, 0.0);
    int warmup = or(warmupSteps, 0);
    int total = Math.max(or(lrDecaySteps, maxSteps), warmup + 1);
    int decay = Math.min(or(wsdDecaySteps, 1), total - warmup);
    return switch (lrScheduler) {
      case COSINE -> new Schedule.Cosine(learningRate, min, warmup, total);
      case LINEAR -> new Schedule.Linear(learningRate, min, warmup, total);
      case CONSTANT -> new Schedule.Constant(learningRate, warmup);
      case WSD ->
          new Schedule.WarmupStableDecay(learningRate, min, warmup, total, decay, wsdDecayShape);
      case INVERSE_SQRT -> new Schedule.InverseSqrt(learningRate, warmup);
    };
  }

  /** The optimizer these settings describe. */
  public AdamWConfig adamW() {
    return new AdamWConfig(adamBeta1, adamBeta2, adamEpsilon);
  }

  /** How these settings clip the gradient. */
  public GradientClip clip(LossScaling scaling) {
    return new GradientClip(
        gradNormType,
        maxGradNorm == 0 ? Float.POSITIVE_INFINITY : maxGradNorm,
        maxGradValue == 0 ? Float.POSITIVE_INFINITY : maxGradValue,
        scaling);
  }

  /** Tokens a step reads. */
  public long tokensPerStep() {
    return (long) batchSize * seqLen * gradientAccumulationSteps;
  }

  private static <T> T or(@Nullable T value, T otherwise) {
    return value == null ? otherwise : value;
  }

  private static boolean isDecay(float beta) {
    return beta >= 0 && beta < 1;
  }

  private static void require(boolean holds, String message) {
    if (!holds) {
      throw new InputException(message);
    }
  }
}
