package dev.javelin.kernels.cuda;

import dev.javelin.device.Addressable;
import dev.javelin.device.DType;

/**
 * Matrices in a GPU's memory, stored row by row.
 *
 * @param data the first element
 * @param stride elements between the starts of stored rows
 * @param transposed whether the transpose of what is stored is meant
 * @param batch elements between the matrices of a batch; 0 where all use the same one
 */
public record CudaMatrix(
    Addressable data, DType type, long stride, boolean transposed, long batch) {

  /** A single matrix. */
  public CudaMatrix(Addressable data, DType type, long stride, boolean transposed) {
    this(data, type, stride, transposed, 0);
  }

  /** The same from matrix {@code index} of the batch on. */
  CudaMatrix from(int index) {
    if (index == 0) {
      return this;
    }
    long bytes = type.bytes(batch * index);
    return new CudaMatrix(() -> data.address() + bytes, type, stride, transposed, batch);
  }
}
