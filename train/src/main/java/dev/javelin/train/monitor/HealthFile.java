package dev.javelin.train.monitor;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * {@code health.jsonl}: a {@link LayerReading} a line. The names of the layers stand in the first
 * line that a process writes. Nothing is taken out again: where a run goes back, a step stands
 * twice, and the later line counts.
 */
public final class HealthFile implements AutoCloseable {
  /** Its name in a run's directory. */
  public static final String NAME = "health.jsonl";

  private final AppendedLines lines;
  private boolean named;

  /** Opens the file, to go on at its end. */
  public HealthFile(Path file) {
    try {
      this.lines = new AppendedLines(file);
    } catch (IOException e) {
      throw new UncheckedIOException(file + ": " + e.getMessage(), e);
    }
  }

  /** Appends a line. */
  public void write(LayerReading reading) {
    lines.write(reading.json(!named));
    named = true;
  }

  /** All lines that can be read, in order; none where there is no file. */
  public static List<LayerReading> read(Path file) throws IOException {
    List<LayerReading> all = new ArrayList<>();
    AppendedLines.read(
        file,
        line -> {
          @Nullable LayerReading before = all.isEmpty() ? null : all.getLast();
          LayerReading reading = LayerReading.of(line, before);
          all.add(reading);
          return reading;
        });
    return all;
  }

  @Override
  public void close() {
    lines.close();
  }
}
