package dev.javelin.train.settings;

import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * What a run shows of itself beside its metrics.
 *
 * @param report whether {@code report.html} is written
 * @param sampleEvery steps between texts that the model writes; 0 for none; {@code null} for one at
 *     each evaluation
 * @param samplePrompt what these texts go on from; {@code null} for nothing
 * @param healthEvery steps between readings of the layers; 0 for none; {@code null} for {@link
 *     RunSpec#loggingSteps}
 * @param noiseScale whether the gradient noise scale is measured, where a step has several
 *     micro-batches
 * @param traceStep the step of which {@code trace-N.json} is written; {@code null} for none
 * @param xrayAt numbers of steps done, after which the next one is taken apart in {@code xray.html}
 * @param xrayText on which text; {@code null} for one of its own
 */
public record MonitorSpec(
    boolean report,
    @Nullable Integer sampleEvery,
    @Nullable String samplePrompt,
    @Nullable Integer healthEvery,
    boolean noiseScale,
    @Nullable Integer traceStep,
    List<Integer> xrayAt,
    @Nullable String xrayText) {
  public static final MonitorSpec DEFAULT =
      new MonitorSpec(true, null, null, null, true, null, List.of(), null);

  private static final int MOST_XRAYS = 16;

  public MonitorSpec {
    Checks.atLeast(0, "--sample-every", sampleEvery);
    Checks.atLeast(0, "--health-every", healthEvery);
    Checks.atLeast(1, "--trace-step", traceStep);
    xrayAt = List.copyOf(xrayAt);
    xrayAt.forEach(step -> Checks.atLeast(0, "--xray-at", step));
    Checks.require(
        xrayAt.size() <= MOST_XRAYS,
        "--xray-at may name " + MOST_XRAYS + " steps at most, got " + xrayAt.size());
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

  public MonitorSpec withHealthEvery(@Nullable Integer value) {
    return Components.with(this, "healthEvery", value);
  }

  public MonitorSpec withNoiseScale(boolean value) {
    return Components.with(this, "noiseScale", value);
  }

  public MonitorSpec withTraceStep(@Nullable Integer value) {
    return Components.with(this, "traceStep", value);
  }

  public MonitorSpec withXrayAt(List<Integer> value) {
    return Components.with(this, "xrayAt", value);
  }

  public MonitorSpec withXrayText(@Nullable String value) {
    return Components.with(this, "xrayText", value);
  }
}
