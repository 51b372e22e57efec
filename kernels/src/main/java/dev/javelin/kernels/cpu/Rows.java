package dev.javelin.kernels.cpu;

import dev.javelin.device.DType;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * One operand of a row kernel: evenly spaced rows of any float type that the kernel sees as whole
 * fp32 vectors, so that it is written once and without a tail. F32 rows of a whole number of
 * vectors are used where they lie. All others pass through a slot of the thread's scratch memory,
 * widened and padded on the way in, narrowed on the way out.
 *
 * <pre>{@code
 * Rows in = new Rows(x, type, ldx, cols, 0), out = new Rows(y, type, ldy, cols, 1);
 * cpu.parallel(rows, Rows.grain(cols), (from, to) -> {
 *   MemorySegment scratch = cpu.scratch(Rows.scratchBytes(cols, 2));
 *   for (int r = from; r < to; r++) {
 *     long xr = in.load(r, scratch);                 // byte offset of the row in in.segment(scratch)
 *     long yr = out.target(r, accumulate, scratch);
 *     …                                              // whole vectors over [0, Lanes.pad(cols))
 *     out.store(r, scratch);
 *   }
 * });
 * }</pre>
 *
 * @param data from the first element of the first row on
 * @param stride elements between the starts of neighbouring rows; 0 for one row that all share
 * @param slot which part of the scratch memory this operand may use, from 0
 */
record Rows(MemorySegment data, DType type, long stride, int cols, int slot) {
  private static final int PIECE = 8192; // elements of a piece of parallel work

  /** Rows of a piece of parallel work; depends on the size only. */
  static int grain(int cols) {
    return Math.max(1, PIECE / Math.max(1, cols));
  }

  /** Scratch memory for the slots {@code [0, slots)}. */
  static long scratchBytes(int cols, int slots) {
    return slots * slotBytes(cols);
  }

  private static long slotBytes(int cols) {
    return 4L * Lanes.pad(cols);
  }

  /** Whether rows are used where they lie. */
  boolean direct() {
    return type == DType.F32 && Lanes.pad(cols) == cols;
  }

  /** The memory that offsets of this operand refer to. */
  MemorySegment segment(MemorySegment scratch) {
    return direct() ? data : scratch;
  }

  /** Makes row {@code r} readable, padded with zeros; returns its byte offset. */
  long load(int r, MemorySegment scratch) {
    if (direct()) {
      return 4 * stride * r;
    }
    long slot = this.slot * slotBytes(cols);
    Half.widen(scratch, slot, data, type.bytes(stride * r), type, cols);
    fill(0f, scratch);
    return slot;
  }

  /**
   * The byte offset where results of row {@code r} go, before {@link #store}; what stands there is
   * the row's present content if {@code accumulate}, otherwise anything.
   */
  long target(int r, boolean accumulate, MemorySegment scratch) {
    if (accumulate) {
      return load(r, scratch);
    }
    return direct() ? 4 * stride * r : slot * slotBytes(cols);
  }

  /** Brings results written at {@link #target} to row {@code r}. */
  void store(int r, MemorySegment scratch) {
    if (!direct()) {
      Half.narrow(data, type.bytes(stride * r), type, scratch, slot * slotBytes(cols), cols);
    }
  }

  /** Sets the padding of the loaded row, for sums where zero is not neutral. */
  void fill(float padding, MemorySegment scratch) {
    if (!direct()) {
      long slot = this.slot * slotBytes(cols);
      for (int i = cols; i < Lanes.pad(cols); i++) {
        scratch.set(ValueLayout.JAVA_FLOAT_UNALIGNED, slot + 4L * i, padding);
      }
    }
  }
}
