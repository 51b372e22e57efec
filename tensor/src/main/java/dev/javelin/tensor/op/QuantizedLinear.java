package dev.javelin.tensor.op;

import static dev.javelin.tensor.op.Operands.rows;
import static dev.javelin.tensor.op.Operands.rowsOrNull;

import dev.javelin.device.Cpu;
import dev.javelin.device.Cuda;
import dev.javelin.device.DType;
import dev.javelin.kernels.Activation;
import dev.javelin.kernels.cpu.LinearCpu;
import dev.javelin.kernels.cpu.QuantizedView;
import dev.javelin.kernels.cuda.MatmulCuda;
import dev.javelin.kernels.cuda.QuantizedCuda;
import dev.javelin.tensor.Check;
import dev.javelin.tensor.Grad;
import dev.javelin.tensor.QuantizedMatrix;
import dev.javelin.tensor.Shape;
import dev.javelin.tensor.Tensor;
import dev.javelin.tensor.step.Workspace;
import org.jspecify.annotations.Nullable;

/**
 * A linear layer with a frozen weight in few bits. It computes what {@link Linear} does with the
 * weight widened to fp32, to the bit on a CPU, where it is widened in the cache; on a GPU it is
 * widened to the type of x, a panel of rows at a time.
 *
 * <p>Where the matrix says so ({@link QuantizedMatrix#int8Activations}), x is rounded to 8 bits, 64
 * elements of a row sharing a scale, and multiplied in whole numbers: on CPUs, forward only. A row
 * of y then has the same bits beside any others. {@code nf4} with rows that are no multiple of 64
 * long is multiplied as ever.
 *
 * @see dev.javelin.kernels.Quantization
 */
public final class QuantizedLinear {
  /** Elements of a panel on a GPU, about, and its rows a multiple of so many. */
  private static final int PANEL_ELEMENTS = 4 << 20;

  private static final int PANEL_STEP = 128;

  private QuantizedLinear() {}

  /** Rows of the weight in a panel. */
  private static int panelRows(QuantizedMatrix w) {
    int rows = Math.max(1, PANEL_ELEMENTS / w.in() / PANEL_STEP) * PANEL_STEP;
    return Math.min(w.out(), rows);
  }

  /**
   * {@code z = x · wᵀ + b, y = f(z)}; x [.., K], w [N, K], b [N], y and z [.., N], of one float
   * type with dense rows but for w; sums in fp32. 2·R·N·K FLOPs; w is read once for few rows of x.
   *
   * @param ws has room for a panel of w on a GPU: 4 Mi elements, about
   * @param z kept for the backward pass of an activation; {@code null} without one, or in inference
   * @param b {@code null} for none
   * @param f {@code null} for none
   */
  public static void forward(
      Workspace ws,
      Tensor y,
      @Nullable Tensor z,
      Tensor x,
      QuantizedMatrix w,
      @Nullable Tensor b,
      @Nullable Activation f) {
    Check check =
        Check.that("quantized linear")
            .floats("x", x)
            .is(w.in() == x.last(), () -> "w must be [N, " + x.last() + "], got " + w.shape())
            .shape("y", y, x.shape().with(-1, w.out()))
            .dtype("y", y, x.dtype())
            .denseRows("x", x)
            .denseRows("y", y);
    if (b != null) {
      check.shape("b", b, Shape.of(w.out())).dtype("b", b, x.dtype());
    }
    if (z != null) {
      check.is(f != null, "z is for an activation, and there is none").sameShape("z", z, "y", y);
      check.dtype("z", z, x.dtype()).denseRows("z", z);
    }
    switch (x.device()) {
      case Cpu cpu -> {
        if (w.int8Activations()) {
          LinearCpu.forwardInt8(cpu, rows(y), rowsOrNull(z), rows(x), view(w), rowsOrNull(b), f);
        } else {
          LinearCpu.forward(cpu, rows(y), rowsOrNull(z), rows(x), view(w), rowsOrNull(b), f);
        }
      }
      case Cuda cuda -> {
        check.is(!w.int8Activations(), () -> "activations of 8 bits are for CPUs, got " + cuda);
        try (Workspace.Scratch scratch = panel(ws, x.dtype(), w)) {
          Tensor panel = scratch.tensor();
          for (int n = 0; n < w.out(); n += panelRows(w)) {
            int count = Math.min(panelRows(w), w.out() - n);
            Tensor part = panel.slice(0, 0, count);
            widen(cuda, part, w, n);
            Linear.forward(
                columns(y, n, count),
                z == null ? null : columns(z, n, count),
                matrix(x),
                part,
                b == null ? null : b.slice(0, n, n + count),
                f);
          }
        }
      }
    }
  }

  /**
   * {@code dx (+)= dz · w, db[n] (+)= Σ_r dz[r,n]}; w has no gradient. dx of dz's type, db F32;
   * either may be {@code null}.
   */
  public static void backward(
      Workspace ws, @Nullable Grad dx, @Nullable Grad db, Tensor dz, QuantizedMatrix w) {
    if (db != null) {
      Check.that("quantized linear backward").shape("db", db, Shape.of(w.out()));
      switch (dz.device()) {
        case Cpu cpu -> LinearCpu.biasGradient(cpu, rows(db), rows(dz));
        case Cuda cuda ->
            MatmulCuda.biasGradient(
                cuda, db.tensor(), Operands.matrix(dz, false), dz.rows(), w.out(), db.accumulate());
      }
    }
    if (dx == null) {
      return;
    }
    Check.that("quantized linear backward")
        .floats("dz", dz)
        .is(w.out() == dz.last(), () -> "w must be [" + dz.last() + ", K], got " + w.shape())
        .shape("dx", dx.tensor(), dz.shape().with(-1, w.in()))
        .dtype("dx", dx.tensor(), dz.dtype())
        .denseRows("dx", dx.tensor())
        .denseRows("dz", dz);
    switch (dz.device()) {
      case Cpu cpu ->
          LinearCpu.backward(cpu, rows(dx.tensor()), dx.accumulate(), rows(dz), view(w));
      case Cuda cuda -> {
        Tensor to = matrix(dx.tensor());
        try (Workspace.Scratch scratch = panel(ws, dz.dtype(), w)) {
          for (int n = 0; n < w.out(); n += panelRows(w)) {
            int count = Math.min(panelRows(w), w.out() - n);
            Tensor part = scratch.tensor().slice(0, 0, count);
            widen(cuda, part, w, n);
            Matmul.forward(new Grad(to, dx.accumulate() || n > 0), columns(dz, n, count), part);
          }
        }
      }
    }
  }

  private static QuantizedView view(QuantizedMatrix w) {
    return new QuantizedView(w.bytes().segment(), w.format(), w.out(), w.in());
  }

  private static Workspace.Scratch panel(Workspace ws, DType type, QuantizedMatrix w) {
    return ws.scratch(type, Shape.of(panelRows(w), w.in()));
  }

  private static void widen(Cuda cuda, Tensor panel, QuantizedMatrix w, int row) {
    QuantizedCuda.widen(
        cuda, panel, panel.dtype(), w.bytes(), w.format(), w.out(), w.in(), row, panel.dim(0));
  }

  private static Tensor matrix(Tensor t) {
    return t.reshape(t.rows(), t.last());
  }

  private static Tensor columns(Tensor t, int from, int count) {
    return matrix(t).slice(1, from, from + count);
  }
}
