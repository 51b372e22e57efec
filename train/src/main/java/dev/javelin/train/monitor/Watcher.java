package dev.javelin.train.monitor;

import dev.javelin.train.checkpoint.Checkpoint;
import dev.javelin.train.eval.Evaluation;

/**
 * Something that follows a run: a log, a screen, a rule that stops early. Called on the training
 * thread, between steps, with values that do not change afterwards; the model is at rest meanwhile
 * and may be read, evaluated, or asked for a text. An exception ends the run, with a checkpoint.
 */
public interface Watcher extends AutoCloseable {
  /**
   * Before a step reads its rows.
   *
   * @param step the number that the step will have, from 1 on
   * @param place of its first row in the stream of rows
   * @param rows that it reads, over all micro-batches and ranks
   */
  default void begins(long step, long place, int rows) {}

  /** After every step, logged or not. */
  default void advanced(long step) {}

  /** After an evaluation; a loss that is not finite ends the run afterwards. */
  default void evaluated(long step, Evaluation evaluation) {}

  /** After a step whose numbers are logged. */
  default void logged(StepMetrics metrics) {}

  /** After a checkpoint is written, whole. */
  default void saved(Checkpoint checkpoint) {}

  /** Something happened to the run; a note, for whoever makes nothing else of it. */
  default void event(RunEvent event) {
    note("step " + event.step() + ": " + event.text());
  }

  /** Something happened that a reader of the log wants to know: one line. */
  default void note(String line) {}

  /** The run has ended, in whatever way; the trainer may be run again. */
  default void ended() {}

  /**
   * The trainer is closed. Never throws a checked exception: what cannot be written is reported as
   * it happens.
   */
  @Override
  default void close() {}
}
