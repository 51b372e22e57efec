package dev.javelin.example.handbook;

import dev.javelin.device.Cpu;
import dev.javelin.train.Trainer;
import dev.javelin.train.monitor.Watcher;
import java.io.IOException;
import java.util.Arrays;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;

/** Two trainings in one Java machine: each on threads of its own, or both on one team. */
public final class TwoTrainings {
  /** What both have become, flat. */
  public record Weights(float[] first, float[] second) {}

  private TwoTrainings() {}

  /** Trains on a device that may have other work, and returns the weights. */
  static float[] train(Cpu cpu, long seed, long steps, Watcher watcher) throws IOException {
    try (var reader = SmallTraining.reader(cpu, seed);
        Trainer trainer = SmallTraining.of(reader, seed, steps).trainer().watch(watcher)) {
      trainer.run();
      return reader.weights().toFloats();
    }
  }

  /** Each has half of the threads: they do not wait for each other. */
  static Weights apart(int threads, long steps, Watcher watcher) throws Exception {
    int half = Math.max(1, threads / 2);
    try (Cpu left = Cpu.open(half);
        Cpu right = Cpu.open(half)) {
      return both(() -> train(left, 1, steps, watcher), () -> train(right, 2, steps, watcher));
    }
  }

  /** Both share a device: it does a pass of one, then a pass of the other, with all threads. */
  static Weights sharing(int threads, long steps, Watcher watcher) throws Exception {
    try (Cpu cpu = Cpu.open(threads)) {
      return both(() -> train(cpu, 1, steps, watcher), () -> train(cpu, 2, steps, watcher));
    }
  }

  private static Weights both(Callable<float[]> first, Callable<float[]> second) throws Exception {
    try (ExecutorService threads = Executors.newFixedThreadPool(2)) {
      Future<float[]> one = threads.submit(first);
      Future<float[]> two = threads.submit(second);
      return new Weights(one.get(), two.get());
    }
  }

  public static void main(String[] args) throws Exception {
    int threads = Runtime.getRuntime().availableProcessors();
    Watcher none = new Watcher() {};
    Weights apart = apart(threads, 200, none);
    Weights sharing = sharing(threads, 200, none);
    System.out.println("same bits: " + Arrays.equals(apart.first, sharing.first));
  }
}
