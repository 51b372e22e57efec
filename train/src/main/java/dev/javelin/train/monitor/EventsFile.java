package dev.javelin.train.monitor;

import dev.javelin.train.checkpoint.Checkpoint;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;

/**
 * {@code events.jsonl}: what happened to a run, an object for each: {@code
 * {"step":200,"kind":"spike","text":…}}. It is the run's history: nothing is taken out again where
 * the run goes back to an earlier step.
 */
public final class EventsFile implements Watcher {
  private final AppendedLines lines;

  /**
   * Opens the file for a run that has done {@code step} steps.
   *
   * @throws IOException where it cannot be written, or is a link
   */
  public EventsFile(Path file, long step) throws IOException {
    this.lines = new AppendedLines(file);
    if (step > 0) {
      event(new RunEvent(step, RunEvent.RESUME, "going on"));
    }
  }

  /** All lines that can be read, in order; none where there is no file. */
  public static List<RunEvent> read(Path file) throws IOException {
    return AppendedLines.read(file, RunEvent::of);
  }

  @Override
  public void event(RunEvent event) {
    lines.write(event.json());
  }

  @Override
  public void saved(Checkpoint checkpoint) {
    String name = String.valueOf(checkpoint.directory().getFileName());
    event(new RunEvent(checkpoint.step(), RunEvent.CHECKPOINT, name));
  }

  @Override
  public void close() {
    lines.close();
  }
}
