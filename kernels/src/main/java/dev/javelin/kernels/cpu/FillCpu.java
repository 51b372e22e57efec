package dev.javelin.kernels.cpu;

import dev.javelin.device.Cpu;
import java.lang.foreign.MemorySegment;

/** Zeros. */
public final class FillCpu {
  private static final long PIECE_BYTES = 1 << 18;

  private FillCpu() {}

  /**
   * Clears {@code rows} rows of {@code rowBytes} bytes whose starts lie {@code strideBytes} apart.
   */
  public static void zero(Cpu cpu, MemorySegment y, int rows, long rowBytes, long strideBytes) {
    if (rowBytes == strideBytes || rows == 1) {
      long bytes = rows * rowBytes;
      int pieces = Math.toIntExact((bytes + PIECE_BYTES - 1) / PIECE_BYTES);
      cpu.parallel(
          pieces,
          1,
          (from, to) -> {
            long begin = from * PIECE_BYTES;
            Lanes.clear(y, begin, (int) (Math.min(bytes, to * PIECE_BYTES) - begin));
          });
    } else {
      int grain = (int) Math.max(1, PIECE_BYTES / Math.max(1, rowBytes));
      cpu.parallel(
          rows,
          grain,
          (from, to) -> {
            for (int r = from; r < to; r++) {
              y.asSlice(r * strideBytes, rowBytes).fill((byte) 0);
            }
          });
    }
  }
}
