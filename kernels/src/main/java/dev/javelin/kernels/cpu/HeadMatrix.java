package dev.javelin.kernels.cpu;

import java.lang.foreign.MemorySegment;

/**
 * Positions of one head as an fp32 matrix of whole vectors. F32 heads of a whole number of vectors
 * are used where they lie, others are widened into scratch memory, padded with zeros.
 */
final class HeadMatrix {
  private final HeadView view;
  private final int dim;
  private final boolean direct;
  private final long slot;

  /**
   * @param dim elements of a head
   * @param most positions to be opened at a time
   */
  HeadMatrix(HeadView view, int dim, int most, ScratchLayout layout) {
    this.view = view;
    this.dim = dim;
    this.direct = view.direct(dim);
    this.slot = direct ? 0 : layout.reserve(most * 4L * Lanes.pad(dim));
  }

  /**
   * Makes the positions {@code [time, time + count)} of a head readable; returns the byte in {@link
   * #data} where the first of them begins.
   */
  long open(MemorySegment scratch, int batch, int time, int head, int count) {
    return open(scratch, batch, time, head, count, 0);
  }

  /**
   * The same beside others that stay open.
   *
   * @param place positions opened before these
   */
  long open(MemorySegment scratch, int batch, int time, int head, int count, int place) {
    if (!direct) {
      long first = view.at(batch, time, head);
      HeadRows.widen(scratch, slot + place * row(), view, first, count, dim);
    }
    return at(batch, time, head, place);
  }

  /** What {@link #open} returned for these positions. */
  long at(int batch, int time, int head, int place) {
    return direct ? view.at(batch, time, head) : slot + place * row();
  }

  long at(int batch, int time, int head) {
    return at(batch, time, head, 0);
  }

  /** The memory in which positions are opened. */
  MemorySegment data(MemorySegment scratch) {
    return direct ? view.data() : scratch;
  }

  /** Bytes between neighbouring positions. */
  long row() {
    return direct ? view.row() : 4L * Lanes.pad(dim);
  }
}
