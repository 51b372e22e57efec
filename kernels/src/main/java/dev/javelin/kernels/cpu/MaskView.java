package dev.javelin.kernels.cpu;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import org.jspecify.annotations.Nullable;

/**
 * Which keys a query sees and what becomes of their scores, as the kernels want it: {@code s =
 * cap(scale · q·k) + slope_h · (j − i)} for the key at position j and the query at position i, with
 * {@code cap(x) = softCap · tanh(x / softCap)}.
 *
 * @param causal whether a query sees no key behind its own position
 * @param window a query sees itself and the {@code window − 1} keys before it; 0: all before it
 * @param softCap 0: none
 * @param lengths I32 [batch]: keys from there on are invisible
 * @param keyMask I32 [batch, keys]: a key with 0 is invisible
 * @param documentStarts I32 [batch, queries]: keys before it are invisible to that query
 * @param slopes F32 [queryHeads]
 */
public record MaskView(
    float scale,
    boolean causal,
    int window,
    float softCap,
    @Nullable MemorySegment lengths,
    @Nullable MemorySegment keyMask,
    @Nullable MemorySegment documentStarts,
    @Nullable MemorySegment slopes) {
  private static final ValueLayout.OfInt INT = ValueLayout.JAVA_INT_UNALIGNED;

  /** The first key that query {@code i} of batch row {@code b} may see. */
  int firstKey(AttentionShape s, int b, int i) {
    int first = window == 0 ? 0 : Math.max(0, s.firstPosition() + i - window + 1);
    return documentStarts == null
        ? first
        : Math.max(first, documentStarts.getAtIndex(INT, (long) b * s.queries() + i));
  }

  /** The key behind the last one that query {@code i} of batch row {@code b} may see. */
  int endKey(AttentionShape s, int b, int i) {
    int end = causal ? s.firstPosition() + i + 1 : s.keys();
    return lengths == null ? end : Math.min(end, lengths.getAtIndex(INT, b));
  }

  /** Whether the key mask hides key {@code j} of batch row {@code b}. */
  boolean hides(AttentionShape s, int b, int j) {
    return keyMask != null && keyMask.getAtIndex(INT, (long) b * s.keys() + j) == 0;
  }

  float slope(int head) {
    return slopes == null ? 0f : slopes.getAtIndex(ValueLayout.JAVA_FLOAT_UNALIGNED, head);
  }
}
