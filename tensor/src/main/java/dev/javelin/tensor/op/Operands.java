package dev.javelin.tensor.op;

import dev.javelin.kernels.cpu.HeadGrad;
import dev.javelin.kernels.cpu.HeadView;
import dev.javelin.kernels.cpu.Rows;
import dev.javelin.kernels.cuda.CudaMatrix;
import dev.javelin.tensor.Check;
import dev.javelin.tensor.Grad;
import dev.javelin.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/** Tensors as kernels want them. */
final class Operands {
  private static final int VECTOR_BYTES = 16;

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

  /** Requires heads [B, T, H, D]. */
  static void checkHeads(Check check, String name, Tensor t) {
    check
        .rank(name, t, 4)
        .is(
            t.last() <= 1 || t.stride(3) == 1,
            () ->
                name
                    + " must have a dense last dimension: call contiguous(); got layout "
                    + t.layout())
        .is(
            t.dim(1) <= 1 || t.stride(1) > 0,
            () ->
                name + " must not repeat time steps: call contiguous(); got layout " + t.layout());
  }

  /** Whether CUDA kernels can read all rows of these in vectors of 16 bytes. */
  static boolean inVectors(@Nullable Tensor... tensors) {
    for (Tensor t : tensors) {
      if (t != null && !(isWhole(t, t.last()) && isWhole(t, t.rowStride()))) {
        return false;
      }
    }
    return true;
  }

  private static boolean isWhole(Tensor t, long elements) {
    return t.dtype().bytes(elements) % VECTOR_BYTES == 0 && t.address() % VECTOR_BYTES == 0;
  }

  /**
   * How a CUDA kernel that goes element by element walks through rows: in units of 16 bytes where
   * all rows allow it, otherwise of one element.
   *
   * @param count of units
   * @param cols units in a row; dense tensors are one row
   */
  record Units(long count, long cols, boolean vectors) {
    /** Of tensors of one shape; {@code narrow} has the type whose 16 bytes are a unit. */
    static Units of(Tensor narrow, @Nullable Tensor... others) {
      boolean dense = isDense(narrow);
      boolean whole = isWhole(narrow, narrow.elements());
      for (Tensor t : others) {
        dense &= t == null || isDense(t);
        whole &= t == null || isWhole(t, t.elements());
      }
      boolean vectors = dense && whole || inVectors(narrow) && inVectors(others);
      long unit = vectors ? VECTOR_BYTES / narrow.dtype().bytes(1) : 1;
      long cols = dense ? narrow.elements() : narrow.last();
      return new Units(narrow.elements() / unit, Math.max(1, cols / unit), vectors);
    }

    private static boolean isDense(Tensor t) {
      return t.rowStride() == t.last() || t.rows() == 1;
    }
  }

  /**
   * The grid of a CUDA kernel that has a warp for a short row and a block for a long one, which is
   * another instance.
   */
  record RowGrid(long blocks, boolean isLong) {
    private static final int SHORT_COLUMNS = 1024;
    private static final int ROWS_OF_BLOCK = 4;

    static RowGrid of(Tensor x) {
      boolean isLong = x.last() > SHORT_COLUMNS;
      return new RowGrid(isLong ? x.rows() : Math.ceilDiv(x.rows(), ROWS_OF_BLOCK), isLong);
    }

    String name(String kernel) {
      return isLong ? kernel.concat("_long") : kernel;
    }
  }

  static int flag(boolean b) {
    return b ? 1 : 0;
  }

  static @Nullable Tensor tensorOf(@Nullable Grad g) {
    return g == null ? null : g.tensor();
  }

  /** 1 where a gradient is added to what its destination holds. */
  static int adds(@Nullable Grad g) {
    return g != null && g.accumulate() ? 1 : 0;
  }

  static long strideOf(@Nullable Grad g) {
    return strideOf(tensorOf(g));
  }

  static long strideOf(@Nullable Tensor t) {
    return t == null ? 0 : t.rowStride();
  }
}
