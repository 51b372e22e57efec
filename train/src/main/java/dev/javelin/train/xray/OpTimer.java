package dev.javelin.train.xray;

import dev.javelin.autograd.Probe;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * Times of each function over some passes that are all alike, of which the latter half counts: the
 * first ones are the compiler's.
 */
final class OpTimer implements Probe {
  private final List<List<Long>> forward = new ArrayList<>();
  private final List<List<Long>> backward = new ArrayList<>();

  @Override
  public void forward(Step step, long nanos) {
    add(forward, step.index(), nanos);
  }

  @Override
  public void backward(Step step, long nanos) {
    add(backward, step.index(), nanos);
  }

  private static void add(List<List<Long>> times, int index, long nanos) {
    while (times.size() <= index) {
      times.add(new ArrayList<>());
    }
    times.get(index).add(nanos);
  }

  /** The median, in nanoseconds; 0 for a function that never ran. */
  long forward(int index) {
    return median(forward, index);
  }

  long backward(int index) {
    return median(backward, index);
  }

  private static long median(List<List<Long>> times, int index) {
    long[] sorted =
        index < times.size()
            ? times.get(index).stream()
                .skip(times.get(index).size() / 2)
                .mapToLong(n -> n)
                .toArray()
            : new long[] {};
    Arrays.sort(sorted);
    return sorted.length == 0 ? 0 : sorted[sorted.length / 2];
  }
}
