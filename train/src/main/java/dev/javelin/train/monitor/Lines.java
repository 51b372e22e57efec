package dev.javelin.train.monitor;

import java.time.Duration;
import java.util.Locale;
import java.util.function.Consumer;

/** A run as plain lines: for a log file, a pipe, or a terminal that is none. */
public final class Lines implements Watcher {
  private final long maxSteps;
  private final Consumer<String> out;

  public Lines(long maxSteps, Consumer<String> out) {
    this.maxSteps = maxSteps;
    this.out = out;
  }

  @Override
  public void logged(StepMetrics m) {
    StringBuilder s = new StringBuilder(160);
    s.append("step ").append(m.step()).append('/').append(maxSteps).append(" | ").append(brief(m));
    s.append(String.format(Locale.ROOT, " | norm %.3f | lr %.3g", m.gradNorm(), m.lr()));
    s.append(String.format(Locale.ROOT, " | %.1f ms", m.stepMs()));
    if (m.lossScale() != 1 || m.skipped() > 0) {
      s.append(String.format(Locale.ROOT, " | scale %.0f", m.lossScale()));
      s.append(" | skipped ").append(m.skipped());
    }
    double seconds = (maxSteps - m.step()) * m.stepMs() / 1000;
    if (Double.isFinite(seconds) && m.step() < maxSteps) {
      s.append(" | ETA ").append(clock(Duration.ofSeconds(Math.round(seconds))));
    }
    out.accept(s.toString());
  }

  @Override
  public void note(String line) {
    out.accept(line);
  }

  /** {@code loss 2.3456 | val 2.4567 | 45,678 tok/s} */
  public static String brief(StepMetrics m) {
    String val =
        m.evalLoss() == null ? "" : String.format(Locale.ROOT, " | val %.4f", m.evalLoss());
    return String.format(
        Locale.ROOT, "loss %.4f%s | %,.0f tok/s", m.loss(), val, m.tokensPerSecond());
  }

  /** {@code 1:02:03} or {@code 2:03} */
  static String clock(Duration d) {
    return d.toHours() > 0
        ? String.format(
            Locale.ROOT, "%d:%02d:%02d", d.toHours(), d.toMinutesPart(), d.toSecondsPart())
        : String.format(Locale.ROOT, "%d:%02d", d.toMinutes(), d.toSecondsPart());
  }
}
