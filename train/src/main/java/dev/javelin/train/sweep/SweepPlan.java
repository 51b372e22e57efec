package dev.javelin.train.sweep;

import dev.javelin.train.data.InputException;
import dev.javelin.train.settings.RunSettings;
import dev.javelin.train.settings.Setting;
import dev.javelin.train.settings.SweepFile;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.SequencedMap;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * Which runs a sweep makes.
 *
 * @param fixed what all runs have in common
 * @param axes what differs between them
 * @param method how values are chosen
 * @param samples how many runs {@link Method#RANDOM} and {@link Method#HALVING} draw; {@code null}
 *     for every combination of the axes' values
 * @param seed of what is drawn
 * @param eta of {@link Method#HALVING}: after each round one in {@code eta} goes on, for {@code
 *     eta} times as many steps
 * @param firstSteps of its first round; {@code null} for a round that leaves at least one run after
 *     all rounds
 * @param folds how many folds each run is repeated on; 0 for none
 */
public record SweepPlan(
    RunSettings fixed,
    List<Axis> axes,
    Method method,
    @Nullable Integer samples,
    long seed,
    int eta,
    @Nullable Integer firstSteps,
    int folds) {
  private static final int MOST_RUNS = 100_000;

  /** How the values of the axes are chosen. */
  public enum Method {
    /** Every combination, the last axis changing fastest. */
    GRID,
    /**
     * Drawn by the seed, no combination twice (Bergstra and Bengio 2012).
     *
     * @see <a href="https://jmlr.org/papers/v13/bergstra12a.html">Random search</a>
     */
    RANDOM,
    /**
     * Successive halving: all begin, the better part goes on.
     *
     * @see <a href="https://arxiv.org/abs/1502.07943">Non-stochastic best arm identification</a>
     */
    HALVING
  }

  public SweepPlan {
    axes = List.copyOf(axes);
    require(samples == null || samples >= 1, "--samples must be at least 1, got " + samples);
    require(eta >= 2, "--eta must be at least 2, got " + eta);
    require(firstSteps == null || firstSteps >= 1, "--first-steps must be at least 1");
    require(folds == 0 || folds >= 2, "--folds must be at least 2, got " + folds);
    require(
        folds == 0 || method != Method.HALVING,
        "--folds cannot be combined with --method halving: give one of them");
    boolean ranges = axes.stream().anyMatch(Axis.Range.class::isInstance);
    require(
        !ranges || method != Method.GRID,
        "uniform and loguniform are drawn: use --method random or halving");
    require(
        method != Method.HALVING || fixed.run().maxSteps() != null,
        "--method halving needs max_steps, the steps of the runs that survive");
    require(
        firstSteps == null
            || fixed.run().maxSteps() == null
            || firstSteps <= fixed.run().maxSteps(),
        "--first-steps is more than max_steps");
  }

  private static void require(boolean holds, String message) {
    if (!holds) {
      throw new InputException(message);
    }
  }

  /**
   * Reads settings of which some are lists, or {@code uniform(a, b)} and {@code loguniform(a, b)}.
   *
   * @param overrides settings by key, in place of the file's
   */
  public static SweepPlan read(Path yaml, Map<String, ?> overrides, Method method) {
    List<Axis> axes = new ArrayList<>();
    RunSettings fixed =
        SweepFile.read(
            yaml,
            Axis.Range::isRange,
            (setting, values) ->
                axes.add(
                    values.size() == 1 && Axis.Range.isRange(String.valueOf(values.getFirst()))
                        ? Axis.Range.parse(setting, String.valueOf(values.getFirst()))
                        : new Axis.Choice(setting, values)));
    for (String key : overrides.keySet()) {
      axes.removeIf(axis -> axis.setting().equals(Setting.named(key)));
    }
    return new SweepPlan(fixed.with(overrides), axes, method, null, 1, 3, null, 0);
  }

  public SweepPlan withSamples(@Nullable Integer count, long drawnBy) {
    return new SweepPlan(fixed, axes, method, count, drawnBy, eta, firstSteps, folds);
  }

  public SweepPlan withHalving(int newEta, @Nullable Integer newFirstSteps) {
    return new SweepPlan(fixed, axes, method, samples, seed, newEta, newFirstSteps, folds);
  }

  public SweepPlan withFolds(int count) {
    return new SweepPlan(fixed, axes, method, samples, seed, eta, firstSteps, count);
  }

  /** The values of each run, by key; one run of no values where there are no axes. */
  public List<SequencedMap<String, Object>> trials() {
    List<SequencedMap<String, Object>> grid =
        method == Method.GRID || samples == null ? grid() : null;
    if (method == Method.GRID && grid != null) {
      return grid;
    }
    Random random = new Random(seed);
    if (grid != null) {
      Collections.shuffle(grid, random);
      return grid;
    }
    int wanted = samples == null ? 0 : samples;
    Set<SequencedMap<String, Object>> drawn = new LinkedHashSet<>();
    for (int tries = 0; drawn.size() < wanted && tries < 100 * wanted; tries++) {
      SequencedMap<String, Object> trial = new LinkedHashMap<>();
      axes.forEach(axis -> trial.put(axis.setting().key(), axis.draw(random)));
      drawn.add(trial);
    }
    return List.copyOf(drawn);
  }

  private List<SequencedMap<String, Object>> grid() {
    List<SequencedMap<String, Object>> all = new ArrayList<>();
    all.add(new LinkedHashMap<>());
    for (Axis axis : axes) {
      if (!(axis instanceof Axis.Choice choice)) {
        throw new InputException(
            axis.setting().flag() + " has no end of values: say how many to draw with --samples");
      }
      List<SequencedMap<String, Object>> longer = new ArrayList<>();
      for (SequencedMap<String, Object> begun : all) {
        for (Object value : choice.values()) {
          SequencedMap<String, Object> trial = new LinkedHashMap<>(begun);
          trial.put(axis.setting().key(), value);
          longer.add(trial);
        }
      }
      require(
          longer.size() <= MOST_RUNS,
          "the axes have more than %,d combinations: draw some with --method random --samples N"
              .formatted(MOST_RUNS));
      all = longer;
    }
    return all;
  }

  /** The steps after which each round of {@link Method#HALVING} ends; the last is the run's own. */
  List<Integer> rounds(int runs) {
    int all = fixed.run().maxSteps() == null ? 0 : fixed.run().maxSteps();
    List<Integer> rounds = new ArrayList<>();
    long steps = all;
    long left = runs;
    while (steps >= 1 && (firstSteps == null ? left >= 1 : steps >= firstSteps)) {
      rounds.add((int) steps);
      steps /= eta;
      left /= eta;
    }
    return rounds.isEmpty() ? List.of(all) : rounds.reversed();
  }
}
