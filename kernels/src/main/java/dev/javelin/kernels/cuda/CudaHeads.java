package dev.javelin.kernels.cuda;

import dev.javelin.device.Addressable;
import dev.javelin.device.DType;

/**
 * Attention heads [batch, time, heads, dim] in a GPU's memory, wherever they lie: element {@code
 * (b, t, h, d)} stands at {@code b·batchStride + t·timeStride + h·headStride + d}. The stride of a
 * dimension of one element may be anything.
 *
 * @param data the first element
 * @param accumulate whether results are added to what stands there
 */
public record CudaHeads(
    Addressable data,
    DType type,
    int batch,
    int time,
    int heads,
    int dim,
    long batchStride,
    long timeStride,
    long headStride,
    boolean accumulate)
    implements Addressable {

  @Override
  public long address() {
    return data.address();
  }

  /** Vectors of {@code dim} elements. */
  long rows() {
    return (long) batch * time * heads;
  }
}
