package dev.javelin.train.monitor;

/** Something that follows a run. Called on the training thread, between steps. */
public interface Watcher extends AutoCloseable {
  /** After every step, logged or not. */
  default void advanced(long step) {}

  /** After a step whose numbers are logged. */
  default void logged(StepMetrics metrics) {}

  /** Something happened that a reader of the log wants to know: one line. */
  default void note(String line) {}

  /** Never throws a checked exception: what cannot be written is reported as it happens. */
  @Override
  default void close() {}
}
