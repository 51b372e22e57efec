package dev.javelin.train;

import dev.javelin.tensor.step.StepState;
import dev.javelin.train.checkpoint.Checkpoint;
import dev.javelin.train.checkpoint.Checkpoints;
import dev.javelin.train.checkpoint.PendingSave;
import dev.javelin.train.checkpoint.TrainingState;
import dev.javelin.train.eval.Evaluation;
import dev.javelin.train.event.CheckpointEvent;
import dev.javelin.train.hook.Hooks;
import dev.javelin.train.hook.Stateful;
import dev.javelin.train.monitor.Watchers;
import dev.javelin.train.optim.Optimizer;
import dev.javelin.train.optim.OptimizerFile;
import dev.javelin.train.run.RunDirectory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * The checkpoints of a training: what goes into them, which is the best, what is read back. One may
 * be on its way to the disk while the run goes on; {@link #settle} waits for it.
 */
final class Saving {
  private final Training parts;
  private final OptimizerFile optimizerFile;
  private final StepState state;
  private final Hooks hooks;
  private final List<Stateful> remembering = new ArrayList<>();
  private @Nullable RunDirectory directory;
  private @Nullable Double bestLoss;
  private long bestStep;
  private @Nullable Checkpoint saved; // the newest, or the one resumed from
  private @Nullable Writing writing;

  Saving(Training parts, Optimizer optimizer, StepState state, Hooks hooks) {
    this.parts = parts;
    this.optimizerFile = new OptimizerFile(parts.parameters, optimizer);
    this.state = state;
    this.hooks = hooks;
    remembering.addAll(hooks.all());
    remembering.addAll(parts.stopRules);
    if (parts.rate instanceof Stateful rate) {
      remembering.add(rate);
    }
  }

  void into(RunDirectory into) {
    directory = into;
  }

  @Nullable RunDirectory directory() {
    return directory;
  }

  /** The newest checkpoint, or the one that the run has gone on from. */
  @Nullable Checkpoint newest() {
    return saved;
  }

  /** The best validation loss of those that were saved. */
  @Nullable Double bestLoss() {
    return bestLoss;
  }

  boolean isSaved(long step) {
    return saved != null && saved.step() == step;
  }

  /**
   * Takes up all that is not in the model's own files.
   *
   * @param override whether another optimizer, precision or choice of parameters is meant
   * @return what begins anew, a line each
   */
  List<String> resume(Checkpoint checkpoint, boolean override) {
    TrainingState s = checkpoint.state();
    List<String> notes = new ArrayList<>();
    StepState.Carried carried = s.carried();
    if (override) {
      Set<String> anew = optimizerFile.adopt(checkpoint.directory());
      if (!anew.isEmpty()) {
        notes.add("of the optimizer's state, %s begins anew".formatted(String.join(", ", anew)));
        // Averages that begin at zero are corrected by the number of steps they have seen.
        carried =
            new StepState.Carried(
                carried.lossScale(), carried.growthTracker(), 0, carried.skippedSteps());
      }
      if (!s.model().equals(parts.description)) {
        carried =
            new StepState.Carried(
                state.lossScale(), 0, carried.appliedSteps(), carried.skippedSteps());
      }
    } else {
      optimizerFile.load(checkpoint.directory());
    }
    state.restore(carried);
    hooks.read(checkpoint.directory());
    for (Stateful part : remembering) {
      Map<String, double[]> kept = s.parts().get(part.name());
      if (kept != null) {
        part.restore(kept);
      }
    }
    bestLoss = s.bestLoss();
    bestStep = s.bestStep();
    saved = checkpoint;
    return notes;
  }

  /**
   * Puts weights, optimizer and loss scale back to the newest checkpoint of at most so many steps;
   * what has been seen since, such as the best loss, stays known.
   *
   * @return {@code null} where there is none
   */
  @Nullable Checkpoint rollBack(long atMost) {
    Checkpoint to = directory == null ? null : directory.goBack(atMost);
    if (to == null && saved != null && saved.step() <= atMost) {
      to = saved; // of another directory
    }
    if (to == null || !Files.isDirectory(to.directory())) {
      return null;
    }
    saved = to;
    Path from = to.directory();
    parts.restore.accept(from);
    optimizerFile.load(from);
    state.restore(to.state().carried());
    hooks.read(from);
    return to;
  }

  /**
   * Says what has come of the checkpoint that is on its way, where that is known by now.
   *
   * @throws dev.javelin.train.checkpoint.SaveException where it could not be written
   */
  void look(Watchers all) {
    if (writing != null && writing.isDone()) {
      settle(all);
    }
  }

  /** The same for any that is on its way: waits for it. */
  void settle(Watchers all) {
    Writing last = writing;
    if (last != null) {
      writing = null;
      written(last.await(), all);
    }
  }

  private void written(Checkpoint checkpoint, Watchers all) {
    saved = checkpoint;
    all.saved(checkpoint);
    all.note("saved " + checkpoint.directory());
  }

  /** How a checkpoint is written. */
  enum How {
    /** While the run goes on, unless the training wants it otherwise. */
    MEANWHILE,
    /** Before the call returns. */
    NOW,
    /** The same for a run that went wrong: no older one is deleted. */
    BESIDE_ALL
  }

  /**
   * Writes a checkpoint of the state after {@code step}, once the one before is on the disk.
   *
   * @param evaluation of that step; {@code null} where there was none
   */
  void save(
      long step,
      long sequences,
      long targets,
      @Nullable Evaluation evaluation,
      How how,
      Watchers all) {
    settle(all);
    RunDirectory into = directory;
    if (into == null) {
      return;
    }
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
                parts.description)
            .withParts(remembered());
    Checkpoints.Content content =
        files -> {
          parts.files.write(files);
          optimizerFile.save(files);
          hooks.write(files);
        };
    CheckpointEvent event = CheckpointEvent.begun();
    switch (how) {
      case MEANWHILE -> {
        PendingSave pending = parts.asyncSave ? begin(into, now, content, all) : null;
        if (pending == null) {
          written(into.save(now, content), all);
        } else {
          writing = new Writing(pending);
        }
      }
      case NOW -> written(into.save(now, content), all);
      case BESIDE_ALL -> written(into.saveBesideAll(now, content), all);
    }
    event.done(step, into.path(), writing != null);
  }

  private static @Nullable PendingSave begin(
      RunDirectory into, TrainingState now, Checkpoints.Content content, Watchers all) {
    try {
      return into.beginSave(now, content);
    } catch (OutOfMemoryError e) {
      all.note("no memory to hold a checkpoint: the run waits while it is written");
      return null;
    }
  }

  private Map<String, Map<String, double[]>> remembered() {
    Map<String, Map<String, double[]>> remembered = new LinkedHashMap<>();
    for (Stateful part : remembering) {
      Map<String, double[]> kept = part.save();
      if (!kept.isEmpty()) {
        remembered.put(part.name(), kept);
      }
    }
    return remembered;
  }
}
