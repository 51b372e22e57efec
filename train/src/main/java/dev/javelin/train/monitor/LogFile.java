package dev.javelin.train.monitor;

import java.io.BufferedWriter;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.LocalDateTime;
import java.time.temporal.ChronoUnit;

/** {@code train.log}: every plain line of the run with its time, appended to across resumes. */
public final class LogFile implements Watcher {
  private final BufferedWriter writer;
  private final Lines lines;

  public LogFile(Path file, long maxSteps) throws IOException {
    writer = Files.newBufferedWriter(file, StandardOpenOption.CREATE, StandardOpenOption.APPEND);
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
      writer.write(LocalDateTime.now().truncatedTo(ChronoUnit.SECONDS) + " " + line + "\n");
      writer.flush();
    } catch (IOException e) {
      throw new UncheckedIOException("train.log: " + e.getMessage(), e);
    }
  }

  @Override
  public void close() {
    try {
      writer.close();
    } catch (IOException e) {
      throw new UncheckedIOException("train.log: " + e.getMessage(), e);
    }
  }
}
