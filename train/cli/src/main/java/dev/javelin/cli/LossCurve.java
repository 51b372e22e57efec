package dev.javelin.cli;

import dev.javelin.tensor.io.AtomicFile;
import dev.javelin.train.monitor.StepMetrics;
import java.awt.BasicStroke;
import java.awt.Color;
import java.awt.Font;
import java.io.OutputStream;
import java.nio.channels.Channels;
import java.nio.file.Path;
import java.util.List;
import java.util.Objects;
import org.knowm.xchart.BitmapEncoder;
import org.knowm.xchart.XYChart;
import org.knowm.xchart.XYChartBuilder;
import org.knowm.xchart.XYSeries;
import org.knowm.xchart.style.Styler.LegendPosition;
import org.knowm.xchart.style.markers.SeriesMarkers;

/** The losses of a run as a picture: training loss as a line, validation loss as dots. */
final class LossCurve {
  private static final Color TRAIN = new Color(0x4c78a8);
  private static final Color VALIDATION = new Color(0xd6553d);

  private LossCurve() {}

  /** Draws {@code loss.png} from the lines of {@code metrics.jsonl}; needs two points to draw. */
  public static boolean draw(Path png, String title, List<StepMetrics> metrics) {
    List<StepMetrics> train = metrics.stream().filter(m -> Double.isFinite(m.loss())).toList();
    List<StepMetrics> evaluated = metrics.stream().filter(m -> m.evalLoss() != null).toList();
    if (train.size() < 2) {
      return false;
    }
    XYChart chart = chart(title);
    XYSeries line =
        chart.addSeries(
            "training",
            train.stream().mapToDouble(StepMetrics::step).toArray(),
            train.stream().mapToDouble(StepMetrics::loss).toArray());
    line.setMarker(SeriesMarkers.NONE);
    line.setLineColor(TRAIN).setLineStyle(new BasicStroke(1.6f));
    if (!evaluated.isEmpty()) {
      StepMetrics last = evaluated.getLast();
      XYSeries dots =
          chart.addSeries(
              "validation (last %.3f)".formatted(last.evalLoss()),
              evaluated.stream().mapToDouble(StepMetrics::step).toArray(),
              evaluated.stream().mapToDouble(m -> Objects.requireNonNull(m.evalLoss())).toArray());
      dots.setMarker(SeriesMarkers.CIRCLE).setMarkerColor(VALIDATION);
      dots.setLineColor(VALIDATION).setLineStyle(new BasicStroke(2.2f));
    }
    write(chart, png);
    return true;
  }

  /** An empty chart of losses over steps. */
  static XYChart chart(String title) {
    System.setProperty("java.awt.headless", "true");
    XYChart chart =
        new XYChartBuilder()
            .width(960)
            .height(560)
            .title(title)
            .xAxisTitle("step")
            .yAxisTitle("loss (nats per token)")
            .build();
    style(chart);
    return chart;
  }

  static void write(XYChart chart, Path png) {
    AtomicFile.write(
        png,
        channel -> {
          OutputStream out = Channels.newOutputStream(channel);
          BitmapEncoder.saveBitmap(chart, out, BitmapEncoder.BitmapFormat.PNG);
        });
  }

  private static void style(XYChart chart) {
    chart
        .getStyler()
        .setPlotGridLinesColor(new Color(0xe4e4e4))
        .setAxisTickLabelsFont(new Font(Font.SANS_SERIF, Font.PLAIN, 14))
        .setAxisTitleFont(new Font(Font.SANS_SERIF, Font.PLAIN, 16))
        .setXAxisMin(0.0)
        .setXAxisDecimalPattern("#,###")
        .setYAxisDecimalPattern("0.0#")
        .setChartBackgroundColor(Color.WHITE)
        .setPlotBorderVisible(false)
        .setChartTitleBoxVisible(false)
        .setChartTitleFont(new Font(Font.SANS_SERIF, Font.BOLD, 18))
        .setLegendFont(new Font(Font.SANS_SERIF, Font.PLAIN, 14))
        .setLegendBorderColor(Color.WHITE)
        .setLegendPosition(LegendPosition.InsideNE)
        .setMarkerSize(7);
    chart.getStyler().setXAxisTickMarkSpacingHint(130);
  }
}
