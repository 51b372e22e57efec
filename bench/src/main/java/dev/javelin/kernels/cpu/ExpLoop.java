package dev.javelin.kernels.cpu;

import dev.javelin.device.Cpu;
import java.lang.foreign.MemorySegment;

/** The kernels' bare exponential over an array, which no operator offers: for its speed only. */
public final class ExpLoop {
  private static final int GRAIN = 1 << 15;

  private ExpLoop() {}

  /** {@code y[i] = e^x[i]}, fp32; n a multiple of 16. */
  public static void run(Cpu cpu, MemorySegment y, MemorySegment x, int n) {
    cpu.parallel(
        n,
        GRAIN,
        (from, to) -> {
          for (int i = from; i < to; i += Lanes.COUNT) {
            Lanes.store(VectorMath.exp(Lanes.load(x, 4L * i)), y, 4L * i);
          }
        });
  }
}
