package dev.javelin.train;

import dev.javelin.device.Cpu;
import dev.javelin.tensor.step.LossScaling;
import dev.javelin.tensor.step.StepState;
import dev.javelin.train.checkpoint.Checkpoint;
import dev.javelin.train.checkpoint.Checkpoints;
import dev.javelin.train.checkpoint.SaveException;
import dev.javelin.train.checkpoint.TrainingState;
import dev.javelin.train.eval.Evaluation;
import dev.javelin.train.eval.Evaluator;
import dev.javelin.train.monitor.StepMetrics;
import dev.javelin.train.monitor.Watcher;
import dev.javelin.train.monitor.Watchers;
import dev.javelin.train.optim.GradientClip;
import dev.javelin.train.optim.Optimizer;
import dev.javelin.train.optim.OptimizerFile;
import dev.javelin.train.run.RunDirectory;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.locks.ReentrantLock;
import org.jspecify.annotations.Nullable;

/**
 * The training loop: steps, evaluations, log lines, checkpoints, until the steps are done or it is
 * asked to stop. It is put together by {@link Training}. The same parts give the same bits, resumed
 * or not.
 *
 * <p>Where it saves into a directory, whatever ends a run leaves a whole checkpoint of the last
 * whole step, and never one with weights that are not finite numbers.
 *
 * <p>One thread runs it; {@link #requestStop}, {@link #close} and the counters are for any thread.
 * To interrupt the thread that runs it, as {@code Future.cancel(true)} does, is to request a stop;
 * the thread is interrupted again when {@link #run} returns.
 */
public final class Trainer implements AutoCloseable {
  private final Training parts;
  private final Optimizer optimizer;
  private final OptimizerFile optimizerFile;
  private final LossScaling scaling;
  private final TrainingStep training;
  private final StepState state;
  private final @Nullable Evaluator evaluator;
  private final List<Watcher> watchers = new ArrayList<>();
  private final ReentrantLock running = new ReentrantLock();

  private volatile long step;
  private long sequences; // place of the next row
  private long targets; // seen so far
  private long stepsHere; // done by this trainer
  private @Nullable Double bestLoss;
  private long bestStep;
  private @Nullable Checkpoint saved; // the newest, or the one resumed from
  private @Nullable Evaluation lastEvaluation;
  private long evaluatedStep = -1;
  private @Nullable RunDirectory directory;
  private volatile boolean stopRequested;
  private volatile boolean closing;
  private boolean interrupted;
  private boolean freed;

  /**
   * How a run ended.
   *
   * @param step steps done
   * @param loss training loss of the last step, NaN where there was none
   * @param evaluation the last one, {@code null} where there are no validation data
   * @param interrupted whether it was asked to stop before its end
   */
  public record Outcome(
      long step, double loss, @Nullable Evaluation evaluation, boolean interrupted) {}

  Trainer(Training parts) {
    this.parts = parts;
    GradientClip clip = parts.clipOrDefault();
    this.scaling = clip.scaling();
    this.optimizer = parts.optimizer.apply(parts.parameters);
    this.optimizerFile = new OptimizerFile(parts.parameters, optimizer);
    try {
      this.training = new TrainingStep(parts, optimizer, clip, parts.recorded);
    } catch (RuntimeException | Error e) {
      optimizer.close();
      throw e;
    }
    this.state = training.state();
    try {
      this.evaluator = parts.evaluator(training.workspace());
    } catch (RuntimeException | Error e) {
      training.close();
      optimizer.close();
      throw e;
    }
  }

  /**
   * Lets {@code watcher} follow the runs from the next on; the trainer closes it when it closes.
   */
  public Trainer watch(Watcher watcher) {
    watchers.add(watcher);
    return this;
  }

  /** Lets the run log, evaluate and save into {@code directory}, which stays the caller's. */
  public Trainer into(RunDirectory directory) {
    this.directory = directory;
    return this;
  }

  /**
   * Ends the run after the step in progress, with a checkpoint; before a run, the next one before
   * its first step. {@link #run} goes on from there. For any thread, and for watchers.
   */
  public void requestStop() {
    stopRequested = true;
  }

  /** Steps done so far. */
  public long step() {
    return step;
  }

  /** Steps of the whole run. */
  public long steps() {
    return parts.steps;
  }

  /** The most memory that a step, or an evaluation, has taken so far, in bytes. */
  public long peakBytes() {
    return training.workspace().peakBytes();
  }

  /**
   * Goes on where a checkpoint of this model stood, whose weights are loaded already: moments,
   * masters, counters, loss scale, and the next row that was not read, whatever size the batches
   * have now.
   *
   * @throws dev.javelin.tensor.io.FileFormatException where the optimizer's state does not fit
   */
  public void resume(Checkpoint checkpoint) {
    TrainingState s = checkpoint.state();
    optimizerFile.load(checkpoint.directory());
    state.restore(s.carried());
    step = s.step();
    sequences = s.sequences();
    targets = s.tokens();
    bestLoss = s.bestLoss();
    bestStep = s.bestStep();
    saved = checkpoint;
  }

  /**
   * Trains up to the number of steps in all. May be called again where a run was stopped, or ended
   * by an exception that has been seen to.
   *
   * @throws DivergedException where loss, gradient or weights are no longer finite
   * @throws dev.javelin.train.checkpoint.SaveException where a checkpoint cannot be written
   * @throws IllegalStateException where it is closed, or another thread runs it
   */
  public Outcome run() throws IOException {
    if (running.isHeldByCurrentThread() || !running.tryLock()) {
      throw new IllegalStateException("the trainer is running: one thread, one run at a time");
    }
    try {
      if (closing) {
        throw new IllegalStateException("the trainer is closed");
      }
      return follow();
    } finally {
      stopRequested = false;
      running.unlock();
      if (interrupted) {
        interrupted = false;
        Thread.currentThread().interrupt();
      }
    }
  }

  private Outcome follow() throws IOException {
    interrupted = Thread.interrupted(); // else it would cut off what the directory begins with
    List<Watcher> files = directory == null ? List.of() : directory.begin(step, parts.steps);
    List<Watcher> following = new ArrayList<>(watchers);
    following.addAll(files);
    Watchers all = new Watchers(following);
    try (Watchers _ = new Watchers(files);
        AutoEnd _ = all::ended) {
      try {
        loop(all);
        return end(all);
      } catch (Throwable t) {
        salvage(all, t);
        throw t;
      }
    }
  }

  private interface AutoEnd extends AutoCloseable {
    @Override
    void close();
  }

  private boolean isStopping() {
    interrupted |= Thread.interrupted();
    return stopRequested || interrupted || closing;
  }

  private void loop(Watchers all) {
    long nanos = 0;
    long timed = 0;
    long tokens = 0;
    long padding = 0;
    while (step < parts.steps && !isStopping()) {
      long start = System.nanoTime();
      double lr = parts.schedule.at(step);
      // Reading the state of a GPU waits for it, so that is left to the steps that say something.
      boolean read = readsState(step + 1);
      float scale = read ? state.lossScale() : 0;
      targets += training.run(parts.seed, step, sequences, lr);
      tokens += parts.source.tokens(sequences, training.rows());
      padding += training.padding(sequences);
      sequences += training.rows();
      stepsHere++;
      step++;
      String diverged = read ? divergence(scale) : null;
      nanos += System.nanoTime() - start;
      timed++;
      all.advanced(step);
      boolean last = step == parts.steps;
      boolean saving = last || isTurn(parts.saveEvery, step);
      boolean evaluating = last || isTurn(parts.evalEvery, step) || saving && parts.evalEvery > 0;
      Evaluation evaluation = evaluating && diverged == null ? evaluate(all) : null;
      if (last || diverged != null || evaluation != null || isTurn(parts.logEvery, step)) {
        double seconds = nanos * 1e-9;
        all.logged(
            new StepMetrics(
                step,
                loss(),
                state.gradNorm(),
                lr,
                targets,
                tokens / seconds,
                seconds * 1e3 / timed,
                scale,
                state.skippedSteps(),
                padding == 0 ? 0 : (double) padding / (tokens + padding),
                evaluation == null ? null : evaluation.loss()));
        nanos = 0;
        timed = 0;
        tokens = 0;
        padding = 0;
      }
      if (diverged == null && evaluation != null && !Double.isFinite(evaluation.loss())) {
        diverged = "validation loss %s: training diverged".formatted(evaluation.loss());
      }
      if (diverged != null) {
        throw diverged(diverged, all);
      }
      if (saving) {
        save(all);
      }
    }
  }

  private static boolean isTurn(int every, long step) {
    return every > 0 && step % every == 0;
  }

  /** Whether the host looks at loss and norm after that step. */
  private boolean readsState(long after) {
    return parts.parameters.weights().device() instanceof Cpu
        || after == parts.steps
        || isTurn(parts.logEvery, after)
        || isTurn(parts.evalEvery, after)
        || isTurn(parts.saveEvery, after);
  }

  /** Of the last step, over all ranks. */
  private double loss() {
    return stepsHere == 0 ? Double.NaN : parts.ranks.sum(state.loss());
  }

  /** What is wrong with the step just done; {@code null} where nothing is. */
  private @Nullable String divergence(float scale) {
    boolean skipped = state.overflow();
    if (skipped ? scale > scaling.minScale() : Double.isFinite(loss())) {
      return null; // a smaller scale will do
    }
    return "loss %s, gradient norm %s: training diverged%s"
        .formatted(loss(), state.gradNorm(), skipped ? "; the step was not applied" : "");
  }

  private @Nullable Evaluation evaluate(Watchers all) {
    if (evaluator == null) {
      return null;
    }
    Evaluation evaluation = evaluator.run(done -> {}, this::isStopping);
    if (evaluation != null) {
      lastEvaluation = evaluation;
      evaluatedStep = step;
      all.evaluated(step, evaluation);
    }
    return evaluation;
  }

  private Outcome end(Watchers all) {
    boolean stopped = step < parts.steps;
    if (stepsHere > 0 && !isSaved()) {
      save(all);
    }
    if (stopped) {
      all.note(
          step == 0
              ? "stopped before the first step: there is nothing to save"
              : "stopped after step "
                  + step
                  + (directory == null ? "" : ": checkpoint saved; continue with --resume"));
    }
    return new Outcome(step, loss(), lastEvaluation, stopped);
  }

  private boolean isSaved() {
    return saved != null && saved.step() == step;
  }

  /** Saves the last whole step before an exception ends the run. */
  private void salvage(Watchers all, Throwable t) {
    boolean tried = t instanceof DivergedException || t instanceof SaveException;
    if (tried || stepsHere == 0 || isSaved() || !training.isWhole()) {
      return;
    }
    try {
      save(all);
    } catch (RuntimeException | Error e) {
      t.addSuppressed(e);
    }
  }

  /** Writes a checkpoint, if there is a directory. */
  private void save(Watchers all) {
    String notFinite = NonFinite.find(parts.parameters, optimizer);
    if (notFinite != null) {
      throw diverged(notFinite + " not finite: training diverged", all);
    }
    if (directory != null) {
      write(directory::save, all);
    }
  }

  private interface Writer {
    Checkpoint write(TrainingState state, Checkpoints.Content content);
  }

  private void write(Writer writer, Watchers all) {
    Evaluation evaluation = evaluatedStep == step ? lastEvaluation : null;
    if (evaluation != null
        && Double.isFinite(evaluation.loss())
        && (bestLoss == null || evaluation.loss() < bestLoss)) {
      bestLoss = evaluation.loss();
      bestStep = step;
    }
    TrainingState now =
        new TrainingState(
            step,
            sequences,
            targets,
            parts.seed,
            state.carried(),
            bestLoss,
            bestStep,
            parts.description);
    Checkpoint written =
        writer.write(
            now,
            files -> {
              parts.files.write(files);
              optimizerFile.save(files);
            });
    saved = written;
    all.saved(written);
    all.note("saved " + written.directory());
  }

  /** Saves what is finite, and says what happened, and the way out if there is one. */
  private DivergedException diverged(String what, Watchers all) {
    Checkpoint before = saved;
    String notFinite = NonFinite.find(parts.parameters, optimizer);
    String lost = "";
    if (directory != null && notFinite == null && !isSaved()) {
      write(directory::saveBesideAll, all);
    } else if (directory != null && notFinite != null) {
      String why = what.startsWith(notFinite) ? "; " : "; " + notFinite + " not finite, ";
      lost = why + "step " + step + " is not saved";
    }
    // The one just resumed from has led here at once: no use in going on from it again.
    Path earlier = before == null || before.step() + 1 >= step ? null : before.directory();
    String goOn =
        earlier == null || !Files.isDirectory(earlier)
            ? ""
            : ", and continue from %s with --resume %s".formatted(earlier.getFileName(), earlier);
    return new DivergedException(
        step,
        "step %d: %s%s. Lower --learning-rate or lengthen --warmup-steps%s"
            .formatted(step, what, lost, goOn));
  }

  /**
   * Frees what the trainer has taken. A run in another thread is asked to stop and waited for, its
   * checkpoint included.
   *
   * @throws IllegalStateException where a watcher calls it, on the thread that trains
   */
  @Override
  public void close() {
    if (running.isHeldByCurrentThread()) {
      throw new IllegalStateException(
          "a watcher cannot close the trainer that it follows: request a stop");
    }
    closing = true;
    running.lock();
    try {
      if (freed) {
        return;
      }
      freed = true;
      try (training;
          optimizer;
          Evaluator _ = evaluator) {
        new Watchers(watchers).close();
      }
    } finally {
      running.unlock();
    }
  }
}
