package dev.javelin.train.hook;

import java.util.Map;

/**
 * A part of a training that remembers something from step to step: what it remembers is saved with
 * each checkpoint, so that a resumed run goes on as if it had not stopped.
 */
public interface Stateful {
  /** The key of its state in {@code training_state.json}, such as {@code early_stopping}. */
  String name();

  /** What it remembers, by key; an array for each. */
  default Map<String, double[]> save() {
    return Map.of();
  }

  /**
   * Takes what {@link #save} gave.
   *
   * @param saved may lack keys where an earlier version wrote it
   */
  default void restore(Map<String, double[]> saved) {}
}
