package dev.javelin.train.data;

import java.util.Comparator;
import java.util.function.LongUnaryOperator;
import java.util.stream.LongStream;

/**
 * Shuffled rows, each {@value #GROUP} of an epoch in order of their length, and then cut into
 * stretches of {@value #STRETCH} that are shuffled again.
 */
final class GroupedOrder implements Order {
  private static final int GROUP = 1024;
  private static final int STRETCH = 32;

  private final long seed;
  private final Order order;
  private final LongUnaryOperator length;

  /** The group last asked for: places come one after the other. */
  private volatile Group last = new Group(-1, 0, new long[0]);

  private record Group(long first, long rows, long[] sorted) {}

  GroupedOrder(long seed, LongUnaryOperator length) {
    this.seed = seed;
    this.order = Order.shuffled(seed);
    this.length = length;
  }

  @Override
  public long row(long place, long rows) {
    long epoch = place / rows * rows; // where it begins
    long first = epoch + (place - epoch) / GROUP * GROUP;
    Group now = last;
    if (now.first != first || now.rows != rows) {
      long end = Math.min(first + GROUP, epoch + rows);
      long[] sorted =
          LongStream.range(first, end)
              .mapToObj(p -> order.row(p, rows))
              .sorted(Comparator.comparingLong(length::applyAsLong)) // equal ones as they come
              .mapToLong(row -> row)
              .toArray();
      now = new Group(first, rows, sorted);
      last = now;
    }
    return now.sorted[shuffled((int) (place - first), now.sorted.length, first)];
  }

  /** Whole stretches change places; the rest of a group stays behind them. */
  private int shuffled(int place, int size, long first) {
    int whole = size / STRETCH;
    int stretch = place / STRETCH;
    return stretch >= whole
        ? place
        : (int) Permutation.of(seed, first, whole).apply(stretch) * STRETCH + place % STRETCH;
  }
}
