package dev.javelin.train.settings;

/**
 * What a run shows of itself beside its metrics.
 *
 * @param report whether {@code report.html} is written
 */
public record MonitorSpec(boolean report) {
  public static final MonitorSpec DEFAULT = new MonitorSpec(true);

  public MonitorSpec withReport(boolean value) {
    return Components.with(this, "report", value);
  }
}
