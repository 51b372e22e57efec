package dev.javelin.train.report;

import java.util.Arrays;

/**
 * A number over the steps of a run, in bounded memory: at most {@value #MOST} buckets, each with
 * least, mean and greatest of the values that fell into it. Where the buckets are used up, two
 * neighbours become one, so that all hold equally many values but the last. What is drawn from it
 * keeps every spike; a curve of up to {@value #MOST} values is kept as it is.
 */
final class Curve {
  /** Buckets of a curve: more than a chart has pixels to tell apart. */
  static final int MOST = 512;

  private static final int DIGITS = 5;

  private final long[] step = new long[MOST]; // of the last value in a bucket
  private final double[] least = new double[MOST];
  private final double[] greatest = new double[MOST];
  private final double[] sum = new double[MOST];
  private final int[] count = new int[MOST];
  private int size;
  private int capacity = 1; // values in a full bucket
  private double last;

  /**
   * Takes a value; steps do not fall.
   *
   * @param value finite
   */
  void add(long at, double value) {
    if (size == 0 || count[size - 1] == capacity) {
      if (size == MOST) {
        halve();
      }
      least[size] = value;
      greatest[size] = value;
      sum[size] = 0;
      count[size++] = 0;
    }
    int in = size - 1;
    step[in] = at;
    least[in] = Math.min(least[in], value);
    greatest[in] = Math.max(greatest[in], value);
    sum[in] += value;
    count[in]++;
    last = value;
  }

  /** All buckets are full. */
  private void halve() {
    for (int to = 0; to < MOST / 2; to++) {
      int one = 2 * to;
      int two = one + 1;
      step[to] = step[two];
      least[to] = Math.min(least[one], least[two]);
      greatest[to] = Math.max(greatest[one], greatest[two]);
      sum[to] = sum[one] + sum[two];
      count[to] = count[one] + count[two];
    }
    size = MOST / 2;
    capacity *= 2;
  }

  /** Forgets what came after a step: the run has gone back to it. A bucket goes as a whole. */
  void cutBehind(long last) {
    while (size > 0 && step[size - 1] > last) {
      size--;
    }
  }

  boolean isEmpty() {
    return size == 0;
  }

  /** The newest value that was taken. */
  double last() {
    return last;
  }

  double meanOfAll() {
    return Arrays.stream(sum, 0, size).sum() / Arrays.stream(count, 0, size).asLongStream().sum();
  }

  double leastOfAll() {
    return Arrays.stream(least, 0, size).min().orElse(Double.NaN);
  }

  /** Steps of the buckets. */
  long[] steps() {
    return Arrays.copyOf(step, size);
  }

  double mean(int bucket) {
    return sum[bucket] / count[bucket];
  }

  double least(int bucket) {
    return least[bucket];
  }

  double greatest(int bucket) {
    return greatest[bucket];
  }

  /**
   * {@code {"s":[first step, then differences],"m":[means],"l":[least],"h":[greatest]}}, to five
   * digits; {@code l} and {@code h} are left out where a bucket is a value.
   */
  void json(StringBuilder out) {
    out.append("{\"s\":[");
    for (int i = 0; i < size; i++) {
      out.append(i == 0 ? "" : ",").append(i == 0 ? step[i] : step[i] - step[i - 1]);
    }
    out.append("],\"m\":[");
    for (int i = 0; i < size; i++) {
      number(out.append(i == 0 ? "" : ","), mean(i));
    }
    if (capacity > 1) {
      out.append("],\"l\":[");
      for (int i = 0; i < size; i++) {
        number(out.append(i == 0 ? "" : ","), least[i]);
      }
      out.append("],\"h\":[");
      for (int i = 0; i < size; i++) {
        number(out.append(i == 0 ? "" : ","), greatest[i]);
      }
    }
    out.append("]}");
  }

  private static void number(StringBuilder out, double value) {
    double rounded = round(value);
    if (rounded == Math.rint(rounded) && Math.abs(rounded) < 1e15) {
      out.append((long) rounded);
    } else {
      out.append(rounded);
    }
  }

  /** To five significant digits, as well as a double can; very small and large ones as they are. */
  static double round(double value) {
    if (value == 0 || Math.abs(value) < 1e-200 || Math.abs(value) > 1e200) {
      return value;
    }
    int exponent = DIGITS - 1 - (int) Math.floor(Math.log10(Math.abs(value)));
    double power = Math.pow(10, Math.abs(exponent));
    return exponent >= 0 ? Math.rint(value * power) / power : Math.rint(value / power) * power;
  }
}
