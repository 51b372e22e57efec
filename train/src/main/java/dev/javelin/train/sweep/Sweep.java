package dev.javelin.train.sweep;

import dev.javelin.tensor.io.AtomicFile;
import dev.javelin.train.ClassifierRun;
import dev.javelin.train.Run;
import dev.javelin.train.Trainer;
import dev.javelin.train.checkpoint.Checkpoint;
import dev.javelin.train.checkpoint.Checkpoints;
import dev.javelin.train.checkpoint.SaveException;
import dev.javelin.train.data.Fold;
import dev.javelin.train.data.InputException;
import dev.javelin.train.monitor.MetricsFile;
import dev.javelin.train.monitor.StepMetrics;
import dev.javelin.train.run.RunDirectory;
import dev.javelin.train.settings.RunSettings;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.SequencedMap;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * The runs of a plan, one after another, each in a directory of its own: {@code trial-001} …, or
 * {@code trial-001/fold-1} …. What is finished is not repeated, and what was stopped goes on, so a
 * sweep is continued by starting it again. A run that fails does not end the others.
 *
 * <p>One thread runs it; {@link #requestStop} is for any.
 */
public final class Sweep {
  private static final String TRIAL = "trial-%03d";

  private final SweepPlan plan;
  private final Path directory;
  private final Consumer<String> progress;
  private @Nullable Trainer running; // guarded by this
  private boolean stopping; // guarded by this

  /**
   * @param directory of the sweep
   * @param progress takes a line for each run that ends
   */
  public Sweep(SweepPlan plan, Path directory, Consumer<String> progress) {
    this.plan = plan;
    this.directory = directory;
    this.progress = progress;
  }

  /** Ends the run in progress after its step, with a checkpoint, and the sweep with it. */
  public synchronized void requestStop() {
    stopping = true;
    if (running != null) {
      running.requestStop();
    }
  }

  /** Whether it was stopped before its end. */
  public synchronized boolean isStopped() {
    return stopping;
  }

  /**
   * Makes all runs.
   *
   * @return the trials, the best first, those without a loss last
   * @throws InputException where the settings of a trial are not valid, before anything runs
   * @throws dev.javelin.train.checkpoint.SaveException where the disk is full
   */
  public List<Trial> run() throws IOException {
    List<Trial> trials = new ArrayList<>();
    for (SequencedMap<String, Object> values : plan.trials()) {
      settings(values); // all are valid, or none runs
      Path own = directory.resolve(String.format(Locale.ROOT, TRIAL, trials.size() + 1));
      trials.add(new Trial(own, values, 0, null, null, null));
    }
    boolean halving = plan.method() == SweepPlan.Method.HALVING;
    List<Integer> rounds = halving ? plan.rounds(trials.size()) : List.of(0);
    int left = trials.size();
    for (int steps : rounds) {
      for (int i = 0; i < left && !isStopped(); i++) {
        trials.set(i, done(trials.get(i), steps));
        progress.accept(line(trials.get(i), i + 1, left));
      }
      if (isStopped()) {
        break; // the order of a round that is not whole says nothing
      }
      trials.subList(0, left).sort(BEST_FIRST);
      left = Math.max(1, left / plan.eta());
    }
    if (!halving) {
      trials.sort(BEST_FIRST);
    }
    return trials;
  }

  private static final Comparator<Trial> BEST_FIRST =
      Comparator.comparing(Trial::loss, Comparator.nullsLast(Comparator.naturalOrder()));

  private static String line(Trial t, int number, int of) {
    String what =
        t.failure() != null
            ? t.failure()
            : t.loss() == null
                ? "stopped"
                : String.format(Locale.ROOT, "loss %.4f after %,d steps", t.loss(), t.steps());
    return "%d/%d %s %s: %s".formatted(number, of, t.name(), t.values(), what);
  }

  private RunSettings settings(SequencedMap<String, Object> values) {
    return plan.fixed().with(values);
  }

  /**
   * @param steps to go on to; 0 for the run's own
   */
  private Trial done(Trial trial, int steps) {
    try {
      RunSettings settings = settings(trial.values());
      if (plan.folds() == 0) {
        return one(trial, shortened(settings, steps));
      }
      List<Double> losses = new ArrayList<>();
      long done = 0;
      for (int k = 1; k <= plan.folds() && !isStopped(); k++) {
        Fold fold = new Fold(k, plan.folds());
        Path own = trial.directory().resolve("fold-" + k);
        Trial part =
            one(
                new Trial(own, trial.values(), 0, null, null, null),
                settings.withData(d -> d.withFold(fold)));
        done += part.steps();
        if (part.loss() != null) {
          losses.add(part.loss());
        }
      }
      return losses.size() < plan.folds() ? trial : folded(trial, done, losses);
    } catch (SaveException e) {
      throw e; // the next run would meet the same disk
    } catch (RuntimeException | IOException | OutOfMemoryError e) {
      String message = e.getMessage();
      return trial.failed(message == null ? e.getClass().getSimpleName() : message);
    }
  }

  private static Trial folded(Trial trial, long steps, List<Double> losses) {
    double mean = losses.stream().mapToDouble(x -> x).average().orElse(Double.NaN);
    double squares = losses.stream().mapToDouble(x -> (x - mean) * (x - mean)).sum();
    double deviation = Math.sqrt(squares / (losses.size() - 1));
    return new Trial(trial.directory(), trial.values(), steps, mean, deviation, null);
  }

  /** The same run up to an earlier step: its learning rate is that of the whole. */
  private static RunSettings shortened(RunSettings settings, int steps) {
    return steps == 0 ? settings : settings.effective().withRun(r -> r.withMaxSteps(steps));
  }

  private Trial one(Trial trial, RunSettings wanted) throws IOException {
    Path own = trial.directory();
    RunSettings settings = wanted.withRun(r -> r.withOutputDir(own).withQuiet(true));
    requireSame(own, settings);
    Checkpoint newest = new Checkpoints(own, 0).newest().orElse(null);
    Integer steps = settings.run().maxSteps();
    if (newest == null || steps == null || newest.step() < steps) {
      train(newest == null ? settings : settings.withRun(r -> r.withResume("auto")));
      newest = new Checkpoints(own, 0).newest().orElse(null);
    }
    if (newest == null || isStopped()) {
      return trial;
    }
    Double best = newest.state().bestLoss();
    return new Trial(
        own, trial.values(), newest.step(), best == null ? last(own) : best, null, null);
  }

  private static @Nullable Double last(Path run) throws IOException {
    List<StepMetrics> lines = MetricsFile.read(run.resolve(RunDirectory.METRICS_FILE));
    return lines.isEmpty() ? null : lines.getLast().loss();
  }

  /** Its number alone says which trial a directory holds, and the file of the sweep may change. */
  private static void requireSame(Path own, RunSettings settings) {
    Path config = own.resolve(RunDirectory.CONFIG_FILE);
    if (!Files.isRegularFile(config)) {
      return;
    }
    RunSettings written = RunSettings.DEFAULT.with(config);
    boolean found = settings.rewarmup().rewarmup() && settings.rewarmup().rewarmupAt() == null;
    RunSettings before =
        found ? written.withRewarmup(r -> r.asAsked(settings.rewarmup())) : written;
    List<String> changes = normal(before).changes(normal(settings));
    if (!changes.isEmpty()) {
      throw new InputException(
          "%s holds another run (%s): choose another --output-dir for a changed sweep"
              .formatted(own, String.join(", ", changes)));
    }
  }

  /** What may differ between a run and its continuation. */
  private static RunSettings normal(RunSettings s) {
    return s.withRun(
        r ->
            r.withMaxSteps(null)
                .withOutputDir(null)
                .withQuiet(true)
                .withResume(null)
                .withOverride(false));
  }

  private void train(RunSettings settings) throws IOException {
    if (settings.objective().objective().equals(ClassifierRun.OBJECTIVE)) {
      try (ClassifierRun run = ClassifierRun.open(settings)) {
        run(run.trainer());
      }
    } else {
      try (Run run = Run.open(settings)) {
        run(run.trainer());
        run.average();
      }
    }
  }

  private void run(Trainer trainer) throws IOException {
    synchronized (this) {
      running = trainer;
      if (stopping) {
        trainer.requestStop();
      }
    }
    try {
      trainer.run();
    } finally {
      synchronized (this) {
        running = null;
      }
    }
  }

  /**
   * Writes {@code results.csv} into the directory of the sweep, a line a trial.
   *
   * @return the file
   */
  public Path write(List<Trial> trials) {
    Path file = directory.resolve("results.csv");
    List<String> keys = plan.axes().stream().map(axis -> axis.setting().key()).toList();
    StringBuilder csv = new StringBuilder("rank,trial");
    keys.forEach(key -> csv.append(',').append(key));
    csv.append(",loss,deviation,steps,failure\n");
    for (int i = 0; i < trials.size(); i++) {
      Trial t = trials.get(i);
      csv.append(i + 1).append(',').append(t.name());
      keys.forEach(key -> csv.append(',').append(quoted(t.values().get(key))));
      csv.append(',').append(quoted(t.loss())).append(',').append(quoted(t.deviation()));
      csv.append(',').append(t.steps()).append(',').append(quoted(t.failure())).append('\n');
    }
    try {
      Files.createDirectories(directory);
      AtomicFile.write(file, csv.toString());
    } catch (IOException e) {
      throw new UncheckedIOException(file + ": " + e.getMessage(), e);
    }
    return file;
  }

  private static String quoted(@Nullable Object value) {
    String text = value == null ? "" : value.toString();
    boolean plain = text.chars().noneMatch(c -> c == ',' || c == '"' || c == '\n' || c == '\r');
    return plain ? text : "\"" + text.replace("\"", "\"\"") + "\"";
  }
}
