package dev.javelin.train;

import dev.javelin.train.checkpoint.Checkpoint;
import dev.javelin.train.checkpoint.TrainingState;
import dev.javelin.train.data.InputException;
import dev.javelin.train.run.RunDirectory;
import dev.javelin.train.schedule.LearningRate;
import dev.javelin.train.schedule.Schedule;
import dev.javelin.train.settings.RewarmupSpec;
import dev.javelin.train.settings.RunSettings;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Locale;
import java.util.function.Consumer;
import java.util.function.ToIntFunction;
import org.jspecify.annotations.Nullable;

/**
 * Where a second warm-up begins, and at which rate: what the settings leave open follows from the
 * run that made the weights. What comes out has it all, so that it goes into the run's
 * configuration and a run that is resumed again finds the warm-up where it was.
 */
final class Rewarming {
  private Rewarming() {}

  /**
   * @param here the directory of the run
   * @param resumed the checkpoint that it goes on from; null for a fresh run
   * @param model the directory of the model it begins with; null where it begins with random
   *     weights
   * @param steps how many steps a run of some settings has on these data
   * @throws InputException where there are no weights to train on, or no steps
   */
  static RunSettings settled(
      RunSettings config,
      RunDirectory here,
      @Nullable Checkpoint resumed,
      @Nullable Path model,
      ToIntFunction<RunSettings> steps,
      Consumer<String> notes) {
    if (!config.rewarmup().rewarmup()) {
      return config;
    }
    RunSettings settled =
        resumed != null
            ? resumed(config, here, resumed, steps)
            : model != null ? onModel(config, model) : config;
    Integer at = settled.rewarmup().rewarmupAt();
    if (at == null) {
      throw new InputException(
          "--rewarmup trains weights on: name a checkpoint with --resume, or a model directory with --model");
    }
    int end = steps.applyAsInt(settled);
    if (settled.lrSchedule(end) instanceof Schedule.Rewarmup warm) {
      notes.accept(
          String.format(
              Locale.ROOT,
              "the learning rate warms up again: from %.3g at step %d to %.3g in %d steps, then to %.3g at step %d",
              warm.from(),
              at,
              warm.max(),
              warm.warmup(),
              warm.min(),
              end));
    }
    return settled;
  }

  /** The schedule so far is held as it is, whatever the number of steps is now. */
  private static RunSettings resumed(
      RunSettings config, RunDirectory here, Checkpoint resumed, ToIntFunction<RunSettings> steps) {
    RunSettings own = at(here.path());
    if (own != null && own.rewarmup().rewarmupAt() instanceof Integer begun) {
      Integer asked = config.rewarmup().rewarmupAt();
      if (asked == null || asked.equals(begun)) {
        Double from = own.rewarmup().rewarmupFrom();
        return config
            .withRewarmup(r -> r.withRewarmupAt(begun).withRewarmupFrom(from))
            .withSchedule(s -> s.orAs(own.schedule()));
      }
    }
    RunSettings before = at(parent(resumed.directory()));
    before = before == null ? config.withRewarmup(r -> RewarmupSpec.DEFAULT) : before;
    int end = steps.applyAsInt(before);
    LearningRate first = before.lrSchedule(end);
    int step = (int) resumed.step();
    RunSettings held = before.withSchedule(s -> s.held(end));
    return config
        .withSchedule(s -> s.orAs(held.schedule()))
        .withRewarmup(
            r -> {
              int begin = r.rewarmupAt() == null ? step : r.rewarmupAt();
              boolean open = r.rewarmupFrom() == null && begin > 0;
              return r.withRewarmupAt(begin)
                  .withRewarmupFrom(open ? Double.valueOf(first.at(begin - 1)) : r.rewarmupFrom());
            });
  }

  /** Weights of a run that has left its configuration beside them, or of whatever else. */
  private static RunSettings onModel(RunSettings config, Path model) {
    RewarmupSpec asked = config.rewarmup();
    if (asked.rewarmupAt() != null && asked.rewarmupAt() > 0) {
      return config;
    }
    RunSettings begun = config.withRewarmup(r -> r.withRewarmupAt(0));
    Path directory = model.toAbsolutePath().normalize();
    RunSettings before =
        Files.isRegularFile(directory.resolve(TrainingState.FILE)) ? at(parent(directory)) : null;
    if (before == null) {
      return begun;
    }
    long step = TrainingState.read(directory).step();
    double last = step == 0 ? 0 : before.lrSchedule(lastStep(before, step)).at(step - 1);
    double rate = before.peakLearningRate();
    return begun.withRewarmup(
        r ->
            r.withRewarmupFrom(r.rewarmupFrom() == null ? Double.valueOf(last) : r.rewarmupFrom())
                .withRewarmupLearningRate(
                    r.rewarmupLearningRate() == null && config.schedule().learningRate() == null
                        ? Double.valueOf(rate * RewarmupSpec.PART_OF_PEAK)
                        : r.rewarmupLearningRate()));
  }

  private static int lastStep(RunSettings before, long step) {
    Integer max = before.run().maxSteps();
    return max == null ? (int) step : max;
  }

  private static @Nullable Path parent(Path checkpoint) {
    return checkpoint.toAbsolutePath().normalize().getParent();
  }

  private static @Nullable RunSettings at(@Nullable Path run) {
    Path file = run == null ? null : run.resolve(RunDirectory.CONFIG_FILE);
    return file != null && Files.isRegularFile(file) ? RunSettings.DEFAULT.with(file) : null;
  }
}
