package dev.javelin.train.xray;

import dev.javelin.device.DType;
import dev.javelin.tensor.Shape;
import dev.javelin.tensor.Tensor;
import java.util.Arrays;

/**
 * Sums of squares in double, of tensors that may be too large for the heap: some elements at a
 * time.
 */
final class Sums {
  private static final int CHUNK = 1 << 18; // elements

  private Sums() {}

  /** {@code Σ x²} of a contiguous tensor. */
  static double squares(Tensor x) {
    double sum = 0;
    for (long from = 0; from < x.elements(); from += CHUNK) {
      sum += squares(part(x, from).toFloats());
    }
    return sum;
  }

  /** {@code Σ (a − b)²} of two contiguous tensors of as many elements. */
  static double squaresOfDifference(Tensor a, Tensor b) {
    double sum = 0;
    for (long from = 0; from < a.elements(); from += CHUNK) {
      float[] as = part(a, from).toFloats();
      float[] bs = part(b, from).toFloats();
      for (int i = 0; i < as.length; i++) {
        double d = (double) as[i] - bs[i];
        sum += d * d;
      }
    }
    return sum;
  }

  /** {@code Σ x} of a contiguous tensor. */
  static double sum(Tensor x) {
    double sum = 0;
    for (long from = 0; from < x.elements(); from += CHUNK) {
      for (float v : part(x, from).toFloats()) {
        sum += v;
      }
    }
    return sum;
  }

  /** By row of a contiguous matrix, whether all of it is 0. */
  static boolean[] zeroRows(Tensor matrix) {
    int width = matrix.last();
    boolean[] zero = new boolean[matrix.dim(0)];
    Arrays.fill(zero, true);
    for (long from = 0; from < matrix.elements(); from += CHUNK) {
      float[] values = part(matrix, from).toFloats();
      for (int i = 0; i < values.length; i++) {
        zero[(int) ((from + i) / width)] &= values[i] == 0;
      }
    }
    return zero;
  }

  static double squares(float[] x) {
    double sum = 0;
    for (float v : x) {
      sum += (double) v * v;
    }
    return sum;
  }

  /** The lengths of the rows of {@code [rows, width]}, times {@code scale}. */
  static double[] lengths(double[] x, int width, double scale) {
    double[] lengths = new double[x.length / width];
    for (int row = 0; row < lengths.length; row++) {
      double sum = 0;
      for (int i = row * width; i < (row + 1) * width; i++) {
        sum += x[i] * x[i];
      }
      lengths[row] = Math.sqrt(sum) * scale;
    }
    return lengths;
  }

  static double[] doubles(Tensor t) {
    float[] values = t.toFloats();
    double[] doubles = new double[values.length];
    for (int i = 0; i < values.length; i++) {
      doubles[i] = values[i];
    }
    return doubles;
  }

  private static Tensor part(Tensor x, long from) {
    int count = (int) Math.min(CHUNK, x.elements() - from);
    DType type = x.dtype();
    return Tensor.of(x.memory(), x.offset() + type.bytes(from), type, Shape.of(count));
  }
}
