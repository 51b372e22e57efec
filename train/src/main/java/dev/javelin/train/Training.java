package dev.javelin.train;

import dev.javelin.device.DType;
import dev.javelin.nn.ParameterBuffer;
import dev.javelin.nn.Weights;
import dev.javelin.tensor.io.FileCalls;
import dev.javelin.tensor.step.LossScaling;
import dev.javelin.tensor.step.StepGraph;
import dev.javelin.tensor.step.Workspace;
import dev.javelin.train.checkpoint.Checkpoints;
import dev.javelin.train.data.BatchSource;
import dev.javelin.train.data.Fields;
import dev.javelin.train.eval.Evaluator;
import dev.javelin.train.hook.StepHook;
import dev.javelin.train.hook.StopRule;
import dev.javelin.train.objective.Objective;
import dev.javelin.train.optim.AdamW;
import dev.javelin.train.optim.AdamWConfig;
import dev.javelin.train.optim.GradientClip;
import dev.javelin.train.optim.Optimizer;
import dev.javelin.train.ranks.Communicator;
import dev.javelin.train.schedule.BatchRamp;
import dev.javelin.train.schedule.LearningRate;
import dev.javelin.train.schedule.Schedule;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.function.Consumer;
import java.util.function.Function;
import java.util.function.ToLongFunction;
import org.jspecify.annotations.Nullable;

/**
 * The parts of a training, to be put together by whoever has a model, an objective and rows:
 *
 * <pre>{@code
 * try (Trainer trainer =
 *     Training.of(parameters, objective, BatchSource.endless(rows, Order.shuffled(1)))
 *         .batch(16)
 *         .optimizer(p -> new AdamW(p, new AdamWConfig(0.9f, 0.95f, 1e-8f)))
 *         .schedule(new Schedule.Constant(1e-3, 0))
 *         .steps(500)
 *         .trainer()) {
 *   trainer.run();
 * }
 * }</pre>
 *
 * <p>{@link TextTraining} has the parts of a language model's. Not for several threads at once; any
 * number of trainers may be made from one, for different models.
 */
public final class Training {
  /** The file of the weights in a checkpoint, unless {@link #model} says otherwise. */
  public static final String WEIGHTS_FILE = "model.safetensors";

  final ParameterBuffer<?> parameters;
  final Objective objective;
  final BatchSource source;
  int rows = 8;
  int parts = 1;
  @Nullable BatchRamp ramp;
  Communicator ranks = Communicator.SELF;
  Function<ParameterBuffer<?>, Optimizer> optimizer =
      p -> new AdamW(p, new AdamWConfig(0.9f, 0.95f, 1e-8f));
  @Nullable GradientClip clip;
  LearningRate rate = new Schedule.Constant(1e-3, 0);
  final List<StepHook.Maker> hooks = new ArrayList<>();
  final List<StopRule> stopRules = new ArrayList<>();
  long steps = 1000;
  long seed = 1;
  @Nullable BatchSource validation;
  long validationBatches;
  @Nullable ToLongFunction<Fields> textBytes;
  int logEvery = 10;
  int evalEvery;
  int saveEvery;
  int keepEvery;
  boolean asyncSave = true;
  String description;
  int maxBadSteps = 3;
  @Nullable Function<int[], String> text;
  @Nullable FileCalls disk;
  Checkpoints.Content files;
  Consumer<Path> restore;
  boolean recorded = StepGraph.RECORDED;

  private Training(ParameterBuffer<?> parameters, Objective objective, BatchSource source) {
    this.parameters = parameters;
    this.objective = objective;
    this.source = source;
    this.description =
        String.format(
            Locale.ROOT,
            "%s: %,d parameters, %s",
            parameters.model().getClass().getSimpleName(),
            parameters.size(),
            parameters.weights().dtype());
    this.files = directory -> Weights.save(parameters, directory.resolve(WEIGHTS_FILE));
    this.restore = directory -> Weights.load(parameters, directory.resolve(WEIGHTS_FILE));
  }

  /**
   * A training of some parameters.
   *
   * @param source the stream of rows to train on, without end
   */
  public static Training of(
      ParameterBuffer<?> parameters, Objective objective, BatchSource source) {
    return new Training(parameters, objective, source);
  }

  /** Rows of a micro-batch on each rank, B; 8 unless set. */
  public Training batch(int b) {
    require(b >= 1, "a batch must have at least 1 row, got ", b);
    rows = b;
    return this;
  }

  /** Micro-batches of a step, A; 1 unless set. */
  public Training accumulate(int a) {
    require(a >= 1, "a step must have at least 1 micro-batch, got ", a);
    parts = a;
    return this;
  }

  /** How the first steps grow to that number; all have it unless set. */
  public Training ramp(@Nullable BatchRamp r) {
    ramp = r;
    return this;
  }

  /** The ranks that share the training; only this one unless set. */
  public Training ranks(Communicator communicator) {
    ranks = communicator;
    return this;
  }

  /** Makes the rule that moves the weights; AdamW unless set. The trainer closes it. */
  public Training optimizer(Function<ParameterBuffer<?>, Optimizer> rule) {
    optimizer = rule;
    return this;
  }

  /**
   * How gradients are clipped and the loss is scaled; by default to a norm of 1, with the usual
   * scaling where the weights are fp16.
   */
  public Training clip(GradientClip c) {
    clip = c;
    return this;
  }

  /** The learning rate over the steps; 1e-3 unless set. */
  public Training schedule(LearningRate r) {
    rate = r;
    return this;
  }

  /** Adds something that looks at each step, or changes it; the hooks come in this order. */
  public Training hook(StepHook.Maker hook) {
    hooks.add(hook);
    return this;
  }

  /** Adds a rule that may end the training before its last step. */
  public Training stopWhen(StopRule rule) {
    stopRules.add(rule);
    return this;
  }

  /** Steps of the whole training, those before a resume included; 1000 unless set. */
  public Training steps(long n) {
    require(n >= 1, "a training must have at least 1 step, got ", n);
    steps = n;
    return this;
  }

  /** What random numbers of a step, such as dropout, come from; 1 unless set. */
  public Training seed(long s) {
    seed = s;
    return this;
  }

  /**
   * Held-out rows to measure the objective on; none unless set.
   *
   * @param batches how many batches to take at most; 0 for all
   */
  public Training validation(@Nullable BatchSource held, long batches) {
    validation = held;
    validationBatches = batches;
    return this;
  }

  /** How many bytes of text a batch's targets stand for, for bits per byte; none unless set. */
  public Training textBytes(@Nullable ToLongFunction<Fields> bytes) {
    textBytes = bytes;
    return this;
  }

  /** Steps between logged ones; 10 unless set. On a GPU the others wait for nothing. */
  public Training logEvery(int n) {
    require(n >= 1, "steps between lines must be at least 1, got ", n);
    logEvery = n;
    return this;
  }

  /** Steps between evaluations; 0, as unless set, for none but the last. */
  public Training evalEvery(int n) {
    require(n >= 0, "steps between evaluations must be 0 or more, got ", n);
    evalEvery = n;
    return this;
  }

  /** Steps between checkpoints; 0, as unless set, for none but the last. */
  public Training saveEvery(int n) {
    require(n >= 0, "steps between checkpoints must be 0 or more, got ", n);
    saveEvery = n;
    return this;
  }

  /**
   * Steps between checkpoints that stay for ever, and so are saved whatever {@link #saveEvery}
   * says; 0, as unless set, for none.
   */
  public Training keepEvery(int n) {
    require(n >= 0, "steps between checkpoints to keep must be 0 or more, got ", n);
    keepEvery = n;
    return this;
  }

  /**
   * Whether the run goes on while a checkpoint is written, from a copy in memory that is as large
   * as its files; so it does unless told otherwise. What {@link #model} writes is read before the
   * run goes on, in any case. The last checkpoint of a run is always waited for.
   */
  public Training asyncSave(boolean on) {
    asyncSave = on;
    return this;
  }

  boolean saves(long step) {
    return isTurn(saveEvery, step) || isTurn(keepEvery, step);
  }

  static boolean isTurn(int every, long step) {
    return every > 0 && step % every == 0;
  }

  /**
   * What a checkpoint holds of the model; unless set {@link #WEIGHTS_FILE}, with the names of its
   * record components.
   *
   * @param line architecture, sizes and precision: what a checkpoint must share with its resumer
   * @param content writes weights and whatever else a reader of the model needs
   * @param weights reads the weights of such a directory back into the parameters
   */
  public Training model(String line, Checkpoints.Content content, Consumer<Path> weights) {
    description = line;
    files = content;
    restore = weights;
    return this;
  }

  /** The same for a training that never rolls back: nothing reads its weights while it runs. */
  public Training model(String line, Checkpoints.Content content) {
    return model(
        line,
        content,
        directory -> {
          throw new IllegalStateException(
              "nothing reads weights back from " + directory + ": give Training.model a reader");
        });
  }

  /**
   * Steps in a row without a finite loss and gradient that end the training; 3 unless set. Fewer
   * are left out.
   */
  public Training maxBadSteps(int n) {
    require(n >= 1, "bad steps in a row must be at least 1, got ", n);
    maxBadSteps = n;
    return this;
  }

  /** What ids stand for, where a batch is written down for people; the ids unless set. */
  public Training text(@Nullable Function<int[], String> ofIds) {
    text = ofIds;
    return this;
  }

  FileCalls disk() {
    return disk == null ? FileCalls.current() : disk;
  }

  /** The calls by which the training writes its files; the system's unless set. */
  public Training disk(@Nullable FileCalls calls) {
    disk = calls;
    return this;
  }

  /** Whether a GPU is to record its steps, or be given them kernel by kernel. */
  Training recorded(boolean on) {
    recorded = on;
    return this;
  }

  GradientClip clipOrDefault() {
    boolean half = parameters.weights().dtype() == DType.F16;
    return clip == null
        ? GradientClip.byNorm(1, half ? LossScaling.DYNAMIC : LossScaling.NONE)
        : clip;
  }

  @Nullable Evaluator evaluator(Workspace workspace) {
    return validation == null
        ? null
        : new Evaluator(objective, workspace, validation, rows, validationBatches, textBytes);
  }

  /** Takes the memory of a training and is ready to run; the parameters stay the caller's. */
  public Trainer trainer() {
    return new Trainer(this);
  }

  private static void require(boolean holds, String message, long got) {
    if (!holds) {
      throw new IllegalArgumentException(message + got);
    }
  }
}
