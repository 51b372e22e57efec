package dev.javelin.autograd;

import dev.javelin.device.DType;
import dev.javelin.tensor.Grad;
import dev.javelin.tensor.Parameter;
import dev.javelin.tensor.Shape;
import dev.javelin.tensor.Tensor;
import dev.javelin.tensor.op.Fill;
import java.util.ArrayList;
import java.util.List;
import java.util.function.UnaryOperator;
import org.jspecify.annotations.Nullable;

/**
 * A tensor on a tape, and where its gradient goes.
 *
 * <p>The gradient's first writer overwrites, later ones add; nobody clears it first. Reshaped and
 * split variables are views: their gradients are views of the gradient of what they were made from,
 * so that the parts of a packed tensor are written in place.
 */
public final class Var {
  private final Tape tape;
  private final Tensor value;
  private final boolean requiresGrad;
  private final @Nullable Parameter parameter;
  private final @Nullable Var base; // of a view
  private final UnaryOperator<Tensor> view; // from the base's tensors to this one's
  private final @Nullable UnaryOperator<Tensor> inverse; // back, where the view covers its base
  private final boolean whole; // the view covers its base

  private @Nullable Tensor gradient;
  private boolean borrowed; // the gradient's memory is not this step's to release
  private boolean written;
  private List<Var> parts = List.of(); // disjoint views that cover this variable

  private Var(
      Tape tape,
      Tensor value,
      boolean requiresGrad,
      @Nullable Parameter parameter,
      @Nullable Var base,
      UnaryOperator<Tensor> view,
      @Nullable UnaryOperator<Tensor> inverse) {
    this.tape = tape;
    this.value = value;
    this.requiresGrad = requiresGrad;
    this.parameter = parameter;
    this.base = base;
    this.view = view;
    this.inverse = inverse;
    this.whole = base == null || inverse != null;
  }

  static Var of(Tape tape, Tensor value, boolean requiresGrad) {
    return new Var(tape, value, requiresGrad, null, null, UnaryOperator.identity(), null);
  }

  static Var of(Tape tape, Parameter p) {
    return new Var(tape, p.value(), p.grad() != null, p, null, UnaryOperator.identity(), null);
  }

  /** A leaf whose gradient goes where its owner says. */
  static Var leaf(Tape tape, Tensor value, @Nullable Grad grad) {
    Var v = of(tape, value, grad != null);
    if (grad != null) {
      v.gradient = grad.tensor();
      v.borrowed = true;
      v.written = grad.accumulate();
    }
    return v;
  }

  public Tensor value() {
    return value;
  }

  public Tape tape() {
    return tape;
  }

  public Shape shape() {
    return value.shape();
  }

  public boolean requiresGrad() {
    return requiresGrad;
  }

  /** What it stands for; {@code null} for the result of a function, or a constant. */
  public @Nullable Parameter parameter() {
    return parameter;
  }

  /** The variable of which this is a view; itself where it is none. */
  public Var origin() {
    return base == null ? this : base.origin();
  }

  /** A new contiguous tensor of this variable's shape and element type, of this step. */
  public Tensor like() {
    return tape.alloc(value.dtype(), value.shape());
  }

  /** A new contiguous tensor of this step. */
  public Tensor alloc(DType dtype, int... dims) {
    return tape.alloc(dtype, Shape.of(dims));
  }

  /** The same elements under another shape: a view. */
  public Var reshape(int... dims) {
    Shape from = value.shape();
    Shape to = Shape.of(dims);
    return from.equals(to) ? this : view(t -> t.reshape(to), t -> t.reshape(from));
  }

  /** A view with two dimensions exchanged. */
  public Var transpose(int a, int b) {
    return view(t -> t.transpose(a, b), t -> t.transpose(a, b));
  }

  /**
   * Cuts one dimension into parts of the given sizes, which must add up to it: views, first part
   * first.
   */
  public List<Var> split(int dim, int... sizes) {
    List<Var> out = new ArrayList<>(sizes.length);
    int from = 0;
    for (int size : sizes) {
      int start = from;
      out.add(view(t -> t.slice(dim, start, start + size), null));
      from += size;
    }
    if (from != value.dim(dim)) {
      throw new IllegalArgumentException(
          "split: sizes must add up to dimension "
              + dim
              + " of "
              + value.shape()
              + ", got "
              + from);
    }
    Var root = wholeBase();
    if (root.parts.isEmpty()) {
      root.parts = out;
    } else {
      // A second way to cut the same tensor: its parts overlap the first ones, so all of them add
      // to zeros.
      List<Var> all = new ArrayList<>(root.parts);
      all.addAll(out);
      root.parts = all;
      root.overlapping = true;
    }
    return out;
  }

  private boolean overlapping;

  private Var view(UnaryOperator<Tensor> f, @Nullable UnaryOperator<Tensor> inverse) {
    return new Var(tape, f.apply(value), requiresGrad, null, this, f, inverse);
  }

  /** The variable that this one shows entirely. */
  private Var wholeBase() {
    Var v = this;
    while (v.base != null && v.whole) {
      v = v.base;
    }
    return v;
  }

  /**
   * Where this variable's gradient goes: asked for by each operator that writes it, once per
   * contribution.
   *
   * @return {@code null} where nobody wants it (constants, frozen parameters)
   */
  public @Nullable Grad grad() {
    if (!requiresGrad) {
      return null;
    }
    if (parameter != null && parameter.grad() != null) {
      return new Grad(parameter.grad(), true);
    }
    if (base != null && whole) {
      Grad g = base.grad();
      return g == null ? null : new Grad(view.apply(g.tensor()), g.accumulate());
    }
    Tensor t = storage();
    completeParts();
    boolean accumulate = isWritten();
    written = true;
    return new Grad(t, accumulate);
  }

  /**
   * The gradient of this variable, complete, for the node that made it; {@code null} where none of
   * its uses had one.
   */
  public @Nullable Tensor dyOrNull() {
    if (base != null && whole) {
      Tensor t = base.dyOrNull();
      return t == null ? null : view.apply(t);
    }
    if (!requiresGrad || !hasGradient()) {
      return null;
    }
    completeParts();
    if (!isWritten()) { // of the parts of the base, this one was not used
      Fill.zero(storage());
      written = true;
    }
    return storage();
  }

  /** {@link #dyOrNull} for a node with one output, which runs only where there is a gradient. */
  public Tensor dy() {
    Tensor t = dyOrNull();
    if (t == null) {
      throw new IllegalStateException(
          "no gradient of " + value + ": it is a constant, or nothing that used it needed one");
    }
    return t;
  }

  /** Gives the gradient of a root before its node runs. */
  void seed(Tensor dy) {
    if (base != null && inverse != null) {
      base.seed(inverse.apply(dy));
      return;
    }
    if (base != null || gradient != null) {
      throw new IllegalStateException(
          "a root of backward must not be part of another variable, nor be used twice");
    }
    gradient = dy;
    borrowed = true;
    written = true;
  }

  /**
   * Zeros in what no use has written, when backward is over: for a leaf, which no node completes.
   */
  void completeGradient() {
    if (requiresGrad) {
      zeroUnwritten();
    }
  }

  /** Whether backward starts here: the gradient was given, not computed. */
  boolean isRoot() {
    return borrowed;
  }

  void releaseGradient() {
    if (gradient != null && base == null && !borrowed) {
      tape.workspace().release(gradient);
    }
    gradient = null;
  }

  private boolean hasGradient() {
    return written || gradient != null || (base != null && base.hasGradient());
  }

  private boolean isWritten() {
    return written || (base != null && base.isWritten());
  }

  private Tensor storage() {
    Tensor t = gradient;
    if (t == null) {
      if (base != null) {
        t = view.apply(base.storageForParts());
      } else {
        t = tape.allocGradient(value.dtype(), value.shape());
      }
      gradient = t;
    }
    return t;
  }

  private Tensor storageForParts() {
    if (base != null && whole) {
      return view.apply(base.storageForParts());
    }
    Tensor t = storage();
    if (overlapping && !isWritten()) {
      Fill.zero(t);
      written = true;
    }
    return t;
  }

  /** Once some parts have been written, zeros in the others make the whole of it written. */
  private void completeParts() {
    if (parts.isEmpty() || isWritten()) {
      return;
    }
    boolean any = false;
    for (Var p : parts) {
      any |= p.anyWritten();
    }
    if (!any) {
      return;
    }
    for (Var p : parts) {
      p.zeroUnwritten();
    }
    written = true;
  }

  private boolean anyWritten() {
    boolean any = written;
    for (Var p : parts) {
      any |= p.anyWritten();
    }
    return any;
  }

  private void zeroUnwritten() {
    if (written) {
      return;
    }
    if (anyWritten()) {
      completeParts();
    } else {
      Fill.zero(storage());
      written = true;
    }
  }

  @Override
  public String toString() {
    return value.toString() + (requiresGrad ? " with gradient" : "");
  }
}
