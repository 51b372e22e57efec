package dev.javelin.tensor.op;

import dev.javelin.kernels.cpu.HeadGrad;
import dev.javelin.kernels.cpu.HeadView;
import dev.javelin.kernels.cpu.Rows;
import dev.javelin.kernels.cuda.CudaHeads;
import dev.javelin.kernels.cuda.CudaMatrix;
import dev.javelin.kernels.cuda.CudaRows;
import dev.javelin.tensor.Check;
import dev.javelin.tensor.Grad;
import dev.javelin.tensor.Tensor;
import java.lang.foreign.MemorySegment;
import org.jspecify.annotations.Nullable;

/** Tensors as kernels want them. */
final class Operands {
  private Operands() {}

  /** All but the last dimension as rows. */
  static Rows rows(Tensor t) {
    return rows(t, false);
  }

  static @Nullable Rows rowsOrNull(@Nullable Tensor t) {
    return t == null ? null : rows(t, false);
  }

  /** A gradient's destination. */
  static Rows rows(Grad g) {
    return rows(g.tensor(), g.accumulate());
  }

  static @Nullable Rows rowsOrNull(@Nullable Grad g) {
    return g == null ? null : rows(g);
  }

  private static Rows rows(Tensor t, boolean accumulate) {
    return new Rows(t.segment(), t.dtype(), t.rows(), t.last(), t.rowStride(), accumulate);
  }

  /** All but the last dimension as rows in a GPU's memory. */
  static CudaRows cudaRows(Tensor t) {
    return cudaRows(t, false);
  }

  static @Nullable CudaRows cudaRowsOrNull(@Nullable Tensor t) {
    return t == null ? null : cudaRows(t, false);
  }

  /** A gradient's destination. */
  static CudaRows cudaRows(Grad g) {
    return cudaRows(g.tensor(), g.accumulate());
  }

  static @Nullable CudaRows cudaRowsOrNull(@Nullable Grad g) {
    return g == null ? null : cudaRows(g);
  }

  private static CudaRows cudaRows(Tensor t, boolean accumulate) {
    return new CudaRows(t, t.dtype(), t.rows(), t.last(), t.rowStride(), accumulate);
  }

  /** All but the last dimension as rows of a matrix in a GPU's memory, or of its transpose. */
  static CudaMatrix matrix(Tensor t, boolean transposed) {
    return new CudaMatrix(t, t.dtype(), t.rowStride(), transposed);
  }

  /** Heads [B, T, H, D] with a dense last dimension, wherever they lie. */
  static HeadView heads(Tensor t) {
    // The stride of a dimension of one element may be anything; kernels step by it.
    long time = t.dim(1) == 1 ? t.last() : t.stride(1);
    return new HeadView(t.segment(), t.dtype(), t.stride(0), time, t.stride(2));
  }

  static @Nullable HeadGrad headsOrNull(@Nullable Grad g) {
    return g == null ? null : new HeadGrad(heads(g.tensor()), g.accumulate());
  }

  /** The same in a GPU's memory. */
  static CudaHeads cudaHeads(Tensor t) {
    return cudaHeads(t, false);
  }

  static @Nullable CudaHeads cudaHeadsOrNull(@Nullable Grad g) {
    return g == null ? null : cudaHeads(g.tensor(), g.accumulate());
  }

  private static CudaHeads cudaHeads(Tensor t, boolean accumulate) {
    return new CudaHeads(
        t,
        t.dtype(),
        t.dim(0),
        t.dim(1),
        t.dim(2),
        t.dim(3),
        t.stride(0),
        t.stride(1),
        t.stride(2),
        accumulate);
  }

  static @Nullable MemorySegment segmentOrNull(@Nullable Tensor t) {
    return t == null ? null : t.segment();
  }

  /** Requires heads [B, T, H, D]. */
  static void checkHeads(Check check, String name, Tensor t) {
    check.rank(name, t, 4);
    // No messages that are made when needed: each would be an object for each call.
    if (t.last() > 1 && t.stride(3) != 1) {
      check.is(
          false,
          name + " must have a dense last dimension: call contiguous(); got layout " + t.layout());
    }
    if (t.dim(1) > 1 && t.stride(1) <= 0) {
      check.is(
          false, name + " must not repeat time steps: call contiguous(); got layout " + t.layout());
    }
  }
}
