package dev.javelin.tensor;

import dev.javelin.device.DType;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/**
 * Argument checks at an operator's door. Every message names the operator, the argument, what was
 * expected and what came.
 *
 * <pre>{@code
 * Check.that("rmsNorm").sameShape("y", y, "x", x).shape("w", w, Shape.of(x.last())).denseRows("x", x);
 * }</pre>
 */
public final class Check {
  private final String op;

  private Check(String op) {
    this.op = op;
  }

  public static Check that(String op) {
    return new Check(op);
  }

  public Check shape(String name, Tensor t, Shape expected) {
    return t.shape().equals(expected)
        ? this
        : fail(name + " must be " + expected + ", got " + t.shape());
  }

  public Check shape(String name, @Nullable Grad g, Shape expected) {
    return g == null ? this : shape(name, g.tensor(), expected);
  }

  public Check sameShape(String name, Tensor t, String other, Tensor o) {
    return t.shape().equals(o.shape())
        ? this
        : fail(name + " must have the shape of " + other + " " + o.shape() + ", got " + t.shape());
  }

  /**
   * A gradient destination must have the shape and element type of the tensor it is the gradient
   * of.
   */
  public Check like(String name, @Nullable Grad g, String other, Tensor o) {
    return g == null
        ? this
        : sameShape(name, g.tensor(), other, o).dtype(name, g.tensor(), o.dtype());
  }

  /** A weight's gradient must have the weight's shape and be F32. */
  public Check weightGrad(String name, @Nullable Grad g, String other, Tensor o) {
    return g == null
        ? this
        : sameShape(name, g.tensor(), other, o).dtype(name, g.tensor(), DType.F32);
  }

  public Check dtype(String name, Tensor t, DType expected) {
    return t.dtype() == expected
        ? this
        : fail(name + " must be " + expected + ", got " + t.dtype());
  }

  public Check floats(String name, Tensor t) {
    return t.dtype().isFloat() ? this : fail(name + " must be F32, BF16 or F16, got " + t.dtype());
  }

  public Check rank(String name, Tensor t, int expected) {
    return t.rank() == expected
        ? this
        : fail(name + " must have " + expected + " dimensions, got " + t.shape());
  }

  public Check contiguous(String name, Tensor t) {
    return t.isContiguous()
        ? this
        : fail(name + " must be contiguous: call contiguous(); got layout " + t.layout());
  }

  /** The last dimension dense and all rows evenly spaced, as in a part of a packed tensor. */
  public Check denseRows(String name, Tensor t) {
    return t.layout().hasDenseRows()
        ? this
        : fail(
            name
                + " must have dense, evenly spaced rows: call contiguous(); got layout "
                + t.layout());
  }

  public Check denseRows(String name, @Nullable Grad g) {
    return g == null ? this : denseRows(name, g.tensor());
  }

  /** Any other condition; the message goes on after the operator's name. */
  public Check is(boolean condition, String message) {
    return condition ? this : fail(message);
  }

  /** The same with a message that is put together only when it is needed. */
  public Check is(boolean condition, Supplier<String> message) {
    return condition ? this : fail(message.get());
  }

  private Check fail(String message) {
    throw new IllegalArgumentException(op + ": " + message);
  }
}
