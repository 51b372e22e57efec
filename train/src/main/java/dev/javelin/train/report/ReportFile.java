package dev.javelin.train.report;

import dev.javelin.tensor.io.AtomicFile;
import dev.javelin.train.checkpoint.Checkpoint;
import dev.javelin.train.monitor.StepMetrics;
import dev.javelin.train.monitor.Watcher;
import dev.javelin.train.report.ReportPage.Shown;
import dev.javelin.train.report.ReportPage.State;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.util.List;
import java.util.function.Consumer;
import java.util.function.LongSupplier;

/**
 * {@code report.html}, written anew while the run goes on, and at its end: at most every three
 * seconds, and so seldom that it takes less than a two-hundredth of the time. It shows what the
 * other files of the directory hold, so it follows them in the list of watchers. Where it cannot be
 * written the run goes on, and the log says so once.
 */
public final class ReportFile implements Watcher {
  /** Its name in the directory. */
  public static final String NAME = "report.html";

  private static final long PAUSE_NANOS = 3_000_000_000L;
  private static final long SHARE = 200;

  private final Path file;
  private final RunHistory history;
  private final long steps;
  private final Consumer<String> log;
  private final LongSupplier nanos;
  private long due; // of the clock
  private long step;
  private boolean failed;

  /**
   * @param directory of the run
   * @param step that the run begins behind
   * @param steps of the whole run
   * @param log takes a line where the file cannot be written
   */
  public ReportFile(Path directory, long step, long steps, Consumer<String> log) {
    this(directory, step, steps, log, System::nanoTime);
  }

  ReportFile(Path directory, long step, long steps, Consumer<String> log, LongSupplier nanos) {
    this.file = directory.resolve(NAME);
    this.history = RunHistory.of(directory);
    this.step = step;
    this.steps = steps;
    this.log = log;
    this.nanos = nanos;
    this.due = nanos.getAsLong();
  }

  @Override
  public void logged(StepMetrics metrics) {
    step = metrics.step();
    writeIfDue();
  }

  @Override
  public void saved(Checkpoint checkpoint) {
    writeIfDue();
  }

  @Override
  public void ended() {
    write(step >= steps ? State.FINISHED : State.STOPPED);
  }

  private void writeIfDue() {
    if (nanos.getAsLong() - due >= 0) {
      write(State.RUNNING);
    }
  }

  private void write(State state) {
    long start = nanos.getAsLong();
    try {
      history.refresh();
      AtomicFile.writeUnsynced(file, ReportPage.of(List.of(new Shown(history, state))));
    } catch (IOException | UncheckedIOException e) {
      if (!failed) {
        failed = true;
        log.accept(NAME + " cannot be written, the run goes on without: " + e.getMessage());
      }
    }
    long now = nanos.getAsLong();
    due = now + Math.max(PAUSE_NANOS, SHARE * (now - start));
  }
}
