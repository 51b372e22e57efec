package dev.javelin.cli;

import dev.javelin.train.monitor.MetricsFile;
import dev.javelin.train.monitor.StepMetrics;
import dev.javelin.train.run.RunDirectory;
import dev.javelin.train.sweep.Trial;
import java.awt.BasicStroke;
import java.awt.Color;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Objects;
import org.knowm.xchart.XYChart;
import org.knowm.xchart.XYSeries;
import org.knowm.xchart.style.markers.SeriesMarkers;

/**
 * The losses of a sweep's runs over their steps: the best in colours with their values, the rest
 * grey.
 */
final class SweepPicture {
  private static final Color[] BEST = {
    new Color(0xd6553d),
    new Color(0x4c78a8),
    new Color(0x3a923a),
    new Color(0x8e6bbf),
    new Color(0xc28a00)
  };
  private static final Color REST = new Color(0xc4c4c4);
  private static final int MOST = 60;

  private SweepPicture() {}

  /**
   * Draws what {@code metrics.jsonl} of each trial, or of its first fold, says; needs two points.
   */
  static boolean draw(Path png, String title, List<Trial> trials) throws IOException {
    XYChart chart = LossCurve.chart(title);
    int shown = Math.min(MOST, trials.size());
    int drawn = 0;
    for (int i = shown - 1; i >= 0; i--) { // the best on top
      Trial t = trials.get(i);
      List<StepMetrics> lines = lines(t.directory());
      boolean evaluated = lines.stream().filter(m -> m.evalLoss() != null).count() > 1;
      List<StepMetrics> points =
          lines.stream()
              .filter(
                  m ->
                      Double.isFinite(
                          evaluated ? m.evalLoss() == null ? Double.NaN : m.evalLoss() : m.loss()))
              .toList();
      if (points.size() < 2) {
        continue;
      }
      XYSeries line =
          chart.addSeries(
              label(i, t),
              points.stream().mapToDouble(StepMetrics::step).toArray(),
              points.stream()
                  .mapToDouble(m -> evaluated ? Objects.requireNonNull(m.evalLoss()) : m.loss())
                  .toArray());
      boolean best = i < BEST.length;
      line.setMarker(SeriesMarkers.NONE).setShowInLegend(best);
      line.setLineColor(best ? BEST[i] : REST);
      line.setLineStyle(new BasicStroke(i == 0 ? 2.6f : 1.4f));
      drawn++;
    }
    if (drawn > 0) {
      LossCurve.write(chart, png);
    }
    return drawn > 0;
  }

  private static List<StepMetrics> lines(Path directory) throws IOException {
    List<StepMetrics> lines = MetricsFile.read(directory.resolve(RunDirectory.METRICS_FILE));
    return lines.isEmpty()
        ? MetricsFile.read(directory.resolve("fold-1").resolve(RunDirectory.METRICS_FILE))
        : lines;
  }

  private static String label(int rank, Trial t) {
    StringBuilder label = new StringBuilder().append(rank + 1).append(':');
    t.values().forEach((key, value) -> label.append(' ').append(key).append(' ').append(value));
    return t.loss() == null
        ? label.toString()
        : label.append(String.format(Locale.ROOT, " (%.3f)", t.loss())).toString();
  }
}
