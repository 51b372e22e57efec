package dev.javelin.train;

import dev.javelin.device.Cpu;
import dev.javelin.tensor.io.FileCalls;
import dev.javelin.tensor.step.StepState;
import dev.javelin.tensor.step.Workspace;
import dev.javelin.train.checkpoint.Checkpoint;
import dev.javelin.train.checkpoint.SaveException;
import dev.javelin.train.checkpoint.TrainingState;
import dev.javelin.train.eval.Evaluation;
import dev.javelin.train.eval.Evaluator;
import dev.javelin.train.event.EvaluationEvent;
import dev.javelin.train.hook.After;
import dev.javelin.train.hook.Hooks;
import dev.javelin.train.hook.Progress;
import dev.javelin.train.hook.StandIn;
import dev.javelin.train.hook.StepHook;
import dev.javelin.train.hook.StopRule;
import dev.javelin.train.monitor.MemoryUse;
import dev.javelin.train.monitor.RunEvent;
import dev.javelin.train.monitor.StepMetrics;
import dev.javelin.train.monitor.Watcher;
import dev.javelin.train.monitor.Watchers;
import dev.javelin.train.optim.GradientClip;
import dev.javelin.train.optim.Optimizer;
import dev.javelin.train.run.RunDirectory;
import java.io.IOException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.SequencedMap;
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
  final TrainingStep training;
  private final StepState state;
  private final Hooks hooks;
  private final Saving saving;
  private final BadSteps bad;
  final @Nullable Evaluator evaluator;
  private final List<Watcher> watchers = new ArrayList<>();
  private final ReentrantLock running = new ReentrantLock();

  private volatile long step;
  private long sequences; // place of the next row
  private long targets; // seen so far
  private long stepsHere; // done by this trainer
  private @Nullable Evaluation lastEvaluation;
  private long evaluatedStep = -1;
  private final SequencedMap<String, Double> standIns = new LinkedHashMap<>(); // their losses
  private @Nullable String ended; // why a rule or a hook has ended the run
  private @Nullable String givenUp;
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
   * @param ended why a rule or a hook has ended it before its last step; {@code null} otherwise
   */
  public record Outcome(
      long step,
      double loss,
      @Nullable Evaluation evaluation,
      boolean interrupted,
      @Nullable String ended) {}

  Trainer(Training parts) {
    this.parts = parts;
    GradientClip clip = parts.clipOrDefault();
    this.optimizer = parts.optimizer.apply(parts.parameters);
    List<StepHook> made = new ArrayList<>();
    try {
      parts.hooks.forEach(hook -> made.add(hook.on(parts.parameters, optimizer)));
      this.hooks = new Hooks(made);
      this.training = new TrainingStep(parts, optimizer, clip, hooks, parts.recorded);
    } catch (RuntimeException | Error e) {
      new Hooks(made).close();
      optimizer.close();
      throw e;
    }
    this.state = training.state();
    this.saving = new Saving(parts, optimizer, state, hooks);
    this.bad = new BadSteps(parts, optimizer, state, saving);
    try {
      this.evaluator = parts.evaluator(training.workspace());
    } catch (RuntimeException | Error e) {
      training.close();
      hooks.close();
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
    saving.into(directory);
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

  /** Where steps have their tensors; free between steps. */
  public Workspace workspace() {
    return training.workspace();
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
    resume(checkpoint, false);
  }

  /**
   * The same; with {@code override}, what does not fit begins anew, and is returned, a line each.
   */
  public List<String> resume(Checkpoint checkpoint, boolean override) {
    TrainingState s = checkpoint.state();
    List<String> notes = saving.resume(checkpoint, override);
    step = s.step();
    sequences = s.sequences();
    targets = s.tokens();
    return notes;
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
      return ScopedValue.where(FileCalls.SCOPE, parts.disk()).call(this::follow);
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
    RunDirectory directory = saving.directory();
    List<Watcher> files = directory == null ? List.of() : directory.begin(step, parts.steps);
    List<Watcher> following = new ArrayList<>(watchers);
    following.addAll(files);
    Watchers all = new Watchers(following);
    try (Watchers _ = new Watchers(files);
        Watchers.End _ = all::ended) {
      try {
        loop(all);
        return end(all);
      } catch (Throwable t) {
        salvage(all, t);
        throw t;
      }
    }
  }

  private boolean isStopping() {
    interrupted |= Thread.interrupted();
    return stopRequested || interrupted || closing;
  }

  private void loop(Watchers all) {
    long begun = System.nanoTime();
    ended = step == 0 ? null : ended(begun, false, null); // a resumed run may be at its end
    givenUp = null;
    SinceLine since = new SinceLine();
    while (step < parts.steps && ended == null && !isStopping()) {
      long start = System.nanoTime();
      double lr = parts.rate.at(step);
      // Reading the state of a GPU waits for it, so that is left to the steps that say something.
      boolean read = readsState(step + 1);
      float scale = read ? state.lossScale() : 0;
      int rows = training.rows(step);
      bad.begins(step, sequences, rows);
      all.begins(step + 1, sequences, rows);
      targets += training.run(parts.seed, step, sequences, lr);
      since.read(parts.source.tokens(sequences, rows), training.padding(sequences, rows));
      sequences += rows;
      stepsHere++;
      step++;
      hooks.events(all::event);
      String diverged = read ? bad.look(step, loss(), all) : null;
      since.took(System.nanoTime() - start);
      all.advanced(step);
      saving.look(all);
      if (isDirected(all)) {
        continue;
      }
      diverged = givenUp == null ? diverged : givenUp;
      boolean last = step == parts.steps || ended != null;
      boolean toSave = last || parts.saves(step);
      boolean evaluating =
          last || Training.isTurn(parts.evalEvery, step) || toSave && parts.evalEvery > 0;
      Evaluation evaluation = evaluating && diverged == null ? evaluate(all) : null;
      if (diverged == null && ended == null) {
        ended = ended(begun, read, evaluation);
        if (ended != null && evaluation == null) {
          evaluation = evaluate(all);
        }
        last |= ended != null;
      }
      if (last || diverged != null || evaluation != null || Training.isTurn(parts.logEvery, step)) {
        all.logged(
            new StepMetrics(
                step,
                loss(),
                state.gradNorm(),
                lr,
                targets,
                since.tokensPerSecond(),
                since.stepMillis(),
                scale,
                state.skippedSteps(),
                since.padding(),
                evaluation == null ? null : evaluation.loss(),
                measured()));
        since = new SinceLine();
      }
      if (diverged == null && evaluation != null && !Double.isFinite(evaluation.loss())) {
        diverged = "validation loss %s: training diverged".formatted(evaluation.loss());
      }
      if (diverged != null) {
        throw diverged(diverged, all);
      }
      if (toSave && !last) {
        save(all, Saving.How.MEANWHILE);
      }
    }
  }

  /** Asks the hooks what comes next; whether the run has gone back, so that this step is undone. */
  private boolean isDirected(Watchers all) {
    return switch (hooks.after(step)) {
      case After.GoOn _ -> false;
      case After.Stop stop -> {
        ended = stop.why();
        yield false;
      }
      case After.GiveUp up -> {
        givenUp = up.why();
        yield false;
      }
      case After.RollBack back -> rollBack(back, all);
    };
  }

  private boolean rollBack(After.RollBack back, Watchers all) {
    saving.settle(all);
    Checkpoint to = saving.rollBack(back.atMost());
    String where =
        to == null
            ? "there is no checkpoint to go back to"
            : "back to %s, and on behind the rows read so far"
                .formatted(to.directory().getFileName());
    all.event(new RunEvent(step, RunEvent.ROLLBACK, back.why() + "; " + where));
    if (to != null) {
      step = to.step();
      evaluatedStep = evaluatedStep > step ? -1 : evaluatedStep;
    }
    return to != null;
  }

  private @Nullable String ended(long begun, boolean read, @Nullable Evaluation evaluation) {
    if (parts.stopRules.isEmpty()) {
      return null;
    }
    double seconds = (System.nanoTime() - begun) * 1e-9;
    Progress now = new Progress(step, targets, seconds, read ? loss() : Double.NaN, evaluation);
    return StopRule.first(parts.stopRules, now);
  }

  private SequencedMap<String, Double> measured() {
    SequencedMap<String, Double> measured = new LinkedHashMap<>(standIns);
    standIns.clear();
    MemoryUse.measure(parts.parameters.weights().device(), measured::put);
    hooks.measure(measured::put);
    if (parts.ramp != null) {
      measured.put("micro_batches", (double) training.parts(step - 1));
    }
    return measured;
  }

  /** Whether the host looks at loss and norm after that step. */
  private boolean readsState(long after) {
    return parts.parameters.weights().device() instanceof Cpu
        || after == parts.steps
        || Training.isTurn(parts.logEvery, after)
        || Training.isTurn(parts.evalEvery, after)
        || parts.saves(after);
  }

  /** Of the last step, over all ranks. */
  private double loss() {
    return stepsHere == 0 ? Double.NaN : parts.ranks.sum(state.loss());
  }

  private @Nullable Evaluation evaluate(Watchers all) {
    if (evaluator == null) {
      return null;
    }
    EvaluationEvent event = EvaluationEvent.begun();
    Evaluation evaluation = evaluator.run(done -> {}, this::isStopping);
    if (evaluation != null) {
      event.done(step, evaluation.loss(), evaluation.tokens());
      lastEvaluation = evaluation;
      evaluatedStep = step;
      parts.rate.evaluated(step, evaluation.loss());
      all.evaluated(step, evaluation);
      hooks.all().forEach(hook -> evaluateStandIn(hook, evaluator));
    }
    return evaluation;
  }

  private void evaluateStandIn(StepHook hook, Evaluator evaluator) {
    try (StandIn other = hook.standIn()) {
      Evaluation evaluation = other == null ? null : evaluator.run(done -> {}, this::isStopping);
      if (other != null && evaluation != null) {
        standIns.put(other.key(), evaluation.loss());
      }
    }
  }

  private Outcome end(Watchers all) {
    boolean stopped = step < parts.steps && ended == null;
    if (ended != null) {
      all.event(new RunEvent(step, RunEvent.STOP, "ended here: " + ended));
    }
    saving.settle(all);
    if (stepsHere > 0 && !saving.isSaved(step)) {
      save(all, Saving.How.NOW);
    }
    if (stopped) {
      all.note(
          step == 0
              ? "stopped before the first step: there is nothing to save"
              : "stopped after step "
                  + step
                  + (saving.directory() == null
                      ? ""
                      : ": checkpoint saved; continue with --resume"));
    }
    return new Outcome(step, loss(), lastEvaluation, stopped, ended);
  }

  /** Saves the last whole step before an exception ends the run. */
  private void salvage(Watchers all, Throwable t) {
    try {
      saving.settle(all);
      boolean tried = t instanceof DivergedException || t instanceof SaveException;
      if (!tried && stepsHere > 0 && !saving.isSaved(step) && training.isWhole()) {
        save(all, Saving.How.NOW);
      }
    } catch (RuntimeException | Error e) {
      t.addSuppressed(e);
    }
  }

  /** Writes a checkpoint, if there is a directory. */
  private void save(Watchers all, Saving.How how) {
    String notFinite = bad.notFinite(step, all);
    if (notFinite != null) {
      throw diverged(notFinite + " not finite: training diverged", all);
    }
    saving.save(step, sequences, targets, evaluated(), how, all);
  }

  private @Nullable Evaluation evaluated() {
    return evaluatedStep == step ? lastEvaluation : null;
  }

  private DivergedException diverged(String what, Watchers all) {
    Runnable save =
        () -> saving.save(step, sequences, targets, evaluated(), Saving.How.BESIDE_ALL, all);
    return bad.diverged(what, step, save, all);
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
          hooks;
          Evaluator _ = evaluator) {
        new Watchers(watchers).close();
      }
    } finally {
      running.unlock();
    }
  }
}
