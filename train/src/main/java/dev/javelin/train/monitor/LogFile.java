package dev.javelin.train.monitor;

import dev.javelin.tensor.io.FileCalls;
import java.io.IOException;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.LocalDateTime;
import java.time.temporal.ChronoUnit;

/** {@code train.log}: every plain line of the run with its time, appended to across resumes. */
public final class LogFile implements Watcher {
  private final OutputStream out;
  private final Lines lines;

  /**
   * @throws IOException where the file cannot be written, or is a link
   */
  public LogFile(Path file, long maxSteps) throws IOException {
    out = FileCalls.current().append(file);
    lines = new Lines(maxSteps, this::write);
  }

  @Override
  public void logged(StepMetrics metrics) {
    lines.logged(metrics);
  }

  @Override
  public void note(String line) {
    write(line);
  }

  private void write(String line) {
    try {
      String timed = LocalDateTime.now().truncatedTo(ChronoUnit.SECONDS) + " " + line + "\n";
      out.write(timed.getBytes(StandardCharsets.UTF_8));
    } catch (IOException e) {
      throw new UncheckedIOException("train.log: " + e.getMessage(), e);
    }
  }

  @Override
  public void close() {
    try {
      out.close();
    } catch (IOException e) {
      throw new UncheckedIOException("train.log: " + e.getMessage(), e);
    }
  }
}
