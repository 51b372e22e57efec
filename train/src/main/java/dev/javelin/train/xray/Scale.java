package dev.javelin.train.xray;

import java.util.ArrayList;
import java.util.List;
import java.util.stream.DoubleStream;

/** Where a number lies on an axis, linear or logarithmic. */
record Scale(boolean log, double least, double most, double from, double to) {
  /** From zero to the greatest of the numbers that are finite. */
  static Scale linear(DoubleStream values, double from, double to) {
    double most = values.filter(Double::isFinite).max().orElse(1);
    return new Scale(false, 0, most > 0 ? most * 1.05 : 1, from, to);
  }

  /** Whole decades around the numbers that are positive. */
  static Scale log(DoubleStream values, double from, double to) {
    var all = values.filter(v -> v > 0 && Double.isFinite(v)).summaryStatistics();
    if (all.getCount() == 0) {
      return new Scale(true, 0.1, 10, from, to);
    }
    double least = Math.pow(10, Math.floor(Math.log10(all.getMin())));
    double most = Math.pow(10, Math.ceil(Math.log10(all.getMax())));
    return new Scale(true, least, most > least ? most : 10 * least, from, to);
  }

  double at(double value) {
    double share =
        log ? Math.log(value / least) / Math.log(most / least) : (value - least) / (most - least);
    return from + share * (to - from);
  }

  boolean shows(double value) {
    return Double.isFinite(value) && value >= least && value <= most;
  }

  /** About five round numbers, or the decades. */
  List<Double> ticks() {
    List<Double> ticks = new ArrayList<>();
    if (log) {
      int first = (int) Math.round(Math.log10(least));
      int last = (int) Math.round(Math.log10(most));
      int step = Math.max(1, (last - first + 7) / 8);
      for (int e = first; e <= last; e += step) {
        ticks.add(Math.pow(10, e));
      }
      return ticks;
    }
    double rough = (most - least) / 5;
    double power = Math.pow(10, Math.floor(Math.log10(rough)));
    double step = rough > 5 * power ? 10 * power : rough > 2 * power ? 5 * power : 2 * power;
    for (double v = least; v <= most; v += step) {
      ticks.add(v);
    }
    return ticks;
  }
}
