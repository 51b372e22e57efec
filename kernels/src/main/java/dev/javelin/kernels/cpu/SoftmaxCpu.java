package dev.javelin.kernels.cpu;

import dev.javelin.device.Cpu;
import java.lang.foreign.MemorySegment;
import jdk.incubator.vector.FloatVector;

/** Softmax of rows and its logarithm. */
public final class SoftmaxCpu {
  private SoftmaxCpu() {}

  /** {@code y = e^(x − max x) / Σ e^(x − max x)}. */
  public static void forward(Cpu cpu, Rows y, Rows x) {
    Rows out = y.slot(0);
    Rows in = x.slot(1);
    int cols = x.cols();
    cpu.parallel(
        x.count(),
        Rows.grain(cols),
        (from, to) -> {
          MemorySegment scratch = cpu.scratch(Rows.scratchBytes(cols, 2));
          MemorySegment xs = in.segment(scratch);
          MemorySegment ys = out.segment(scratch);
          int n = in.padded();
          for (int r = from; r < to; r++) {
            long xr = in.load(r, scratch);
            in.fill(Float.NEGATIVE_INFINITY, scratch);
            long yr = out.target(r, scratch);
            float sum = exponentials(ys, yr, xs, xr, max(xs, xr, n), n);
            scale(ys, yr, 1 / sum, n);
            out.store(r, scratch);
          }
        });
  }

  /** {@code y = x − max x − ln Σ e^(x − max x)}. */
  public static void logForward(Cpu cpu, Rows y, Rows x) {
    Rows out = y.slot(0);
    Rows in = x.slot(1);
    int cols = x.cols();
    cpu.parallel(
        x.count(),
        Rows.grain(cols),
        (from, to) -> {
          MemorySegment scratch = cpu.scratch(Rows.scratchBytes(cols, 2));
          MemorySegment xs = in.segment(scratch);
          MemorySegment ys = out.segment(scratch);
          int n = in.padded();
          for (int r = from; r < to; r++) {
            long xr = in.load(r, scratch);
            in.fill(Float.NEGATIVE_INFINITY, scratch);
            long yr = out.target(r, scratch);
            float max = max(xs, xr, n);
            float log = VectorMath.log(exponentials(ys, yr, xs, xr, max, n));
            subtract(ys, yr, xs, xr, max, log, n);
            out.store(r, scratch);
          }
        });
  }

  /** {@code dx (+)= y · (dy − Σ dy · y)}. */
  public static void backward(Cpu cpu, Rows dx, Rows dy, Rows y) {
    backward(cpu, dx, dy, y, false);
  }

  /** {@code dx (+)= dy − e^y · Σ dy}. */
  public static void logBackward(Cpu cpu, Rows dx, Rows dy, Rows y) {
    backward(cpu, dx, dy, y, true);
  }

  private static void backward(Cpu cpu, Rows dx, Rows dy, Rows y, boolean log) {
    Rows destination = dx.slot(0);
    Rows upstream = dy.slot(1);
    Rows result = y.slot(2);
    int cols = y.cols();
    cpu.parallel(
        y.count(),
        Rows.grain(cols),
        (from, to) -> {
          MemorySegment scratch = cpu.scratch(Rows.scratchBytes(cols, 3));
          MemorySegment gs = destination.segment(scratch);
          MemorySegment ds = upstream.segment(scratch);
          MemorySegment ys = result.segment(scratch);
          int n = result.padded();
          for (int r = from; r < to; r++) {
            long dr = upstream.load(r, scratch);
            long yr = result.load(r, scratch);
            long gr = destination.target(r, scratch);
            boolean add = destination.accumulate();
            if (log) {
              logGradient(gs, gr, add, ds, dr, ys, yr, sum(ds, dr, n), n);
            } else {
              gradient(gs, gr, add, ds, dr, ys, yr, dot(ds, dr, ys, yr, n), n);
            }
            destination.store(r, scratch);
          }
        });
  }

  private static float max(MemorySegment x, long xr, int n) {
    FloatVector a = Lanes.load(x, xr);
    FloatVector b = a;
    int i = Lanes.COUNT;
    for (; i + Lanes.COUNT < n; i += 2 * Lanes.COUNT) {
      a = a.max(Lanes.load(x, xr + 4L * i));
      b = b.max(Lanes.load(x, xr + 4L * i + Lanes.BYTES));
    }
    if (i < n) {
      a = a.max(Lanes.load(x, xr + 4L * i));
    }
    return Lanes.max(a.max(b));
  }

  /** Writes {@code e^(x − max)} and returns the sum. */
  private static float exponentials(
      MemorySegment y, long yr, MemorySegment x, long xr, float max, int n) {
    FloatVector m = Lanes.broadcast(max);
    FloatVector sum = Lanes.zero();
    for (int i = 0; i < n; i += Lanes.COUNT) {
      long at = 4L * i;
      FloatVector e = VectorMath.expOfNegative(Lanes.load(x, xr + at).sub(m));
      Lanes.store(e, y, yr + at);
      sum = sum.add(e);
    }
    return Lanes.sum(sum);
  }

  private static void scale(MemorySegment y, long yr, float factor, int n) {
    FloatVector f = Lanes.broadcast(factor);
    for (int i = 0; i < n; i += Lanes.COUNT) {
      long at = 4L * i;
      Lanes.store(Lanes.load(y, yr + at).mul(f), y, yr + at);
    }
  }

  private static void subtract(
      MemorySegment y, long yr, MemorySegment x, long xr, float max, float log, int n) {
    FloatVector m = Lanes.broadcast(max);
    FloatVector l = Lanes.broadcast(log);
    for (int i = 0; i < n; i += Lanes.COUNT) {
      long at = 4L * i;
      Lanes.store(Lanes.load(x, xr + at).sub(m).sub(l), y, yr + at);
    }
  }

  private static float sum(MemorySegment x, long xr, int n) {
    FloatVector a = Lanes.zero();
    for (int i = 0; i < n; i += Lanes.COUNT) {
      a = a.add(Lanes.load(x, xr + 4L * i));
    }
    return Lanes.sum(a);
  }

  private static float dot(MemorySegment x, long xr, MemorySegment y, long yr, int n) {
    FloatVector a = Lanes.zero();
    FloatVector b = Lanes.zero();
    int i = 0;
    for (; i + Lanes.COUNT < n; i += 2 * Lanes.COUNT) {
      long at = 4L * i;
      a = Lanes.load(x, xr + at).fma(Lanes.load(y, yr + at), a);
      b = Lanes.load(x, xr + at + Lanes.BYTES).fma(Lanes.load(y, yr + at + Lanes.BYTES), b);
    }
    if (i < n) {
      a = Lanes.load(x, xr + 4L * i).fma(Lanes.load(y, yr + 4L * i), a);
    }
    return Lanes.sum(a.add(b));
  }

  private static void gradient(
      MemorySegment dx,
      long gr,
      boolean accumulate,
      MemorySegment dy,
      long dr,
      MemorySegment y,
      long yr,
      float dot,
      int n) {
    FloatVector d = Lanes.broadcast(dot);
    for (int i = 0; i < n; i += Lanes.COUNT) {
      long at = 4L * i;
      FloatVector v = Lanes.load(dy, dr + at).sub(d).mul(Lanes.load(y, yr + at));
      Lanes.store(accumulate ? v.add(Lanes.load(dx, gr + at)) : v, dx, gr + at);
    }
  }

  private static void logGradient(
      MemorySegment dx,
      long gr,
      boolean accumulate,
      MemorySegment dy,
      long dr,
      MemorySegment y,
      long yr,
      float sum,
      int n) {
    FloatVector s = Lanes.broadcast(-sum);
    for (int i = 0; i < n; i += Lanes.COUNT) {
      long at = 4L * i;
      FloatVector e = VectorMath.expOfNegative(Lanes.load(y, yr + at));
      FloatVector v = e.fma(s, Lanes.load(dy, dr + at));
      Lanes.store(accumulate ? v.add(Lanes.load(dx, gr + at)) : v, dx, gr + at);
    }
  }
}
