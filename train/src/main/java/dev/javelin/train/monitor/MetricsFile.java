package dev.javelin.train.monitor;

import com.fasterxml.jackson.core.JacksonException;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.BufferedWriter;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;

/** {@code metrics.jsonl}: one object per logged step, each line flushed when written. */
public final class MetricsFile implements Watcher {
  private final BufferedWriter writer;

  private MetricsFile(BufferedWriter writer) {
    this.writer = writer;
  }

  /**
   * Opens the file for a run that has done {@code step} steps: lines of later steps, which a run
   * that was cut off may have left, are removed, and so is a line cut short.
   */
  public static MetricsFile open(Path file, long step) throws IOException {
    if (Files.exists(file)) {
      StringBuilder kept = new StringBuilder();
      for (StepMetrics m : read(file)) {
        if (m.step() <= step) {
          kept.append(m.json()).append('\n');
        }
      }
      Path temporary = file.resolveSibling(file.getFileName() + ".new");
      Files.writeString(temporary, kept);
      Files.move(temporary, file, StandardCopyOption.ATOMIC_MOVE);
    }
    return new MetricsFile(
        Files.newBufferedWriter(
            file, StandardCharsets.UTF_8, StandardOpenOption.CREATE, StandardOpenOption.APPEND));
  }

  /** All whole lines, in order; none where there is no file. */
  public static List<StepMetrics> read(Path file) throws IOException {
    List<StepMetrics> lines = new ArrayList<>();
    if (Files.exists(file)) {
      ObjectMapper json = new ObjectMapper();
      for (String line : Files.readString(file).lines().toList()) {
        try {
          lines.add(StepMetrics.of(json.readTree(line)));
        } catch (JacksonException cutShort) {
          break;
        }
      }
    }
    return lines;
  }

  @Override
  public void logged(StepMetrics metrics) {
    try {
      writer.write(metrics.json());
      writer.write('\n');
      writer.flush();
    } catch (IOException e) {
      throw new UncheckedIOException("metrics.jsonl: " + e.getMessage(), e);
    }
  }

  @Override
  public void close() {
    try {
      writer.close();
    } catch (IOException e) {
      throw new UncheckedIOException("metrics.jsonl: " + e.getMessage(), e);
    }
  }
}
