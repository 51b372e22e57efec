package dev.javelin.kernels.cpu;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import org.jspecify.annotations.Nullable;

/**
 * By which angles the feature pairs of a head turn, and which features make a pair. The first
 * {@code 2·pairs} features of a head turn; the others stay.
 *
 * @param cos F32 [positions, pairs]
 * @param sin F32 [positions, pairs]
 * @param pairs P
 * @param positions I32: the position of time step t of batch row b at {@code b·batchStride + t};
 *     {@code null}: {@code offset + t}
 * @param batchStride elements between the batch rows of {@code positions}; 0 where all share one
 * @param offset the position of time step 0, where there are no {@code positions}
 * @param interleaved features 2i and 2i + 1 make a pair; otherwise i and i + P
 */
public record RopeAngles(
    MemorySegment cos,
    MemorySegment sin,
    int pairs,
    @Nullable MemorySegment positions,
    long batchStride,
    int offset,
    boolean interleaved) {

  /** The byte where the row of a time step begins in both tables. */
  long row(int b, int t) {
    long position =
        positions == null
            ? offset + t
            : positions.getAtIndex(ValueLayout.JAVA_INT_UNALIGNED, b * batchStride + t);
    return 4 * position * pairs;
  }
}
