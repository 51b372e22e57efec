package dev.javelin.tensor;

import java.util.Arrays;

/**
 * A shape and the distance in elements between neighbours along each dimension. A layout is
 * <em>contiguous</em> when its elements lie densely in row-major order, and has <em>dense rows</em>
 * when the last dimension is dense and all rows are evenly spaced: the form every operator takes,
 * so that parts of a packed tensor need no copy.
 */
public final class Layout {
  private final Shape shape;
  private final long[] strides;

  private Layout(Shape shape, long[] strides) {
    this.shape = shape;
    this.strides = strides;
  }

  /** Row-major, without gaps. */
  public static Layout contiguous(Shape shape) {
    long[] strides = new long[shape.rank()];
    long s = 1;
    for (int i = strides.length - 1; i >= 0; i--) {
      strides[i] = s;
      s *= shape.dim(i);
    }
    return new Layout(shape, strides);
  }

  /** A layout of any strides, 0 for a broadcast dimension. */
  public static Layout of(Shape shape, long... strides) {
    if (strides.length != shape.rank()) {
      throw new IllegalArgumentException(
          "strides " + Arrays.toString(strides) + " do not fit shape " + shape);
    }
    return new Layout(shape, strides.clone());
  }

  public Shape shape() {
    return shape;
  }

  /**
   * Elements between neighbours along dimension {@code i}; negative {@code i} counts from the end.
   */
  public long stride(int i) {
    return strides[shape.axis(i)];
  }

  public boolean isContiguous() {
    long s = 1;
    for (int i = strides.length - 1; i >= 0; i--) {
      if (shape.dim(i) != 1) {
        if (strides[i] != s) {
          return false;
        }
        s *= shape.dim(i);
      }
    }
    return true;
  }

  /** Elements from the first to just behind the last one. */
  public long span() {
    if (shape.elements() == 0) {
      return 0;
    }
    long last = 0;
    for (int i = 0; i < strides.length; i++) {
      last += (shape.dim(i) - 1) * strides[i];
    }
    return last + 1;
  }

  public boolean hasDenseRows() {
    return rowStrideOrMinusOne() >= 0;
  }

  /**
   * Elements between the starts of neighbouring rows, a row being the last dimension.
   *
   * @throws IllegalArgumentException where the last dimension is not dense or the rows are not
   *     evenly spaced
   */
  public long rowStride() {
    long s = rowStrideOrMinusOne();
    if (s < 0) {
      throw new IllegalArgumentException(
          "a tensor of layout " + this + " has no dense, evenly spaced rows: call contiguous()");
    }
    return s;
  }

  private long rowStrideOrMinusOne() {
    int rank = strides.length;
    if (rank == 0) {
      return 1;
    }
    if (shape.last() != 1 && strides[rank - 1] != 1) {
      return -1;
    }
    long row = -1; // of the innermost dimension that has more than one row
    long expected = -1;
    for (int i = rank - 2; i >= 0; i--) {
      if (shape.dim(i) == 1) {
        continue;
      }
      if (row < 0) {
        row = strides[i];
      } else if (strides[i] != expected) {
        return -1;
      }
      expected = strides[i] * shape.dim(i);
    }
    return row < 0 ? shape.last() : row;
  }

  /** The same elements with dimensions {@code a} and {@code b} exchanged. */
  public Layout transpose(int a, int b) {
    int[] d = shape.toArray();
    long[] s = strides.clone();
    int i = shape.axis(a);
    int j = shape.axis(b);
    int td = d[i];
    d[i] = d[j];
    d[j] = td;
    long ts = s[i];
    s[i] = s[j];
    s[j] = ts;
    return new Layout(Shape.of(d), s);
  }

  /** The elements {@code [from, to)} of one dimension; {@link #offset} says where they begin. */
  public Layout slice(int dim, int from, int to) {
    if (from < 0 || to > shape.dim(dim) || from > to) {
      throw new IllegalArgumentException(
          "slice [" + from + ", " + to + ") of dimension " + dim + " of shape " + shape);
    }
    return new Layout(shape.with(dim, to - from), strides);
  }

  /** Elements between the first one and element {@code index} of dimension {@code dim}. */
  public long offset(int dim, int index) {
    return stride(dim) * index;
  }

  /**
   * The same elements in the same order under another shape.
   *
   * @throws IllegalArgumentException where the number of elements differs, or the strides cannot
   *     express the new shape
   */
  public Layout reshape(Shape to) {
    if (to.elements() != shape.elements()) {
      throw new IllegalArgumentException(
          "cannot reshape " + shape + " to " + to + ": they differ in the number of elements");
    }
    if (isContiguous() || shape.elements() == 0) {
      return contiguous(to);
    }
    long[] out = new long[to.rank()];
    int t = to.rank() - 1;
    long group = 1; // elements of the current group of dimensions that lie evenly spaced
    long filled = 1; // of which so many are already expressed by new dimensions
    long base = -1;
    for (int i = strides.length - 1; i >= 0; i--) {
      if (base < 0) {
        base = strides[i];
      }
      group *= shape.dim(i);
      if (i > 0 && (shape.dim(i - 1) == 1 || strides[i - 1] == group * base)) {
        continue;
      }
      while (t >= 0 && (filled < group || to.dim(t) == 1)) {
        out[t] = filled * base;
        filled *= to.dim(t);
        t--;
      }
      if (filled != group) {
        throw new IllegalArgumentException(
            "cannot reshape a tensor of layout " + this + " to " + to + ": call contiguous()");
      }
      group = 1;
      filled = 1;
      base = -1;
    }
    return new Layout(to, out);
  }

  @Override
  public boolean equals(Object o) {
    return o instanceof Layout l && shape.equals(l.shape) && Arrays.equals(strides, l.strides);
  }

  @Override
  public int hashCode() {
    return 31 * shape.hashCode() + Arrays.hashCode(strides);
  }

  @Override
  public String toString() {
    return shape + " strides " + Arrays.toString(strides);
  }
}
