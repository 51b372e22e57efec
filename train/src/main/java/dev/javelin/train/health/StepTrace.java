package dev.javelin.train.health;

import dev.javelin.train.event.ChromeTrace;
import dev.javelin.train.hook.StepHook;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;

/**
 * Writes {@code trace-N.json} of step N and of what comes before the next: evaluation and
 * checkpoint.
 */
public final class StepTrace implements StepHook {
  private final long traced;
  private final Path file;
  private @Nullable ChromeTrace trace;

  /**
   * @param step its number, from 1 on
   * @param directory where the file goes
   */
  public StepTrace(long step, Path directory) {
    this.traced = step;
    this.file = directory.resolve("trace-" + step + ".json");
  }

  @Override
  public String name() {
    return "trace";
  }

  @Override
  public void begin(long step, long place, int rows) {
    if (trace != null) {
      write(trace);
    }
    if (step + 1 == traced) {
      trace = new ChromeTrace();
    }
  }

  private void write(ChromeTrace ended) {
    trace = null;
    try (ended) {
      ended.write(file);
    } catch (IOException e) {
      throw new UncheckedIOException(file + ": " + e.getMessage(), e);
    }
  }

  @Override
  public void close() {
    if (trace != null) {
      write(trace);
    }
  }
}
