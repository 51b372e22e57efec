package dev.javelin.train.monitor;

import java.util.List;

/** Several watchers as one. */
public record Watchers(List<Watcher> all) implements Watcher {
  public Watchers {
    all = List.copyOf(all);
  }

  @Override
  public void advanced(long step) {
    for (Watcher w : all) {
      w.advanced(step);
    }
  }

  @Override
  public void logged(StepMetrics metrics) {
    for (Watcher w : all) {
      w.logged(metrics);
    }
  }

  @Override
  public void note(String line) {
    for (Watcher w : all) {
      w.note(line);
    }
  }

  @Override
  public void close() {
    for (Watcher w : all) {
      w.close();
    }
  }
}
