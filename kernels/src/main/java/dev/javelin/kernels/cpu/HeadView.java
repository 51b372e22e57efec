package dev.javelin.kernels.cpu;

import dev.javelin.device.DType;
import java.lang.foreign.MemorySegment;
import org.jspecify.annotations.Nullable;

/**
 * Attention heads wherever they lie: element {@code (b, t, h, d)} stands at {@code b·batchStride +
 * t·timeStride + h·headStride + d}. So a part of a packed qkv, a transposed tensor and a part of a
 * KV cache all do without a copy.
 *
 * @param data from the first element on
 * @param type F32, BF16 or F16
 * @param batchStride elements between neighbours in the batch
 * @param timeStride elements between neighbouring positions of one head
 * @param headStride elements between neighbouring heads
 * @param pages where positions lie in pages instead: then {@code data} is all of memory
 */
public record HeadView(
    MemorySegment data,
    DType type,
    long batchStride,
    long timeStride,
    long headStride,
    @Nullable HeadPages pages) {

  public HeadView(
      MemorySegment data, DType type, long batchStride, long timeStride, long headStride) {
    this(data, type, batchStride, timeStride, headStride, null);
  }

  /** Heads in pages [PAGE, heads, dim]. */
  static HeadView paged(HeadPages pages, DType type, int heads, int dim) {
    return new HeadView(Ram.ALL, type, 0, (long) heads * dim, dim, pages);
  }

  /** The byte where the vector of {@code (batch, time, head)} begins. */
  long at(int batch, int time, int head) {
    if (pages != null) {
      long within = time % HeadPages.PAGE * timeStride + head * headStride;
      return pages.address(batch, time / HeadPages.PAGE) + type.bytes(within);
    }
    return type.bytes(batch * batchStride + time * timeStride + head * headStride);
  }

  /** Bytes between neighbouring positions of one head. */
  long row() {
    return type.bytes(timeStride);
  }

  /** Whether vectors of {@code dim} elements can be used where they lie. */
  boolean direct(int dim) {
    return type == DType.F32 && dim % Lanes.COUNT == 0;
  }
}
