package dev.javelin.kernels.cpu;

import dev.javelin.device.DType;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * One operand of a row kernel: evenly spaced rows of any float type that the kernel sees as whole
 * fp32 vectors, so that it is written once and without a tail. F32 rows of a whole number of
 * vectors are used where they lie. All others pass through a slot of the thread's scratch memory,
 * widened and padded with zeros on the way in, narrowed on the way out.
 *
 * <pre>{@code
 * Rows in = x.slot(0), out = y.slot(1);
 * cpu.parallel(x.count(), Rows.grain(cols), (from, to) -> {
 *   MemorySegment scratch = cpu.scratch(Rows.scratchBytes(cols, 2));
 *   MemorySegment xs = in.segment(scratch), ys = out.segment(scratch);
 *   for (int r = from; r < to; r++) {
 *     long xr = in.load(r, scratch);     // byte offset of the row in xs
 *     long yr = out.target(r, scratch);  // holds the old row where y.accumulate()
 *     …                                  // whole vectors over [0, Lanes.pad(cols))
 *     out.store(r, scratch);
 *   }
 * });
 * }</pre>
 *
 * @param data from the first element of the first row on
 * @param type F32, BF16 or F16
 * @param count number of rows
 * @param cols elements of a row
 * @param stride elements between the starts of neighbouring rows
 * @param accumulate whether results are added to what stands there
 * @param slot which part of the scratch memory this operand uses
 */
public record Rows(
    MemorySegment data,
    DType type,
    int count,
    int cols,
    long stride,
    boolean accumulate,
    int slot) {
  private static final int PIECE = 8192; // elements of a piece of parallel work
  private static final int BLOCK = 2048; // elements of an operand in a pass

  public Rows {
    if (!type.isFloat()) {
      throw new IllegalArgumentException("rows must be of a float type, got " + type);
    }
  }

  /** An operator's operand; the kernel gives it its slot. */
  public Rows(
      MemorySegment data, DType type, int count, int cols, long stride, boolean accumulate) {
    this(data, type, count, cols, stride, accumulate, 0);
  }

  /** Rows that a kernel reaches by an index of its own: the number of them is not used. */
  Rows(MemorySegment data, DType type, long stride, int cols, int slot) {
    this(data, type, 0, cols, stride, false, slot);
  }

  /** The same rows, using another part of the scratch memory. */
  Rows slot(int slot) {
    return slot == this.slot ? this : new Rows(data, type, count, cols, stride, accumulate, slot);
  }

  /** Rows of a piece of parallel work; depends on the size only. */
  static int grain(int cols) {
    return Math.max(1, PIECE / Math.max(1, cols));
  }

  /**
   * Rows that a pass may take at once: as many as stay in the nearest cache, at least one. A slot
   * of scratch memory holds so many if it was asked for by {@link #blockBytes}.
   */
  static int block(int cols) {
    return Math.max(1, BLOCK / Math.max(1, cols));
  }

  /** Scratch memory for the slots {@code [0, slots)} of operands of this length. */
  static long scratchBytes(int cols, int slots) {
    return slots * 4L * Lanes.pad(cols);
  }

  /** The same for slots that hold a {@link #block} of rows each, one behind the other. */
  static long blockBytes(int cols, int slots) {
    return block(cols) * scratchBytes(cols, slots);
  }

  /** Elements of a row as the kernel sees it: whole vectors. */
  int padded() {
    return Lanes.pad(cols);
  }

  private long slotBytes() {
    return 4L * padded();
  }

  /** Whether rows are used where they lie. */
  boolean direct() {
    return type == DType.F32 && padded() == cols;
  }

  /** The memory that offsets of this operand refer to. */
  MemorySegment segment(MemorySegment scratch) {
    return direct() ? data : scratch;
  }

  /** Makes row {@code r} readable; returns its byte offset. */
  long load(int r, MemorySegment scratch) {
    if (direct()) {
      return 4 * stride * r;
    }
    long at = slot * slotBytes();
    Half.widen(scratch, at, data, type.bytes(stride * r), type, cols);
    fill(0f, scratch);
    return at;
  }

  /** Bytes between the rows of a block. */
  long step() {
    return direct() ? 4 * stride : slotBytes();
  }

  /**
   * Makes rows {@code [r, r + rows)} readable, at most {@link #block} of them, {@link #step} bytes
   * apart; returns the byte offset of the first.
   *
   * @param padding what becomes of the elements beyond the row's own
   */
  long loadBlock(int r, int rows, float padding, MemorySegment scratch) {
    if (direct()) {
      return 4 * stride * r;
    }
    long at = blockAt();
    if (stride == cols && padded() == cols) {
      Half.widenBlock(scratch, at, data, type.bytes(stride * r), type, rows * cols);
      return at;
    }
    for (int i = 0; i < rows; i++) {
      long row = at + i * slotBytes();
      Half.widenBlock(scratch, row, data, type.bytes(stride * (r + i)), type, cols);
      for (int j = cols; j < padded(); j++) {
        scratch.set(ValueLayout.JAVA_FLOAT_UNALIGNED, row + 4L * j, padding);
      }
    }
    return at;
  }

  /**
   * The byte offset where results of a block of rows from {@code r} on are left for {@link
   * #storeBlock}; the old rows stand there if {@link #accumulate}.
   */
  long targetBlock(int r, int rows, MemorySegment scratch) {
    if (accumulate) {
      return loadBlock(r, rows, 0, scratch);
    }
    return direct() ? 4 * stride * r : blockAt();
  }

  /** Brings the results left at {@link #targetBlock} to the rows from {@code r} on. */
  void storeBlock(int r, int rows, MemorySegment scratch) {
    if (direct()) {
      return;
    }
    long at = blockAt();
    if (stride == cols && padded() == cols) {
      Half.narrowBlock(data, type.bytes(stride * r), type, scratch, at, rows * cols);
      return;
    }
    for (int i = 0; i < rows; i++) {
      long row = at + i * slotBytes();
      Half.narrowBlock(data, type.bytes(stride * (r + i)), type, scratch, row, cols);
    }
  }

  private long blockAt() {
    return slot * slotBytes() * block(cols);
  }

  /** The byte offset where results of row {@code r} are left for {@link #store}. */
  long target(int r, MemorySegment scratch) {
    return target(r, accumulate, scratch);
  }

  /** The same; what stands there is the old row if {@code accumulate}, otherwise anything. */
  long target(int r, boolean accumulate, MemorySegment scratch) {
    if (accumulate) {
      return load(r, scratch);
    }
    return direct() ? 4 * stride * r : slot * slotBytes();
  }

  /** Brings the results left at {@link #target} to row {@code r}. */
  void store(int r, MemorySegment scratch) {
    if (!direct()) {
      Half.narrow(data, type.bytes(stride * r), type, scratch, slot * slotBytes(), cols);
    }
  }

  /** Sets the padding of the loaded row, for sums to which zero is not neutral. */
  void fill(float value, MemorySegment scratch) {
    if (!direct()) {
      for (int i = cols; i < padded(); i++) {
        scratch.set(ValueLayout.JAVA_FLOAT_UNALIGNED, slot * slotBytes() + 4L * i, value);
      }
    }
  }
}
