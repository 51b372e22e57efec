package dev.javelin.kernels.cpu;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

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
}
