package dev.javelin.kernels.cpu;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Objects;

/**
 * The whole address space as one constant segment, for kernels that work on panels whose bounds
 * their caller has checked: the compiler knows the type of a constant, and a slice of it carries no
 * scope to ask.
 */
final class Ram {
  @SuppressWarnings("restricted")
  static final MemorySegment ALL = MemorySegment.NULL.reinterpret(Long.MAX_VALUE);

  static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT_UNALIGNED;

  private Ram() {}

  /**
   * The address of the bytes {@code [at, at + bytes)} of off-heap memory, which must be there.
   *
   * <p>A loop that adds an int to addresses, as in {@code Lanes.load(w + i)}, compiles well however
   * late and however often. One over segments does not: where the compiler guesses their bounds
   * wrong it leaves the compiled code and begins anew, and where it does not inline {@code asSlice}
   * it knows nothing of the slice and puts vectors on the heap.
   */
  static long address(MemorySegment m, long at, long bytes) {
    if (!m.isNative()) {
      throw new IllegalArgumentException("kernels need memory off the heap, got " + m);
    }
    Objects.checkFromIndexSize(at, bytes, m.byteSize());
    return m.address() + at;
  }
}
