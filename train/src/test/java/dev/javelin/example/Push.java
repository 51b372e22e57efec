package dev.javelin.example;

import dev.javelin.train.monitor.StepMetrics;
import dev.javelin.train.monitor.Watcher;
import java.util.Map;
import java.util.concurrent.BlockingQueue;

/** Hands metrics to whoever sends them on, without waiting for that. */
record Push(BlockingQueue<Map<String, Double>> queue) implements Watcher {
  @Override
  public void logged(StepMetrics m) {
    if (!queue.offer(Map.of("loss", m.loss(), "tokens_per_second", m.tokensPerSecond()))) {
      System.err.println("metrics of step " + m.step() + " are not sent: too many are waiting");
    }
  }
}
