package dev.javelin.train.monitor;

import dev.javelin.train.monitor.StepPlaces.Stretch;
import java.io.IOException;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;

/**
 * {@code samples.jsonl}: which rows every step has read. A line is written only where a step does
 * not read on where the one before it ended, so the file stays small, and still says it of every
 * step: see {@link StepPlaces}.
 */
public final class SamplesFile implements Watcher {
  private final AppendedLines lines;
  private @Nullable Stretch now;
  private long last; // step that was begun

  /**
   * @throws IOException where the file cannot be written, or is a link
   */
  public SamplesFile(Path file) throws IOException {
    this.lines = new AppendedLines(file);
  }

  /** What the lines that can be read say; no stretches where there is no file. */
  public static StepPlaces read(Path file) throws IOException {
    return new StepPlaces(AppendedLines.read(file, Stretch::of));
  }

  @Override
  public void begins(long step, long place, int rows) {
    Stretch s = now;
    boolean on =
        s != null
            && step == last + 1
            && rows == s.rows()
            && place == s.place() + (step - s.step()) * rows;
    if (!on) {
      now = new Stretch(step, place, rows, last);
      lines.write(now.json());
    }
    last = step;
  }

  @Override
  public void close() {
    lines.close();
  }
}
