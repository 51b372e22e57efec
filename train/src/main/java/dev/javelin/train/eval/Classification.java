package dev.javelin.train.eval;

import java.util.List;
import java.util.Locale;

/**
 * How often a classifier is right: counts of each class, and what follows from them. Where a
 * denominator is 0 the figure is 0, as scikit-learn has it.
 *
 * @param labels names of the classes
 * @param confusion {@code confusion[actual][predicted]}
 */
public record Classification(List<String> labels, long[][] confusion) {

  public Classification {
    labels = List.copyOf(labels);
    if (confusion.length != labels.size()) {
      throw new IllegalArgumentException(
          "a confusion matrix of %d classes has %d rows"
              .formatted(labels.size(), confusion.length));
    }
  }

  /** Counts predictions against what is true, both as numbers of classes. */
  public static Classification of(List<String> labels, int[] actual, int[] predicted) {
    if (actual.length != predicted.length) {
      throw new IllegalArgumentException(
          "%d predictions for %d examples".formatted(predicted.length, actual.length));
    }
    long[][] confusion = new long[labels.size()][labels.size()];
    for (int i = 0; i < actual.length; i++) {
      confusion[actual[i]][predicted[i]]++;
    }
    return new Classification(labels, confusion);
  }

  /** How many examples. */
  public long count() {
    long sum = 0;
    for (long[] row : confusion) {
      for (long n : row) {
        sum += n;
      }
    }
    return sum;
  }

  private long right() {
    long sum = 0;
    for (int c = 0; c < confusion.length; c++) {
      sum += confusion[c][c];
    }
    return sum;
  }

  private static double ratio(double part, double whole) {
    return whole == 0 ? 0 : part / whole;
  }

  /** Examples that are right, of all. */
  public double accuracy() {
    return ratio(right(), count());
  }

  /** How many examples of a class there are. */
  public long support(int c) {
    long sum = 0;
    for (long n : confusion[c]) {
      sum += n;
    }
    return sum;
  }

  private long predicted(int c) {
    long sum = 0;
    for (long[] row : confusion) {
      sum += row[c];
    }
    return sum;
  }

  /** Of those that are said to be of class c, the part that is. */
  public double precision(int c) {
    return ratio(confusion[c][c], predicted(c));
  }

  /** Of those of class c, the part that is found. */
  public double recall(int c) {
    return ratio(confusion[c][c], support(c));
  }

  /** The harmonic mean of precision and recall of class c, {@code 2·tp / (2·tp + fp + fn)}. */
  public double f1(int c) {
    return ratio(2.0 * confusion[c][c], predicted(c) + support(c));
  }

  /** The mean of {@link #f1} over the classes that occur, as examples or predictions. */
  public double macroF1() {
    double sum = 0;
    int classes = 0;
    for (int c = 0; c < confusion.length; c++) {
      if (support(c) + predicted(c) > 0) {
        sum += f1(c);
        classes++;
      }
    }
    return ratio(sum, classes);
  }

  /**
   * F1 of all classes' counts together: where each example has one class, the same as {@link
   * #accuracy}.
   */
  public double microF1() {
    return ratio(2.0 * right(), 2.0 * count());
  }

  /** {@code {"accuracy":…,"macro_f1":…,"micro_f1":…,"examples":…,"f1":{…}}} */
  public String json() {
    StringBuilder f1 = new StringBuilder();
    for (int c = 0; c < labels.size(); c++) {
      f1.append(c == 0 ? "" : ",").append(quoted(labels.get(c))).append(':').append(f1(c));
    }
    return "{\"accuracy\":%s,\"macro_f1\":%s,\"micro_f1\":%s,\"examples\":%d,\"f1\":{%s}}"
        .formatted(accuracy(), macroF1(), microF1(), count(), f1);
  }

  private static String quoted(String text) {
    return dev.javelin.tensor.io.Json.writeCompact(text);
  }

  @Override
  public String toString() {
    return String.format(
        Locale.ROOT,
        "accuracy %.4f | macro F1 %.4f | micro F1 %.4f | %,d examples",
        accuracy(),
        macroF1(),
        microF1(),
        count());
  }
}
