package dev.javelin.tensor.op;

import static dev.javelin.tensor.op.Operands.matrix;

import dev.javelin.device.Cuda;
import dev.javelin.device.CudaKernel;
import dev.javelin.device.DType;
import dev.javelin.kernels.cuda.CudaMatrix;
import dev.javelin.kernels.cuda.MatmulCuda;
import dev.javelin.tensor.Grad;
import dev.javelin.tensor.Layout;
import dev.javelin.tensor.Shape;
import dev.javelin.tensor.Tensor;
import dev.javelin.tensor.op.Operands.RowGrid;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * {@link LinearCrossEntropy} on a GPU: for each chunk of rows a product, {@code
 * linear_cross_entropy.cu}, and two products. The logits' gradient takes the place of the logits,
 * in the type of x, so that all products of half types run on tensor cores. dw gets the chunks in
 * their order.
 */
final class LinearCrossEntropyCuda {
  private static final int UNIT = 8; // columns of a thread
  private static final int ALIGNMENT = 1024; // of a launch's shared memory

  private LinearCrossEntropyCuda() {}

  /**
   * As {@link LinearCrossEntropy}'s methods do it.
   *
   * @param losses {@code null}: stats are there already
   * @param dy {@code null}: no gradients
   */
  static void run(
      Cuda cuda,
      @Nullable Tensor losses,
      Tensor stats,
      @Nullable Grad dx,
      @Nullable Grad dw,
      @Nullable Tensor dy,
      Tensor x,
      Tensor w,
      Tensor targets,
      LossOptions options,
      Tensor scratch) {
    int rows = x.rows();
    int cols = x.last();
    int vocabulary = w.dim(0);
    int chunk = scratch.dim(0);
    for (int from = 0; from < rows; from += chunk) {
      int n = Math.min(chunk, rows - from);
      Tensor xs = rows(x, from, n);
      Tensor ts = elements(targets, from, n);
      Tensor ss = stats.slice(0, from, from + n);
      Tensor logits = scratch.slice(0, 0, n).slice(1, 0, vocabulary);
      product(cuda, logits, matrix(xs, false), matrix(w, true), cols, false);
      Tensor ls = losses == null ? null : elements(losses, from, n);
      if (dy == null) {
        CrossEntropy.forward(Objects.requireNonNull(ls), ss, logits, ts, options);
        continue;
      }
      Tensor dlogits =
          gradient(cuda, logits, elements(dy, from, n), x.dtype(), ts, ls, ss, options);
      if (dx != null) {
        Tensor d = rows(dx.tensor(), from, n);
        product(cuda, d, matrix(dlogits, false), matrix(w, false), vocabulary, dx.accumulate());
      }
      if (dw != null) {
        boolean add = dw.accumulate() || from > 0;
        product(cuda, dw.tensor(), matrix(dlogits, true), matrix(xs, false), n, add);
      }
    }
  }

  /** {@code c (+)= op(a) · op(b)} with the sum over k. */
  private static void product(
      Cuda cuda, Tensor c, CudaMatrix a, CudaMatrix b, int k, boolean accumulate) {
    MatmulCuda.run(cuda, matrix(c, false), a, b, c.rows(), c.last(), k, 1, accumulate);
  }

  /** The gradient of the logits, over them, in the type of the products to come; and losses. */
  private static Tensor gradient(
      Cuda cuda,
      Tensor logits,
      Tensor dy,
      DType type,
      Tensor targets,
      @Nullable Tensor losses,
      Tensor stats,
      LossOptions options) {
    RowGrid grid = RowGrid.of(logits);
    CudaKernel kernel = cuda.kernel(grid.name("linear_cross_entropy"), type);
    int kept = grid.isLong() && losses != null ? kept(cuda, kernel, logits.last()) : 0;
    kernel
        .grid(grid.blocks())
        .shared((int) DType.F32.bytes(kept))
        .ptr(logits)
        .i64(logits.rowStride())
        .ptr(dy)
        .ptr(targets)
        .ptr(losses)
        .ptr(stats)
        .i64(logits.rows())
        .i32(logits.last())
        .i32(kept)
        .i32(options.ignoreIndex())
        .f32(options.labelSmoothing())
        .f32(options.zLoss())
        .f32(options.softCap())
        .run();
    long stride = logits.rowStride() * DType.F32.bytes(1) / type.bytes(1);
    Layout layout = Layout.of(logits.shape(), stride, 1);
    return new Tensor(logits.memory(), logits.offset(), layout, type, logits.lease());
  }

  /** Columns of a row that shared memory takes, in whole units: one block has a multiprocessor. */
  private static int kept(Cuda cuda, CudaKernel kernel, int cols) {
    int bytes = cuda.properties().sharedMemory() - kernel.staticShared() - ALIGNMENT;
    return Math.min(cols, (int) (bytes / DType.F32.bytes(1))) / UNIT * UNIT;
  }

  /** Some rows of a tensor with dense rows, as a matrix. */
  private static Tensor rows(Tensor t, int from, int count) {
    Layout matrix = Layout.of(Shape.of(t.rows(), t.last()), t.rowStride(), 1);
    return t.as(matrix).slice(0, from, from + count);
  }

  /** Some elements of a contiguous tensor. */
  private static Tensor elements(Tensor t, int from, int count) {
    return t.reshape(Math.toIntExact(t.elements())).slice(0, from, from + count);
  }
}
