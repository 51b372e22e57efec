package dev.javelin.autograd;

import static dev.javelin.autograd.Tape.inputs;

import dev.javelin.device.DType;
import dev.javelin.tensor.Shape;
import dev.javelin.tensor.Tensor;
import dev.javelin.tensor.op.Elementwise;
import dev.javelin.tensor.op.Max;
import java.util.Arrays;
import java.util.stream.IntStream;

/**
 * Differentiable tensor algebra: arithmetic element by element with NumPy's broadcasting, sums over
 * dimensions, and changes of layout. Takes any strides; see {@link Elementwise}. What a layer needs
 * in one pass stands in {@link Functional}.
 */
public final class Algebra {
  private Algebra() {}

  /** {@code a + b}, broadcast. */
  public static Var add(Var a, Var b) {
    Tensor y = broadcast("add", a, b);
    Elementwise.add(y, a.value(), b.value());
    return a.tape()
        .record(
            "add", y, inputs(a, b), out -> Elementwise.addBackward(a.grad(), b.grad(), out.dy()));
  }

  /** {@code a - b}, broadcast. */
  public static Var subtract(Var a, Var b) {
    Tensor y = broadcast("subtract", a, b);
    Elementwise.subtract(y, a.value(), b.value());
    return a.tape()
        .record(
            "subtract",
            y,
            inputs(a, b),
            out -> Elementwise.subtractBackward(a.grad(), b.grad(), out.dy()));
  }

  /** {@code a · b}, broadcast. */
  public static Var multiply(Var a, Var b) {
    Tensor y = broadcast("multiply", a, b);
    Elementwise.multiply(y, a.value(), b.value());
    return a.tape()
        .record(
            "multiply",
            y,
            inputs(a, b),
            out ->
                Elementwise.multiplyBackward(a.grad(), b.grad(), out.dy(), a.value(), b.value()));
  }

  /** {@code a / b}, broadcast. */
  public static Var divide(Var a, Var b) {
    Tensor y = broadcast("divide", a, b);
    Elementwise.divide(y, a.value(), b.value());
    return a.tape()
        .record(
            "divide",
            y,
            inputs(a, b),
            out -> Elementwise.divideBackward(a.grad(), b.grad(), out.dy(), b.value(), y));
  }

  /** {@code alpha · x}. */
  public static Var scale(Var x, float alpha) {
    return copied("scale", x, x.like(), alpha);
  }

  /** {@code e^x}. */
  public static Var exp(Var x) {
    Tensor y = x.like();
    Elementwise.exp(y, x.value());
    return x.tape()
        .record("exp", y, inputs(x), out -> Elementwise.expBackward(x.grad(), out.dy(), y));
  }

  /** {@code ln x}. */
  public static Var log(Var x) {
    Tensor y = x.like();
    Elementwise.log(y, x.value());
    return x.tape()
        .record("log", y, inputs(x), out -> Elementwise.logBackward(x.grad(), out.dy(), x.value()));
  }

  /** {@code √x}. */
  public static Var sqrt(Var x) {
    Tensor y = x.like();
    Elementwise.sqrt(y, x.value());
    return x.tape()
        .record("sqrt", y, inputs(x), out -> Elementwise.sqrtBackward(x.grad(), out.dy(), y));
  }

  /**
   * The sum over some dimensions, all of them where none is named.
   *
   * @param keepDims whether they stay, with size 1
   */
  public static Var sum(Var x, boolean keepDims, int... dims) {
    return reduced("sum", x, keepDims, dims, false);
  }

  /** The mean over some dimensions, all of them where none is named. */
  public static Var mean(Var x, boolean keepDims, int... dims) {
    return reduced("mean", x, keepDims, dims, true);
  }

  /**
   * The largest element along a dimension, which goes; the gradient goes to the first of equals.
   */
  public static Var max(Var x, int dim) {
    int axis = x.shape().axis(dim);
    if (axis != x.shape().rank() - 1) {
      int[] order = new int[x.shape().rank()];
      for (int i = 0; i < order.length; i++) {
        order[i] = i < axis ? i : i + 1;
      }
      order[order.length - 1] = axis;
      return max(permute(x, order), -1);
    }
    Var rows = x.value().layout().hasDenseRows() ? x : contiguous(x);
    Shape shape = without(x.shape(), axis);
    Tensor y = x.tape().alloc(x.value().dtype(), shape);
    Tensor index = x.tape().alloc(DType.I32, shape);
    Max.forward(y, index, rows.value());
    return x.tape().record("max", y, inputs(x), out -> Max.backward(rows.grad(), out.dy(), index));
  }

  /** The same elements in another type, rounded to nearest even. */
  public static Var cast(Var x, DType dtype) {
    return x.value().dtype() == dtype ? x : copied("cast", x, x.tape().alloc(dtype, x.shape()), 1);
  }

  /** The same elements densely in row-major order; {@code x} itself where they lie so. */
  public static Var contiguous(Var x) {
    return x.value().isContiguous() ? x : copied("contiguous", x, x.like(), 1);
  }

  /** {@code x} repeated along dimensions of size 1 and new ones in front. */
  public static Var broadcastTo(Var x, int... dims) {
    Shape to = Shape.of(dims);
    if (!Elementwise.broadcast("broadcastTo", x.shape(), to).equals(to)) {
      throw new IllegalArgumentException(
          "broadcastTo: " + x.shape() + " cannot be broadcast to " + to);
    }
    return copied("broadcast", x, x.tape().alloc(x.value().dtype(), to), 1);
  }

  /** Each element of a dimension {@code times} times in succession. */
  public static Var repeatInterleave(Var x, int dim, int times) {
    int axis = x.shape().axis(dim);
    int size = x.shape().dim(axis);
    int[] d = x.shape().toArray();
    int[] wide = new int[d.length + 1];
    for (int i = 0; i < wide.length; i++) {
      wide[i] = i <= axis ? d[i] : i == axis + 1 ? 1 : d[i - 1];
    }
    Var x1 = contiguous(x).reshape(wide);
    wide[axis + 1] = times;
    return broadcastTo(x1, wide).reshape(x.shape().with(axis, size * times).toArray());
  }

  /** Dimension {@code i} of the result is dimension {@code order[i]} of {@code x}; a view. */
  public static Var permute(Var x, int... order) {
    int[] at = IntStream.range(0, order.length).toArray(); // dimension at place i
    if (order.length != x.shape().rank()
        || !Arrays.equals(Arrays.stream(order).sorted().toArray(), at)) {
      throw new IllegalArgumentException(
          "permute: "
              + Arrays.toString(order)
              + " is not a permutation of the dimensions of "
              + x.shape());
    }
    Var y = x;
    for (int i = 0; i < order.length; i++) {
      int j = i;
      while (at[j] != order[i]) {
        j++;
      }
      if (j != i) {
        y = y.transpose(i, j);
        at[j] = at[i];
        at[i] = order[i];
      }
    }
    return y;
  }

  /** The elements {@code [from, to)} of a dimension; a view. */
  public static Var slice(Var x, int dim, int from, int to) {
    int size = x.shape().dim(dim);
    if (from < 0 || from > to || to > size) {
      throw new IllegalArgumentException(
          "slice: [" + from + ", " + to + ") of dimension " + dim + " of " + x.shape());
    }
    return x.split(dim, from, to - from, size - to).get(1);
  }

  /**
   * Some rows of the last dimension, {@code y[n] = x[rows[n]]}, counted over all others; a row that
   * is taken twice gets the sum of both gradients.
   *
   * @param x [.., C]
   * @param rows I32 of any shape, each below the number of x's rows
   * @return the shape of {@code rows} and C
   */
  public static Var rows(Var x, Tensor rows) {
    DType type = x.value().dtype();
    Var table = x.reshape(x.value().rows(), x.value().last());
    // The gradient of a table is a sum in fp32.
    return type == DType.F32
        ? Functional.embedding(table, rows)
        : cast(Functional.embedding(cast(table, DType.F32), rows), type);
  }

  /** The inputs one after the other along a dimension; their other dimensions agree. */
  public static Var concat(int dim, Var... parts) {
    Var first = parts[0];
    int size = 0;
    for (Var p : parts) {
      size += p.shape().dim(dim);
    }
    Tensor y = first.tape().alloc(first.value().dtype(), first.shape().with(dim, size));
    int from = 0;
    for (Var p : parts) {
      int to = from + p.shape().dim(dim);
      if (!p.shape().equals(y.shape().with(dim, to - from))) {
        throw new IllegalArgumentException(
            "concat: parts must agree but in dimension "
                + dim
                + ", got "
                + first.shape()
                + " and "
                + p.shape());
      }
      Elementwise.copy(y.slice(dim, from, to), p.value());
      from = to;
    }
    return first
        .tape()
        .record(
            "concat",
            y,
            inputs(parts),
            out -> {
              int start = 0;
              for (Var p : parts) {
                int end = start + p.shape().dim(dim);
                Elementwise.scaleBackward(p.grad(), out.dy().slice(dim, start, end), 1);
                start = end;
              }
            });
  }

  /** {@code y = alpha·x}, broadcast or summed to y's shape. */
  private static Var copied(String name, Var x, Tensor y, float alpha) {
    Elementwise.scale(y, x.value(), alpha);
    return x.tape()
        .record(name, y, inputs(x), out -> Elementwise.scaleBackward(x.grad(), out.dy(), alpha));
  }

  private static Var reduced(String name, Var x, boolean keepDims, int[] dims, boolean mean) {
    Shape kept = x.shape();
    for (int i = 0; i < (dims.length == 0 ? kept.rank() : dims.length); i++) {
      kept = kept.with(dims.length == 0 ? i : dims[i], 1);
    }
    float alpha = mean ? (float) ((double) kept.elements() / x.shape().elements()) : 1;
    Var y = copied(name, x, x.tape().alloc(x.value().dtype(), kept), alpha);
    if (keepDims) {
      return y;
    }
    boolean[] goes = new boolean[kept.rank()];
    for (int d : dims) {
      goes[kept.axis(d)] = true;
    }
    int[] rest =
        IntStream.range(0, kept.rank())
            .filter(i -> dims.length > 0 && !goes[i])
            .map(kept::dim)
            .toArray();
    return y.reshape(rest);
  }

  private static Tensor broadcast(String op, Var a, Var b) {
    return a.tape().alloc(a.value().dtype(), Elementwise.broadcast(op, a.shape(), b.shape()));
  }

  private static Shape without(Shape shape, int axis) {
    return Shape.of(
        IntStream.range(0, shape.rank()).filter(i -> i != axis).map(shape::dim).toArray());
  }
}
