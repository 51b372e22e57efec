package dev.javelin.example.handbook;

import dev.javelin.device.Cpu;
import dev.javelin.train.Estimate;
import dev.javelin.train.Trainer;
import dev.javelin.train.Training;
import dev.javelin.train.estimate.Budget;
import dev.javelin.train.estimate.MemoryTable;
import java.io.IOException;

/** Finds out what a training takes before there is one, and holds it to that. */
public final class MemoryBudget {
  private static final int MOST_ROWS = 1 << 16;

  private MemoryBudget() {}

  /** What the training takes with so many rows in a batch. */
  static MemoryTable estimate(int threads, int rows) {
    return Estimate.memory(
        threads, cpu -> SmallTraining.of(SmallTraining.reader(cpu, 1), 1, 3).batch(rows));
  }

  /** The most rows whose tensors fit; 0 where none do. */
  static int largestBatch(int threads, long bytes) {
    int fits = 0;
    for (int step = MOST_ROWS; step > 0; step /= 2) {
      if (fits + step <= MOST_ROWS && estimate(threads, fits + step).device() <= bytes) {
        fits += step;
      }
    }
    return fits;
  }

  /** Trains on a device that gives no more than so many bytes; returns the most that it gave. */
  static long train(int threads, int rows, long most) throws IOException {
    try (Cpu cpu = Cpu.open(threads)) {
      cpu.limit(most);
      try (var reader = SmallTraining.reader(cpu, 1)) {
        Training training = SmallTraining.of(reader, 1, 3).batch(rows);
        try (Trainer trainer = training.trainer()) {
          trainer.run();
        }
      }
      return cpu.peakBytes();
    }
  }

  /** Closes a device, and forgets what lies on it. */
  static void leak() {
    Cpu cpu = Cpu.open(1);
    SmallTraining.reader(cpu, 1);
    cpu.close();
  }

  public static void main(String[] args) throws IOException {
    int threads = Runtime.getRuntime().availableProcessors();
    int rows = args.length > 0 ? Integer.parseInt(args[0]) : 64;
    MemoryTable table = estimate(threads, rows);
    System.out.print(table.format("tensors", true));
    long tensors = Budget.ofMachine().bytes() - table.jvm().total();
    System.out.println("rows that would fit: " + largestBatch(threads, tensors));
    System.out.println("most at a time: " + train(threads, rows, table.device()) + " bytes");
    if (args.length > 1) {
      leak();
    }
  }
}
