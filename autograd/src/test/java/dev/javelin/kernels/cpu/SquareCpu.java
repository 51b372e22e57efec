package dev.javelin.kernels.cpu;

import dev.javelin.device.Cpu;
import java.lang.foreign.MemorySegment;

/** The square of each element. */
public final class SquareCpu {
  private SquareCpu() {}

  /** {@code y = x²}. */
  public static void forward(Cpu cpu, Rows y, Rows x) {
    Rows out = y.slot(0);
    Rows in = x.slot(1);
    cpu.parallel(
        x.count(),
        Rows.grain(x.cols()),
        (from, to) -> {
          MemorySegment scratch = cpu.scratch(Rows.scratchBytes(in.cols(), 2));
          MemorySegment ys = out.segment(scratch);
          MemorySegment xs = in.segment(scratch);
          for (int r = from; r < to; r++) {
            long xAt = in.load(r, scratch);
            long yAt = out.target(r, scratch);
            for (int i = 0; i < 4 * in.padded(); i += Lanes.BYTES) {
              var v = Lanes.load(xs, xAt + i);
              Lanes.store(v.mul(v), ys, yAt + i);
            }
            out.store(r, scratch);
          }
        });
  }

  /** {@code dx (+)= 2·x·dy}. */
  public static void backward(Cpu cpu, Rows dx, Rows dy, Rows x) {
    Rows out = dx.slot(0);
    Rows d = dy.slot(1);
    Rows in = x.slot(2);
    cpu.parallel(
        x.count(),
        Rows.grain(x.cols()),
        (from, to) -> {
          MemorySegment scratch = cpu.scratch(Rows.scratchBytes(in.cols(), 3));
          MemorySegment dxs = out.segment(scratch);
          MemorySegment dys = d.segment(scratch);
          MemorySegment xs = in.segment(scratch);
          for (int r = from; r < to; r++) {
            long dyAt = d.load(r, scratch);
            long xAt = in.load(r, scratch);
            long dxAt = out.target(r, scratch); // holds the old row where it is to be added to
            for (int i = 0; i < 4 * in.padded(); i += Lanes.BYTES) {
              var v = Lanes.load(xs, xAt + i).mul(2).mul(Lanes.load(dys, dyAt + i));
              Lanes.store(out.accumulate() ? v.add(Lanes.load(dxs, dxAt + i)) : v, dxs, dxAt + i);
            }
            out.store(r, scratch);
          }
        });
  }
}
