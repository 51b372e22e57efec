package dev.javelin.kernels.cpu;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT_UNALIGNED;
import static java.lang.foreign.ValueLayout.JAVA_INT_UNALIGNED;

import dev.javelin.device.Cpu;
import dev.javelin.device.DType;
import java.lang.foreign.MemorySegment;

/** The largest element of each row and where it stands. Strides are in elements. */
public final class MaxCpu {
  private MaxCpu() {}

  /**
   * {@code index[r] = argmax_c x[r, c]}, the first of equals, NaN counting as largest; {@code y[r]
   * = x[r, index[r]]}.
   */
  public static void forward(
      Cpu cpu,
      MemorySegment y,
      MemorySegment index,
      MemorySegment x,
      long xStride,
      DType type,
      int rows,
      int cols) {
    Rows in = new Rows(x, type, xStride, cols, 0);
    Strided out = new Strided(y, type, 1);
    cpu.parallel(
        rows,
        Rows.grain(cols),
        (from, to) -> {
          MemorySegment scratch = cpu.scratch(Rows.scratchBytes(cols, 1));
          MemorySegment s = in.segment(scratch);
          for (int r = from; r < to; r++) {
            long at = in.load(r, scratch);
            int best = 0;
            float max = s.get(JAVA_FLOAT_UNALIGNED, at);
            for (int c = 1; c < cols; c++) {
              float v = s.get(JAVA_FLOAT_UNALIGNED, at + 4L * c);
              if (v > max || (Float.isNaN(v) && !Float.isNaN(max))) {
                max = v;
                best = c;
              }
            }
            index.setAtIndex(JAVA_INT_UNALIGNED, r, best);
            out.put(r, max);
          }
        });
  }

  /** {@code dx[r, index[r]] += dy[r]}. */
  public static void backward(
      Cpu cpu,
      MemorySegment dx,
      long dxStride,
      MemorySegment dy,
      MemorySegment index,
      DType type,
      int rows) {
    Strided d = new Strided(dx, type, 1);
    Strided g = new Strided(dy, type, 1);
    cpu.parallel(
        rows,
        Rows.grain(1),
        (from, to) -> {
          for (int r = from; r < to; r++) {
            long at = r * dxStride + index.getAtIndex(JAVA_INT_UNALIGNED, r);
            d.put(at, d.get(at) + g.get(r));
          }
        });
  }
}
