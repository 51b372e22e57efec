package dev.javelin.train.settings;

import org.jspecify.annotations.Nullable;

/**
 * What a run shows of itself beside its metrics.
 *
 * @param report whether {@code report.html} is written
 * @param sampleEvery steps between texts that the model writes; 0 for none; {@code null} for one at
 *     each evaluation
 * @param samplePrompt what these texts go on from; {@code null} for nothing
 */
public record MonitorSpec(
    boolean report, @Nullable Integer sampleEvery, @Nullable String samplePrompt) {
  public static final MonitorSpec DEFAULT = new MonitorSpec(true, null, null);

  public MonitorSpec {
    Checks.atLeast(0, "--sample-every", sampleEvery);
  }

  public MonitorSpec withReport(boolean value) {
    return Components.with(this, "report", value);
  }

  public MonitorSpec withSampleEvery(@Nullable Integer value) {
    return Components.with(this, "sampleEvery", value);
  }

  public MonitorSpec withSamplePrompt(@Nullable String value) {
    return Components.with(this, "samplePrompt", value);
  }
}
