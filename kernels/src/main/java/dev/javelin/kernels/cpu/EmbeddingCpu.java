package dev.javelin.kernels.cpu;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT_UNALIGNED;
import static java.lang.foreign.ValueLayout.JAVA_INT_UNALIGNED;

import dev.javelin.device.Cpu;
import dev.javelin.device.DType;
import java.lang.foreign.MemorySegment;

/** Rows of a table by id, and the sum of gradients into them. Strides are in elements. */
public final class EmbeddingCpu {
  private static final int COLUMNS = 64; // of a piece: 256 bytes of a gradient's row

  private EmbeddingCpu() {}

  /** {@code y[r] = table[ids[r]]}, bytes as they are. */
  public static void gather(
      Cpu cpu,
      MemorySegment y,
      long yStride,
      MemorySegment table,
      long tableStride,
      MemorySegment ids,
      DType type,
      int rows,
      int cols) {
    cpu.parallel(
        rows,
        Rows.grain(cols),
        (from, to) -> {
          for (int r = from; r < to; r++) {
            long id = ids.getAtIndex(JAVA_INT_UNALIGNED, r);
            MemorySegment.copy(
                table, type.bytes(id * tableStride), y, type.bytes(r * yStride), type.bytes(cols));
          }
        });
  }

  /** {@code y[r] = table[ids[r]] + other[otherIds[r]]}, added in fp32. */
  public static void gatherSum(
      Cpu cpu,
      MemorySegment y,
      long yStride,
      MemorySegment table,
      long tableStride,
      MemorySegment ids,
      MemorySegment other,
      long otherStride,
      MemorySegment otherIds,
      DType type,
      int rows,
      int cols) {
    Rows a = new Rows(table, type, tableStride, cols, 0);
    Rows b = new Rows(other, type, otherStride, cols, 1);
    Rows out = new Rows(y, type, yStride, cols, 2);
    cpu.parallel(
        rows,
        Rows.grain(cols),
        (from, to) -> {
          MemorySegment scratch = cpu.scratch(Rows.scratchBytes(cols, 3));
          MemorySegment as = a.segment(scratch);
          MemorySegment bs = b.segment(scratch);
          MemorySegment ys = out.segment(scratch);
          for (int r = from; r < to; r++) {
            long aRow = a.load(ids.getAtIndex(JAVA_INT_UNALIGNED, r), scratch);
            long bRow = b.load(otherIds.getAtIndex(JAVA_INT_UNALIGNED, r), scratch);
            long yRow = out.target(r, false, scratch);
            for (long i = 0; i < 4L * Lanes.pad(cols); i += Lanes.BYTES) {
              Lanes.store(Lanes.load(as, aRow + i).add(Lanes.load(bs, bRow + i)), ys, yRow + i);
            }
            out.store(r, scratch);
          }
        });
  }

  /**
   * {@code dTable[ids[r]] += dy[r]} in the order of {@code r}. Each piece of work takes some of the
   * columns of all rows, so that no two threads meet in an element and sums do not depend on their
   * number.
   *
   * @param dTable fp32
   * @param skippedId its rows add nothing; negative for none
   */
  public static void scatterAdd(
      Cpu cpu,
      MemorySegment dTable,
      long tableStride,
      MemorySegment ids,
      int skippedId,
      MemorySegment dy,
      long dyStride,
      DType type,
      int rows,
      int cols) {
    cpu.parallel(
        cols,
        COLUMNS,
        (from, to) -> {
          int n = to - from;
          MemorySegment scratch = cpu.scratch(4L * COLUMNS);
          for (int r = 0; r < rows; r++) {
            int id = ids.getAtIndex(JAVA_INT_UNALIGNED, r);
            if (id == skippedId) {
              continue;
            }
            long source = type.bytes(r * dyStride + from);
            long target = 4 * (id * tableStride + from);
            if (type == DType.F32) {
              add(dTable, target, dy, source, n);
            } else {
              Half.widen(scratch, 0, dy, source, type, n);
              add(dTable, target, scratch, 0, n);
            }
          }
        });
  }

  private static void add(MemorySegment y, long yByte, MemorySegment x, long xByte, int n) {
    int whole = Lanes.SPECIES.loopBound(n);
    for (long i = 0; i < 4L * whole; i += Lanes.BYTES) {
      Lanes.store(Lanes.load(y, yByte + i).add(Lanes.load(x, xByte + i)), y, yByte + i);
    }
    for (long i = 4L * whole; i < 4L * n; i += 4) {
      float sum = y.get(JAVA_FLOAT_UNALIGNED, yByte + i) + x.get(JAVA_FLOAT_UNALIGNED, xByte + i);
      y.set(JAVA_FLOAT_UNALIGNED, yByte + i, sum);
    }
  }
}
