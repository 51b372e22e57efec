package dev.javelin.train.settings;

/**
 * What a run makes small.
 *
 * @param objective one of {@code dev.javelin.train.Objectives}' names
 * @param labelColumn field or column of the class, where texts are classified
 */
public record ObjectiveSpec(String objective, String labelColumn) {
  /** What a run has where nothing else is said. */
  public static final ObjectiveSpec DEFAULT = new ObjectiveSpec("next-token", "label");

  public ObjectiveSpec withObjective(String value) {
    return Components.with(this, "objective", value);
  }

  public ObjectiveSpec withLabelColumn(String value) {
    return Components.with(this, "labelColumn", value);
  }
}
