package dev.javelin.kernels.cuda;

import dev.javelin.device.Addressable;
import dev.javelin.device.DType;
import org.jspecify.annotations.Nullable;

/**
 * Evenly spaced rows in a GPU's memory. A kernel takes them as a pointer and a stride, and where
 * they are a gradient's destination, whether to add.
 *
 * @param data the first element
 * @param count number of rows
 * @param cols elements of a row
 * @param stride elements between the starts of neighbouring rows
 * @param accumulate whether results are added to what stands there
 */
public record CudaRows(
    Addressable data, DType type, int count, int cols, long stride, boolean accumulate)
    implements Addressable {
  private static final int VECTOR_BYTES = 16;

  @Override
  public long address() {
    return data.address();
  }

  long elements() {
    return (long) count * cols;
  }

  /** Rows {@code [from, from + n)}. */
  CudaRows from(int from, int n) {
    return new CudaRows(data.plus(type.bytes(from * stride)), type, n, cols, stride, accumulate);
  }

  /** As an operand of a matrix product. */
  CudaMatrix matrix(boolean transposed) {
    return new CudaMatrix(data, type, stride, transposed);
  }

  static long stride(@Nullable CudaRows rows) {
    return rows == null ? 0 : rows.stride;
  }

  /** 1 where results are added. */
  static int adds(@Nullable CudaRows rows) {
    return flag(rows != null && rows.accumulate);
  }

  /** How kernels take a boolean. */
  static int flag(boolean b) {
    return b ? 1 : 0;
  }

  /** Whether kernels can read all rows of these in vectors of 16 bytes. */
  static boolean inVectors(@Nullable CudaRows... operands) {
    for (CudaRows rows : operands) {
      if (rows != null && !(rows.isWhole(rows.cols) && rows.isWhole(rows.stride))) {
        return false;
      }
    }
    return true;
  }

  /** Elements that kernels take at a time: 16 bytes of them, or one. */
  static long unit(DType type, boolean vectors) {
    return vectors ? VECTOR_BYTES / type.bytes(1) : 1;
  }

  private boolean isWhole(long elements) {
    return type.bytes(elements) % VECTOR_BYTES == 0 && data.address() % VECTOR_BYTES == 0;
  }

  /**
   * How a kernel that goes element by element walks through rows: in units of 16 bytes where all
   * rows allow it, otherwise of one element.
   *
   * @param count of units
   * @param cols units in a row; dense rows are one
   */
  record Units(long count, long cols, boolean vectors) {
    /** Of operands of one shape; {@code narrow} has the type whose 16 bytes are a unit. */
    static Units of(CudaRows narrow, @Nullable CudaRows... others) {
      boolean dense = narrow.isDense();
      boolean whole = narrow.isWhole(narrow.elements());
      for (CudaRows rows : others) {
        dense &= rows == null || rows.isDense();
        whole &= rows == null || rows.isWhole(rows.elements());
      }
      boolean vectors = dense && whole || inVectors(narrow) && inVectors(others);
      long unit = unit(narrow.type, vectors);
      long cols = dense ? narrow.elements() : narrow.cols;
      return new Units(narrow.elements() / unit, Math.max(1, cols / unit), vectors);
    }
  }

  private boolean isDense() {
    return stride == cols || count == 1;
  }
}
