package dev.javelin.train;

import dev.javelin.autograd.Tape;
import dev.javelin.autograd.Var;
import dev.javelin.device.Cpu;
import dev.javelin.device.Device;
import dev.javelin.nn.Transformer;
import dev.javelin.tensor.Tensor;
import dev.javelin.tensor.step.LossScaling;
import dev.javelin.tensor.step.StepGraph;
import dev.javelin.tensor.step.StepState;
import dev.javelin.tensor.step.Workspace;
import dev.javelin.train.checkpoint.Checkpoint;
import dev.javelin.train.checkpoint.TrainingState;
import dev.javelin.train.data.Batch;
import dev.javelin.train.data.BatchLayout;
import dev.javelin.train.data.BatchSource;
import dev.javelin.train.data.Dataset;
import dev.javelin.train.data.InputException;
import dev.javelin.train.data.Order;
import dev.javelin.train.data.Windows;
import dev.javelin.train.eval.Evaluation;
import dev.javelin.train.eval.Evaluator;
import dev.javelin.train.monitor.StepMetrics;
import dev.javelin.train.monitor.Watcher;
import dev.javelin.train.monitor.Watchers;
import dev.javelin.train.optim.AdamW;
import dev.javelin.train.optim.GradientClip;
import dev.javelin.train.optim.Optimizer;
import dev.javelin.train.optim.OptimizerFile;
import dev.javelin.train.run.RunDirectory;
import dev.javelin.train.schedule.Schedule;
import dev.javelin.train.settings.BatchSpec;
import dev.javelin.train.settings.RunSettings;
import dev.javelin.train.settings.RunSpec;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * The training loop. A step is A micro-batches forward and backward into the accumulated gradient,
 * each weighted by its share of the step's target tokens, then one update; whatever changes between
 * steps is in {@link StepState}, so all steps do the same work at the same addresses. On a GPU a
 * step is one recorded graph; with A > 1 the micro-batch is one, launched A times, and the update
 * another.
 *
 * <p>With an output directory it logs, evaluates, and saves checkpoints there; without one it only
 * trains. The same model, data and settings give the same bits, resumed or not.
 */
public final class Trainer implements AutoCloseable {
  private final LanguageModel model;
  private final RunSpec run;
  private final BatchSpec size;
  private final Schedule schedule;
  private final BatchSource source;
  private final Workspace workspace;
  private final StepState state;
  private final Optimizer optimizer;
  private final OptimizerFile optimizerFile;
  private final LossScaling scaling;
  private final Batch batch;
  private final Transformer transformer;
  private final StepGraph microStep; // all of a step where that is one micro-batch
  private final StepGraph update;
  private final Runnable forwardBackward;
  private final Runnable applyUpdate;
  private final Runnable wholeStep;
  private final @Nullable Evaluator evaluator;
  private final List<Watcher> watchers = new ArrayList<>();

  private long step;
  private long tokensSeen;
  private @Nullable Double bestLoss;
  private long bestStep;
  private long savedStep = -1;
  private @Nullable Evaluation lastEvaluation;
  private long evaluatedStep = -1;
  private @Nullable RunDirectory directory;
  private volatile boolean stopRequested;

  /**
   * How a run ended.
   *
   * @param step steps done
   * @param loss training loss of the last step
   * @param evaluation the last one, {@code null} where there are no validation data
   * @param interrupted whether it was asked to stop before its end
   */
  public record Outcome(
      long step, double loss, @Nullable Evaluation evaluation, boolean interrupted) {}

  /**
   * @throws dev.javelin.train.data.InputException where data, model and settings do not fit
   */
  public Trainer(LanguageModel model, Dataset data, RunSettings settings) {
    this(model, data, settings, StepGraph.RECORDED);
  }

  /**
   * @param recorded whether a GPU is to record its steps, or be given them kernel by kernel
   */
  Trainer(LanguageModel model, Dataset data, RunSettings settings, boolean recorded) {
    this.model = model;
    this.run = settings.run();
    this.size = settings.batch();
    this.schedule = settings.lrSchedule();
    this.scaling = model.precision().lossScaling();
    int positions = model.config().positions();
    if (size.seqLen() > positions) {
      throw new InputException(
          "--seq-len %d is longer than the model's %d positions: choose at most %d"
              .formatted(size.seqLen(), positions, positions));
    }
    Windows windows = new Windows(data.train(), size.seqLen(), model.config().vocab());
    Order order =
        switch (settings.data().order()) {
          case SHUFFLED -> Order.shuffled(settings.data().seed(run.seed()));
          case SEQUENTIAL -> Order.sequential();
        };
    this.source = BatchSource.endless(windows, order);
    Device device = model.device();
    this.workspace = Workspace.on(device);
    this.state = StepState.on(device);
    state.restore(new StepState.Carried(scaling.initialScale(), 0, 0, 0));
    this.optimizer = new AdamW(model.parameters(), settings.optimizer().adamW());
    this.optimizerFile = new OptimizerFile(model.parameters(), optimizer);
    GradientClip clip = settings.optimizer().clip(scaling);
    Tensor gradients = model.parameters().gradients();
    this.batch = Batch.on(device, source.layout(), size.batchSize());
    this.microStep = new StepGraph("micro-step", workspace, recorded);
    this.update = new StepGraph("update", workspace, recorded);
    this.transformer = model.transformer().withRecompute(settings.model().recompute());
    this.forwardBackward =
        () -> {
          Tape tape = new Tape(workspace);
          Var loss =
              transformer.loss(
                  tape, batch.get(BatchLayout.TOKENS), batch.get(BatchLayout.TARGETS), state);
          tape.backward(loss);
        };
    this.applyUpdate =
        () -> {
          clip.run(state, gradients);
          optimizer.step(state);
        };
    this.wholeStep =
        () -> {
          forwardBackward.run();
          applyUpdate.run();
        };
    this.evaluator =
        data.validation() == null
            ? null
            : new Evaluator(
                transformer,
                workspace,
                BatchSource.once(
                    new Windows(data.validation(), size.seqLen(), model.config().vocab())),
                size.batchSize(),
                run.evalBatches(),
                model.tokenizer());
  }

  /** Lets {@code watcher} follow the run; the trainer closes it at the end. */
  public Trainer watch(Watcher watcher) {
    watchers.add(watcher);
    return this;
  }

  /** Lets the run log, evaluate and save into {@code directory}, which stays the caller's. */
  public Trainer into(RunDirectory directory) {
    this.directory = directory;
    return this;
  }

  /** Ends the run after the step in progress, with a checkpoint. May be called by any thread. */
  public void requestStop() {
    stopRequested = true;
  }

  /** Steps done so far. */
  public long step() {
    return step;
  }

  /** The most memory that a step, or an evaluation, has taken so far, in bytes. */
  public long peakBytes() {
    return workspace.peakBytes();
  }

  /**
   * Goes on where a checkpoint of this model stood, whose weights are loaded already: moments,
   * masters, counters, loss scale.
   */
  public void resume(Checkpoint checkpoint) {
    TrainingState saved = checkpoint.state();
    optimizerFile.load(checkpoint.directory());
    state.restore(saved.carried());
    step = saved.step();
    tokensSeen = saved.tokens();
    bestLoss = saved.bestLoss();
    bestStep = saved.bestStep();
    savedStep = step;
  }

  /**
   * Trains up to {@code maxSteps} steps in all.
   *
   * @throws DivergedException where loss or gradient is no number
   * @throws dev.javelin.train.checkpoint.SaveException where a checkpoint cannot be written
   */
  public Outcome run() throws IOException {
    List<Watcher> following = new ArrayList<>(watchers);
    if (directory != null) {
      following.addAll(directory.begin(step, run.maxSteps()));
    }
    Watchers all = new Watchers(following);
    try (all) {
      loop(all);
      boolean interrupted = step < run.maxSteps();
      if (directory != null && savedStep != step) {
        save(directory, all);
      }
      if (interrupted) {
        all.note(
            "stopped after step "
                + step
                + (directory == null ? "" : ": checkpoint saved; go on with --resume"));
      }
      return new Outcome(step, state.loss(), lastEvaluation, interrupted);
    }
  }

  private void loop(Watchers all) {
    long stepNanos = 0;
    long stepsTimed = 0;
    while (step < run.maxSteps() && !stopRequested) {
      long start = System.nanoTime();
      double lr = schedule.at(step);
      // Reading the state of a GPU waits for it, so that is left to the steps that say something.
      boolean read = readsState(step + 1);
      float scale = read ? state.lossScale() : 0;
      trainStep(lr);
      if (read) {
        checkFinite(scale);
      }
      stepNanos += System.nanoTime() - start;
      stepsTimed++;
      all.advanced(step);
      boolean last = step == run.maxSteps();
      boolean saving = last || isTurn(run.saveEvery());
      boolean evaluating = isTurn(run.evalEvery()) || last || saving && run.evalEvery() > 0;
      Evaluation evaluation = evaluating ? evaluate() : null;
      if (last || evaluation != null || isTurn(run.loggingSteps())) {
        double seconds = stepNanos * 1e-9;
        all.logged(
            new StepMetrics(
                step,
                state.loss(),
                state.gradNorm(),
                lr,
                tokensSeen,
                stepsTimed * size.tokens() / seconds,
                seconds * 1e3 / stepsTimed,
                scale,
                state.skippedSteps(),
                evaluation == null ? null : evaluation.loss()));
        stepNanos = 0;
        stepsTimed = 0;
      }
      if (directory != null && saving) {
        save(directory, all);
      }
    }
  }

  /** One optimizer step. */
  private void trainStep(double lr) {
    int parts = size.gradientAccumulationSteps();
    long first = step * parts * size.batchSize();
    long targetsInStep = source.targets(first, parts * size.batchSize());
    state.begin(run.seed(), (int) step, (float) lr, 1f / targetsInStep);
    for (int micro = 0; micro < parts; micro++) {
      int inStep = micro * size.batchSize();
      state.firstSequence(inStep);
      batch.load(fields -> source.fill(first + inStep, size.batchSize(), fields));
      transformer.prepare(size.seqLen()); // a watcher may have written a text between two steps
      microStep.run(parts == 1 ? wholeStep : forwardBackward);
    }
    if (parts > 1) {
      update.run(applyUpdate);
    }
    step++;
    tokensSeen += targetsInStep;
  }

  private boolean isTurn(int every) {
    return isTurn(every, step);
  }

  private static boolean isTurn(int every, long step) {
    return every > 0 && step % every == 0;
  }

  /** Whether the host looks at loss and norm after that step. */
  private boolean readsState(long after) {
    return model.device() instanceof Cpu
        || after == run.maxSteps()
        || isTurn(run.loggingSteps(), after)
        || isTurn(run.evalEvery(), after)
        || isTurn(run.saveEvery(), after);
  }

  private void checkFinite(float scale) {
    if (state.overflow() && scale <= scaling.minScale()) {
      throw new DivergedException(
          "step %d: loss %s, gradient norm %s: training diverged; the step was not applied. Lower --learning-rate or lengthen --warmup-steps%s"
              .formatted(
                  step,
                  state.loss(),
                  state.gradNorm(),
                  directory == null ? "" : ", and go on from the last checkpoint with --resume"));
    }
  }

  private @Nullable Evaluation evaluate() {
    if (evaluator == null) {
      return null;
    }
    lastEvaluation = evaluator.run();
    evaluatedStep = step;
    return lastEvaluation;
  }

  private void save(RunDirectory into, Watchers all) {
    Evaluation evaluation = evaluatedStep == step ? lastEvaluation : null;
    if (evaluation != null && (bestLoss == null || evaluation.loss() < bestLoss)) {
      bestLoss = evaluation.loss();
      bestStep = step;
    }
    long sequences = step * size.batchSize() * size.gradientAccumulationSteps();
    TrainingState saved =
        new TrainingState(
            step,
            sequences,
            tokensSeen,
            run.seed(),
            state.carried(),
            bestLoss,
            bestStep,
            LanguageModel.describe(model.config(), model.precision()));
    Checkpoint written =
        into.save(
            saved,
            to -> {
              model.save(to);
              optimizerFile.save(to);
            });
    savedStep = step;
    all.note("saved " + written.directory());
  }

  @Override
  public void close() {
    if (evaluator != null) {
      evaluator.close();
    }
    optimizer.close();
    state.close();
    batch.close();
    microStep.close();
    update.close();
    workspace.close();
  }
}
