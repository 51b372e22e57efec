package dev.javelin.train.schedule;

/**
 * The learning rate of each step. One that remembers what it has seen is also {@link
 * dev.javelin.train.hook.Stateful}, and saved with the run.
 */
public interface LearningRate {
  /** The learning rate used by step {@code step}, counted from 0. */
  double at(long step);

  /** A validation loss after {@code step} steps. */
  default void evaluated(long step, double loss) {}
}
