package dev.javelin.kernels.cpu;

import dev.javelin.device.Cpu;
import dev.javelin.kernels.Activation;
import java.lang.foreign.MemorySegment;
import jdk.incubator.vector.FloatVector;

/** An activation of every element. */
public final class ActivationCpu {
  private ActivationCpu() {}

  /** {@code y = f(x)}. */
  public static void forward(Cpu cpu, Rows y, Rows x, Activation f) {
    Rows out = y.slot(0);
    Rows in = x.slot(1);
    int cols = x.cols();
    cpu.parallel(
        x.count(),
        Rows.grain(cols),
        (from, to) -> {
          MemorySegment scratch = cpu.scratch(Rows.scratchBytes(cols, 2));
          MemorySegment ys = out.segment(scratch);
          MemorySegment xs = in.segment(scratch);
          for (int r = from; r < to; r++) {
            long xr = in.load(r, scratch);
            long yr = out.target(r, scratch);
            ActivationRows.value(f, ys, yr, xs, xr, in.padded());
            out.store(r, scratch);
          }
        });
  }

  /** {@code dx (+)= dy · f'(x)}. */
  public static void backward(Cpu cpu, Rows dx, Rows dy, Rows x, Activation f) {
    Rows out = dx.slot(0);
    Rows upstream = dy.slot(1);
    Rows in = x.slot(2);
    int cols = x.cols();
    cpu.parallel(
        x.count(),
        Rows.grain(cols),
        (from, to) -> {
          MemorySegment scratch = cpu.scratch(Rows.scratchBytes(cols, 4));
          long slope = Rows.scratchBytes(cols, 3);
          MemorySegment xs = in.segment(scratch);
          MemorySegment ds = upstream.segment(scratch);
          MemorySegment gs = out.segment(scratch);
          for (int r = from; r < to; r++) {
            long xr = in.load(r, scratch);
            ActivationRows.derivative(f, scratch, slope, xs, xr, in.padded());
            long dr = upstream.load(r, scratch);
            long gr = out.target(r, scratch);
            multiply(gs, gr, out.accumulate(), ds, dr, scratch, slope, in.padded());
            out.store(r, scratch);
          }
        });
  }

  /** {@code y (+)= a · b}. */
  static void multiply(
      MemorySegment y,
      long yr,
      boolean accumulate,
      MemorySegment a,
      long ar,
      MemorySegment b,
      long br,
      int n) {
    for (int i = 0; i < n; i += Lanes.COUNT) {
      long at = 4L * i;
      FloatVector v = Lanes.load(a, ar + at).mul(Lanes.load(b, br + at));
      Lanes.store(accumulate ? v.add(Lanes.load(y, yr + at)) : v, y, yr + at);
    }
  }
}
