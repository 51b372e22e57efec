package dev.javelin.train;

import dev.javelin.train.checkpoint.TrainingState;
import dev.javelin.train.data.BatchSource;
import dev.javelin.train.data.InputException;
import dev.javelin.train.data.Rows;
import dev.javelin.train.settings.BatchSpec;
import dev.javelin.train.settings.RunSettings;
import dev.javelin.train.settings.RunSpec;
import org.jspecify.annotations.Nullable;

/**
 * How many steps a run has: what {@code --max-steps}, {@code --epochs} and {@code --max-tokens}
 * say, whichever ends first, counted from where it stands, so that steps of another size before a
 * resume count as what they read.
 *
 * @param source the stream of the run's rows
 * @param rows that the stream repeats in each epoch
 * @param examples whether they are examples rather than running text
 * @param step done so far
 * @param place of the next row
 * @param tokens targets seen so far
 */
record RunLength(
    BatchSource source, Rows rows, boolean examples, long step, long place, long tokens) {

  /**
   * @param state of the checkpoint that the run goes on from; null for a fresh one
   */
  static RunLength of(BatchSource source, Task task, @Nullable TrainingState state) {
    return state == null
        ? new RunLength(source, task.train(), task.examples(), 0, 0, 0)
        : new RunLength(
            source, task.train(), task.examples(), state.step(), state.sequences(), state.tokens());
  }

  /**
   * @throws InputException where there are more than 2 billion
   */
  int steps(RunSettings settings) {
    RunSpec run = settings.run();
    Long most = settings.stop().maxTokens();
    double byTokens = most == null ? Double.POSITIVE_INFINITY : stepsFor(rowsOf(most), settings);
    boolean byRows = run.maxSteps() == null && (run.epochs() != null || examples && most == null);
    double steps =
        byRows
            ? stepsFor(run.rows(rows.count()), settings)
            : run.maxSteps() != null || most == null
                ? run.steps(rows.count(), 1, examples)
                : Double.POSITIVE_INFINITY;
    double all = Math.max(1, Math.min(steps, byTokens));
    if (all > Integer.MAX_VALUE) {
      throw new InputException(
          (byTokens < steps ? "--max-tokens" : "--epochs") + ": that is more than 2 billion steps");
    }
    return (int) all;
  }

  /** Steps after which so many rows are read, in all. */
  private double stepsFor(double allRows, RunSettings settings) {
    BatchSpec batch = settings.batch();
    int ramp = batch.batchRamp() == null ? 0 : batch.batchRamp().steps();
    double left = allRows - place;
    long s = step;
    while (left > 0 && s < ramp) {
      left -= batch.sequences(s++);
    }
    return s + Math.ceil(Math.max(0, left) / batch.sequences());
  }

  /** Rows in which so many targets are seen, in all: whole epochs, and the rest row by row. */
  private double rowsOf(long most) {
    long left = most - tokens;
    if (left <= 0) {
      return place;
    }
    long epoch = 0;
    for (long row = 0; row < rows.count(); row++) {
      epoch += rows.targets(row);
    }
    if (epoch == 0) {
      return Double.POSITIVE_INFINITY;
    }
    double whole = (double) (left / epoch) * rows.count();
    left %= epoch;
    long rest = 0;
    while (left > 0) {
      left -= source.targets(place + rest++, 1);
    }
    return place + whole + rest;
  }
}
