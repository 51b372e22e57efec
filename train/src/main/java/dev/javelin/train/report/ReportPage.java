package dev.javelin.train.report;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Objects;

/**
 * Runs as one HTML file that needs nothing else: its style, its script and its data stand in it,
 * and its policy lets it load nothing. With one run it is a report; with several they lie over each
 * other.
 */
public final class ReportPage {
  /** Milliseconds after which the page of a run that goes on looks for news. */
  private static final int REFRESH_MILLIS = 5000;

  private static final String PAGE =
      resource("report.html")
          .replace("/*style*/", resource("report.css"))
          .replace("/*script*/", resource("charts.js") + resource("report.js"));

  private ReportPage() {}

  /** How a run stands. */
  public enum State {
    RUNNING,
    FINISHED,
    STOPPED
  }

  /** A run and how it stands. */
  public record Shown(RunHistory run, State state) {}

  /** The page. */
  public static String of(List<Shown> runs) {
    boolean live = runs.stream().anyMatch(r -> r.state == State.RUNNING);
    StringBuilder data = new StringBuilder(1 << 16);
    data.append("{\"written\":").append(System.currentTimeMillis());
    data.append(",\"refresh\":").append(live ? REFRESH_MILLIS : 0).append(",\"runs\":[");
    for (int i = 0; i < runs.size(); i++) {
      data.append(i == 0 ? "" : ",");
      runs.get(i).run.json(data, runs.get(i).state.name().toLowerCase(java.util.Locale.ROOT));
    }
    data.append("]}");
    // In a script element, "</" and "<!--" would end or open something else.
    return PAGE.replace("/*data*/", data.toString().replace("<", "\\u003c"));
  }

  private static String resource(String name) {
    try (InputStream in =
        Objects.requireNonNull(ReportPage.class.getResourceAsStream(name), name)) {
      return new String(in.readAllBytes(), StandardCharsets.UTF_8);
    } catch (IOException e) {
      throw new UncheckedIOException(name, e);
    }
  }
}
