package dev.javelin.tensor;

import java.util.Arrays;

/** The dimensions of a tensor, outermost first. Immutable; a scalar has rank 0. */
public final class Shape {
  private final int[] dims;

  private Shape(int[] dims) {
    for (int d : dims) {
      if (d < 0) {
        throw new IllegalArgumentException(
            "a dimension must not be negative, got " + Arrays.toString(dims));
      }
    }
    this.dims = dims;
  }

  public static Shape of(int... dims) {
    return new Shape(dims.clone());
  }

  public int rank() {
    return dims.length;
  }

  /** Dimension {@code i}; negative counts from the end, so {@code dim(-1)} is the last. */
  public int dim(int i) {
    return dims[axis(i)];
  }

  /** Product of all dimensions; 1 for a scalar. */
  public long elements() {
    long n = 1;
    for (int d : dims) {
      n *= d;
    }
    return n;
  }

  /** The last dimension; 1 for a scalar. */
  public int last() {
    return dims.length == 0 ? 1 : dims[dims.length - 1];
  }

  /** Product of all dimensions but the last. */
  public int rows() {
    long n = 1;
    for (int i = 0; i < dims.length - 1; i++) {
      n *= dims[i];
    }
    return Math.toIntExact(n);
  }

  /** This shape with dimension {@code i} replaced. */
  public Shape with(int i, int size) {
    int[] d = dims.clone();
    d[axis(i)] = size;
    return new Shape(d);
  }

  /** {@code i} as an index from the front; throws where there is no such dimension. */
  public int axis(int i) {
    int a = i < 0 ? i + dims.length : i;
    if (a < 0 || a >= dims.length) {
      throw new IllegalArgumentException("no dimension " + i + " in shape " + this);
    }
    return a;
  }

  public int[] toArray() {
    return dims.clone();
  }

  @Override
  public boolean equals(Object o) {
    return o instanceof Shape s && Arrays.equals(dims, s.dims);
  }

  @Override
  public int hashCode() {
    return Arrays.hashCode(dims);
  }

  @Override
  public String toString() {
    return Arrays.toString(dims);
  }
}
