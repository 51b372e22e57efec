package dev.javelin.train.monitor;

import dev.javelin.train.checkpoint.Checkpoint;
import dev.javelin.train.eval.Evaluation;
import java.util.List;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/** Several watchers as one. All are told of an end, even where one of them fails. */
public record Watchers(List<Watcher> all) implements Watcher {
  /** Tells of an end, by a try block. */
  public interface End extends AutoCloseable {
    @Override
    void close();
  }

  public Watchers {
    all = List.copyOf(all);
  }

  @Override
  public void begins(long step, long place, int rows) {
    for (Watcher w : all) {
      w.begins(step, place, rows);
    }
  }

  @Override
  public void advanced(long step) {
    for (Watcher w : all) {
      w.advanced(step);
    }
  }

  @Override
  public void evaluated(long step, Evaluation evaluation) {
    for (Watcher w : all) {
      w.evaluated(step, evaluation);
    }
  }

  @Override
  public void logged(StepMetrics metrics) {
    for (Watcher w : all) {
      w.logged(metrics);
    }
  }

  @Override
  public void saved(Checkpoint checkpoint) {
    for (Watcher w : all) {
      w.saved(checkpoint);
    }
  }

  @Override
  public void event(RunEvent event) {
    for (Watcher w : all) {
      w.event(event);
    }
  }

  @Override
  public void note(String line) {
    for (Watcher w : all) {
      w.note(line);
    }
  }

  @Override
  public void ended() {
    each(Watcher::ended);
  }

  @Override
  public void close() {
    each(Watcher::close);
  }

  private void each(Consumer<Watcher> call) {
    @Nullable RuntimeException first = null;
    for (Watcher w : all) {
      try {
        call.accept(w);
      } catch (RuntimeException e) {
        if (first == null) {
          first = e;
        } else {
          first.addSuppressed(e);
        }
      }
    }
    if (first != null) {
      throw first;
    }
  }
}
