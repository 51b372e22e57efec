package dev.javelin.kernels.cuda;

import dev.javelin.device.Addressable;
import org.jspecify.annotations.Nullable;

/**
 * By which angles the feature pairs of a head turn, in a GPU's memory.
 *
 * @param cos F32 [rows, pairs]
 * @param sin F32 [rows, pairs]
 * @param positions I32: the position of time step t of batch row b at {@code b·batchStride + t};
 *     {@code null}: {@code offset + t}
 * @param neighbours features 2i and 2i + 1 make a pair; otherwise i and i + pairs
 */
public record CudaAngles(
    Addressable cos,
    Addressable sin,
    int rows,
    int pairs,
    @Nullable Addressable positions,
    long batchStride,
    int offset,
    boolean neighbours) {

  /** The struct {@code Angles} of the kernels. */
  long[] words() {
    return new long[] {
      cos.address(),
      sin.address(),
      positions == null ? 0 : positions.address(),
      batchStride,
      offset,
      rows,
      pairs,
      CudaRows.flag(neighbours)
    };
  }
}
