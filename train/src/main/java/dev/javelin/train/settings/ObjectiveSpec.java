package dev.javelin.train.settings;

/**
 * What a run makes small.
 *
 * @param objective one of {@code dev.javelin.train.Objectives}' names
 */
public record ObjectiveSpec(String objective) {
  /** What a run has where nothing else is said. */
  public static final ObjectiveSpec DEFAULT = new ObjectiveSpec("next-token");

  public ObjectiveSpec withObjective(String value) {
    return Components.with(this, "objective", value);
  }
}
