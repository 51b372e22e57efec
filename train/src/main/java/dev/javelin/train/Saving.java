package dev.javelin.train;

import dev.javelin.tensor.step.StepState;
import dev.javelin.train.checkpoint.Checkpoint;
import dev.javelin.train.checkpoint.Checkpoints;
import dev.javelin.train.checkpoint.TrainingState;
import dev.javelin.train.eval.Evaluation;
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
import org.jspecify.annotations.Nullable;

/** The checkpoints of a training: what goes into them, which is the best, what is read back. */
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

  /** Takes up all that is not in the model's own files. */
  void resume(Checkpoint checkpoint) {
    TrainingState s = checkpoint.state();
    optimizerFile.load(checkpoint.directory());
    state.restore(s.carried());
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
  }

  /**
   * Puts weights, optimizer and loss scale back to the newest checkpoint; what has been seen since,
   * such as the best loss, stays known.
   *
   * @return {@code null} where there is none
   */
  @Nullable Checkpoint rollBack() {
    Checkpoint to = saved;
    if (to == null || !Files.isDirectory(to.directory())) {
      return null;
    }
    Path from = to.directory();
    parts.restore.accept(from);
    optimizerFile.load(from);
    state.restore(to.state().carried());
    hooks.read(from);
    return to;
  }

  /**
   * Writes a checkpoint of the state after {@code step}.
   *
   * @param evaluation of that step; {@code null} where there was none
   * @param besideAll whether no older one may be deleted, since the run went wrong
   */
  void save(
      long step,
      long sequences,
      long targets,
      @Nullable Evaluation evaluation,
      boolean besideAll,
      Watchers all) {
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
    Checkpoint written = besideAll ? into.saveBesideAll(now, content) : into.save(now, content);
    saved = written;
    all.saved(written);
    all.note("saved " + written.directory());
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
