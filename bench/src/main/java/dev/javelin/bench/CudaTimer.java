package dev.javelin.bench;

import dev.javelin.device.Cuda;
import dev.javelin.device.CudaEvent;
import java.util.ArrayList;
import java.util.List;

/**
 * Milliseconds of the GPU's time for one run of some work, by events around batches of runs that
 * take a millisecond or more. Where the host queues more slowly than the GPU works, its time shows.
 */
final class CudaTimer implements AutoCloseable {
  private static final int WARM_UP = 3;
  private static final int MAX_BATCH = 100;
  private static final double LEAST_BATCH_MILLIS = 1;

  private final Cuda cuda;
  private final CudaEvent begin;
  private final CudaEvent end;

  CudaTimer(Cuda cuda) {
    this.cuda = cuda;
    this.begin = cuda.event();
    this.end = cuda.event();
  }

  /** The median of at least two batches, and of as many as fit into {@code millis}. */
  double median(Runnable work, long millis) {
    batch(work, WARM_UP);
    double once = Math.max(1e-3, batch(work, 1));
    int runs = (int) Math.clamp(Math.ceil(LEAST_BATCH_MILLIS / once), 1, MAX_BATCH);
    List<Double> times = new ArrayList<>();
    long start = System.nanoTime();
    while (times.size() < 2 || System.nanoTime() - start < millis * 1_000_000) {
      times.add(batch(work, runs));
    }
    return median(times);
  }

  private double batch(Runnable work, int runs) {
    cuda.compute().record(begin);
    for (int i = 0; i < runs; i++) {
      work.run();
    }
    cuda.compute().record(end);
    end.synchronize();
    return end.millisSince(begin) / runs;
  }

  static double median(List<Double> values) {
    return values.stream().sorted().skip(values.size() / 2).findFirst().orElseThrow();
  }

  @Override
  public void close() {
    begin.close();
    end.close();
  }
}
