package dev.javelin.kernels.cpu;

import java.lang.foreign.MemorySegment;

/**
 * Some positions of one head as an fp32 matrix of whole vectors. F32 heads of a whole number of
 * vectors are used where they lie, others are widened into scratch memory, padded with zeros.
 */
final class HeadMatrix {
  private final HeadView view;
  private final int dim;
  private final boolean direct;
  private final long slot;
  private MemorySegment data;
  private long at;
  private long row;

  /**
   * @param dim elements of a head
   * @param most positions to be opened at a time
   */
  HeadMatrix(HeadView view, int dim, int most, ScratchLayout scratch) {
    this.view = view;
    this.dim = dim;
    this.direct = view.direct(dim);
    this.slot = direct ? 0 : scratch.reserve(most * 4L * Lanes.pad(dim));
    this.data = view.data();
  }

  /** Makes the positions {@code [time, time + count)} of a head readable. */
  void open(MemorySegment scratch, int batch, int time, int head, int count) {
    long first = view.at(batch, time, head);
    if (direct) {
      at = first;
      row = view.row();
    } else {
      HeadRows.widen(scratch, slot, view, first, count, dim);
      data = scratch;
      at = slot;
      row = 4L * Lanes.pad(dim);
    }
  }

  MemorySegment data() {
    return data;
  }

  /** The byte where the vector of position {@code t} of those opened begins. */
  long at(int t) {
    return at + t * row;
  }

  /** Bytes between neighbouring positions. */
  long row() {
    return row;
  }
}
