package dev.javelin.kernels.cpu;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT_UNALIGNED;

import dev.javelin.device.Cpu;
import java.lang.foreign.MemorySegment;
import jdk.incubator.vector.FloatVector;
import org.jspecify.annotations.Nullable;

/**
 * RMS and layer normalisation of rows, with or without a residual addition before it. One loop for
 * all four, since RMS normalisation is layer normalisation with a mean of zero:
 *
 * <pre>
 * s = x + h        x̂ = (s − mean) · rstd        y = x̂ · w + b
 * g = dy · w       dx = dh = ds + rstd · (g − mean_c(g) − x̂ · mean_c(g · x̂))
 * dw = Σ_r dy · x̂       db = Σ_r dy
 * </pre>
 *
 * Where {@code mean} is {@code null}, both means of the formula but the last are zero. A row stays
 * in the first-level cache between its passes. Sums over rows are cut into at most 16 parts by
 * their number alone, and the parts are added in order.
 */
public final class NormCpu {
  private static final int PARTS = 16;
  private static final int MIN_PART_ROWS = 8;

  private NormCpu() {}

  /**
   * @param sum receives x + h; {@code null} without a residual addition
   * @param mean receives the mean of each row, fp32; {@code null} for RMS normalisation
   * @param rstd receives {@code 1 / sqrt(var + eps)} of each row, fp32
   * @param w one row; {@code null} for ones
   * @param b one row; {@code null} for zeros
   */
  public static void forward(
      Cpu cpu,
      @Nullable Rows sum,
      Rows y,
      @Nullable MemorySegment mean,
      MemorySegment rstd,
      Rows x,
      @Nullable Rows h,
      @Nullable Rows w,
      @Nullable Rows b,
      float eps) {
    Rows in = x.slot(0);
    Rows out = y.slot(1);
    Rows weight = w == null ? null : w.slot(2);
    Rows bias = b == null ? null : b.slot(3);
    Rows added = h == null ? null : h.slot(4);
    Rows total = sum == null ? null : sum.slot(5);
    int n = x.padded();
    cpu.parallel(
        x.count(),
        Rows.grain(x.cols()),
        (from, to) -> {
          MemorySegment scratch = cpu.scratch(Rows.scratchBytes(x.cols(), 6));
          MemorySegment ws = weight == null ? scratch : weight.segment(scratch);
          MemorySegment bs = bias == null ? scratch : bias.segment(scratch);
          long wr = weight == null ? -1 : weight.load(0, scratch);
          long br = bias == null ? -1 : bias.load(0, scratch);
          for (int r = from; r < to; r++) {
            Rows operand = in;
            long at = in.load(r, scratch);
            if (added != null && total != null) {
              long hr = added.load(r, scratch);
              long sr = total.target(r, scratch);
              add(
                  total.segment(scratch),
                  sr,
                  in.segment(scratch),
                  at,
                  added.segment(scratch),
                  hr,
                  n);
              total.store(r, scratch);
              operand = total;
              at = sr;
            }
            MemorySegment xs = operand.segment(scratch);
            float m = 0;
            if (mean != null) {
              m = sum(xs, at, n) / x.cols();
              mean.setAtIndex(JAVA_FLOAT_UNALIGNED, r, m);
              operand.fill(m, scratch);
            }
            double variance = (double) sumOfSquares(xs, at, m, n) / x.cols();
            float s = (float) (1 / Math.sqrt(variance + eps));
            rstd.setAtIndex(JAVA_FLOAT_UNALIGNED, r, s);
            long yr = out.target(r, scratch);
            normalise(out.segment(scratch), yr, xs, at, ws, wr, bs, br, m, s, n);
            out.store(r, scratch);
          }
        });
  }

  /**
   * Every destination may be {@code null}: nobody wants it.
   *
   * @param dx the gradient of x
   * @param dh the gradient of h, the same numbers
   * @param dw fp32, one row
   * @param db fp32, one row
   * @param dsum the gradient that reached s directly; {@code null} for zeros
   * @param dy the gradient of the result; {@code null} for zeros
   * @param x what was normalised: s, where a residual was added
   */
  public static void backward(
      Cpu cpu,
      @Nullable Rows dx,
      @Nullable Rows dh,
      @Nullable Rows dw,
      @Nullable Rows db,
      @Nullable Rows dsum,
      @Nullable Rows dy,
      Rows x,
      @Nullable Rows w,
      @Nullable MemorySegment mean,
      MemorySegment rstd) {
    Rows upstream = dy == null ? null : dy.slot(0);
    Rows in = x.slot(1);
    Rows weight = w == null ? null : w.slot(2);
    Rows direct = dsum == null ? null : dsum.slot(3);
    Rows first = dx == null ? null : dx.slot(4);
    Rows second = dh == null ? null : dh.slot(4);
    Rows alone = dh == null && first != null && !first.accumulate() ? first : null;
    long gradient = Rows.scratchBytes(x.cols(), 5);
    int n = x.padded();
    int partRows = Math.max(MIN_PART_ROWS, (x.count() + PARTS - 1) / PARTS);
    int parts = (x.count() + partRows - 1) / partRows;
    MemorySegment partial = cpu.shared(2 * parts * Rows.scratchBytes(x.cols(), 1));
    cpu.parallel(
        x.count(),
        partRows,
        (from, to) -> {
          MemorySegment scratch = cpu.scratch(Rows.scratchBytes(x.cols(), 6));
          MemorySegment ws = weight == null ? scratch : weight.segment(scratch);
          long wr = weight == null ? -1 : weight.load(0, scratch);
          long dwr = 2L * (from / partRows) * Rows.scratchBytes(x.cols(), 1);
          long dbr = dwr + Rows.scratchBytes(x.cols(), 1);
          partial.asSlice(dwr, Rows.scratchBytes(x.cols(), 2)).fill((byte) 0);
          for (int r = from; r < to; r++) {
            MemorySegment g = alone == null ? scratch : alone.segment(scratch);
            long gr = alone == null ? gradient : alone.target(r, scratch);
            if (upstream == null) {
              g.asSlice(gr, 4L * n).fill((byte) 0);
            } else {
              MemorySegment ds = upstream.segment(scratch);
              MemorySegment xs = in.segment(scratch);
              long dr = upstream.load(r, scratch);
              long xr = in.load(r, scratch);
              float m = mean == null ? 0 : mean.getAtIndex(JAVA_FLOAT_UNALIGNED, r);
              float s = rstd.getAtIndex(JAVA_FLOAT_UNALIGNED, r);
              if (dw != null) {
                addProduct(partial, dwr, ds, dr, xs, xr, m, s, n);
              }
              if (db != null) {
                addRow(partial, dbr, ds, dr, n);
              }
              if (first == null && second == null) {
                continue;
              }
              float meanG = mean == null ? 0 : weightedSum(ds, dr, ws, wr, n) / x.cols();
              float meanGx = weightedDot(ds, dr, xs, xr, ws, wr, m, n) * s / x.cols();
              gradient(g, gr, ds, dr, xs, xr, ws, wr, m, s, meanG, meanGx, n);
            }
            if (direct != null) {
              long at = direct.load(r, scratch);
              addRow(g, gr, direct.segment(scratch), at, n);
            }
            if (alone == null) {
              emit(first, r, scratch, gradient, n);
              emit(second, r, scratch, gradient, n);
            } else {
              alone.store(r, scratch);
            }
          }
        });
    reduce(cpu, dw, partial, 0, parts);
    reduce(cpu, db, partial, Rows.scratchBytes(x.cols(), 1), parts);
  }

  private static void emit(
      @Nullable Rows destination, int r, MemorySegment scratch, long gradient, int n) {
    if (destination == null) {
      return;
    }
    MemorySegment m = destination.segment(scratch);
    long at = destination.target(r, scratch);
    if (destination.accumulate()) {
      addRow(m, at, scratch, gradient, n);
    } else {
      MemorySegment.copy(scratch, gradient, m, at, 4L * n);
    }
    destination.store(r, scratch);
  }

  /** Adds the partial rows that stand at every second place from {@code first} on, in order. */
  private static void reduce(
      Cpu cpu, @Nullable Rows destination, MemorySegment partial, long first, int parts) {
    if (destination == null) {
      return;
    }
    MemorySegment scratch = cpu.scratch(Rows.scratchBytes(destination.cols(), 1));
    MemorySegment m = destination.segment(scratch);
    long at = destination.target(0, scratch);
    long step = Rows.scratchBytes(destination.cols(), 2);
    for (int i = 0; i < destination.padded(); i += Lanes.COUNT) {
      FloatVector total = Lanes.zero();
      for (int p = 0; p < parts; p++) {
        total = total.add(Lanes.load(partial, first + p * step + 4L * i));
      }
      total = destination.accumulate() ? total.add(Lanes.load(m, at + 4L * i)) : total;
      Lanes.store(total, m, at + 4L * i);
    }
    destination.store(0, scratch);
  }

  private static void add(
      MemorySegment s, long sr, MemorySegment x, long xr, MemorySegment h, long hr, int n) {
    for (int i = 0; i < n; i += Lanes.COUNT) {
      long at = 4L * i;
      Lanes.store(Lanes.load(x, xr + at).add(Lanes.load(h, hr + at)), s, sr + at);
    }
  }

  private static void addRow(MemorySegment y, long yr, MemorySegment x, long xr, int n) {
    for (int i = 0; i < n; i += Lanes.COUNT) {
      long at = 4L * i;
      Lanes.store(Lanes.load(y, yr + at).add(Lanes.load(x, xr + at)), y, yr + at);
    }
  }

  private static float sum(MemorySegment x, long xr, int n) {
    FloatVector a = Lanes.zero();
    FloatVector b = Lanes.zero();
    int i = 0;
    for (; i + Lanes.COUNT < n; i += 2 * Lanes.COUNT) {
      a = a.add(Lanes.load(x, xr + 4L * i));
      b = b.add(Lanes.load(x, xr + 4L * i + Lanes.BYTES));
    }
    if (i < n) {
      a = a.add(Lanes.load(x, xr + 4L * i));
    }
    return Lanes.sum(a.add(b));
  }

  private static float sumOfSquares(MemorySegment x, long xr, float mean, int n) {
    FloatVector m = Lanes.broadcast(mean);
    FloatVector a = Lanes.zero();
    FloatVector b = Lanes.zero();
    int i = 0;
    for (; i + Lanes.COUNT < n; i += 2 * Lanes.COUNT) {
      FloatVector u = Lanes.load(x, xr + 4L * i).sub(m);
      FloatVector v = Lanes.load(x, xr + 4L * i + Lanes.BYTES).sub(m);
      a = u.fma(u, a);
      b = v.fma(v, b);
    }
    if (i < n) {
      FloatVector u = Lanes.load(x, xr + 4L * i).sub(m);
      a = u.fma(u, a);
    }
    return Lanes.sum(a.add(b));
  }

  private static void normalise(
      MemorySegment y,
      long yr,
      MemorySegment x,
      long xr,
      MemorySegment w,
      long wr,
      MemorySegment b,
      long br,
      float mean,
      float rstd,
      int n) {
    FloatVector m = Lanes.broadcast(mean);
    FloatVector s = Lanes.broadcast(rstd);
    for (int i = 0; i < n; i += Lanes.COUNT) {
      long at = 4L * i;
      FloatVector v = Lanes.load(x, xr + at).sub(m).mul(s);
      v = wr < 0 ? v : v.mul(Lanes.load(w, wr + at));
      v = br < 0 ? v : v.add(Lanes.load(b, br + at));
      Lanes.store(v, y, yr + at);
    }
  }

  /** {@code Σ dy · w}. */
  private static float weightedSum(MemorySegment dy, long dr, MemorySegment w, long wr, int n) {
    if (wr < 0) {
      return sum(dy, dr, n);
    }
    FloatVector a = Lanes.zero();
    FloatVector b = Lanes.zero();
    int i = 0;
    for (; i + Lanes.COUNT < n; i += 2 * Lanes.COUNT) {
      long at = 4L * i;
      a = Lanes.load(dy, dr + at).fma(Lanes.load(w, wr + at), a);
      b = Lanes.load(dy, dr + at + Lanes.BYTES).fma(Lanes.load(w, wr + at + Lanes.BYTES), b);
    }
    if (i < n) {
      a = Lanes.load(dy, dr + 4L * i).fma(Lanes.load(w, wr + 4L * i), a);
    }
    return Lanes.sum(a.add(b));
  }

  /** {@code Σ dy · w · (x − mean)}. */
  private static float weightedDot(
      MemorySegment dy,
      long dr,
      MemorySegment x,
      long xr,
      MemorySegment w,
      long wr,
      float mean,
      int n) {
    FloatVector m = Lanes.broadcast(mean);
    FloatVector a = Lanes.zero();
    FloatVector b = Lanes.zero();
    int i = 0;
    for (; i + Lanes.COUNT < n; i += 2 * Lanes.COUNT) {
      long at = 4L * i;
      long next = at + Lanes.BYTES;
      FloatVector g = Lanes.load(dy, dr + at);
      FloatVector h = Lanes.load(dy, dr + next);
      g = wr < 0 ? g : g.mul(Lanes.load(w, wr + at));
      h = wr < 0 ? h : h.mul(Lanes.load(w, wr + next));
      a = g.fma(Lanes.load(x, xr + at).sub(m), a);
      b = h.fma(Lanes.load(x, xr + next).sub(m), b);
    }
    if (i < n) {
      FloatVector g = Lanes.load(dy, dr + 4L * i);
      g = wr < 0 ? g : g.mul(Lanes.load(w, wr + 4L * i));
      a = g.fma(Lanes.load(x, xr + 4L * i).sub(m), a);
    }
    return Lanes.sum(a.add(b));
  }

  private static void gradient(
      MemorySegment d,
      long at0,
      MemorySegment dy,
      long dr,
      MemorySegment x,
      long xr,
      MemorySegment w,
      long wr,
      float mean,
      float rstd,
      float meanG,
      float meanGx,
      int n) {
    FloatVector m = Lanes.broadcast(mean);
    FloatVector s = Lanes.broadcast(rstd);
    FloatVector c = Lanes.broadcast(meanG);
    FloatVector k = Lanes.broadcast(-rstd * meanGx);
    for (int i = 0; i < n; i += Lanes.COUNT) {
      long at = 4L * i;
      FloatVector g = Lanes.load(dy, dr + at);
      g = wr < 0 ? g : g.mul(Lanes.load(w, wr + at));
      FloatVector v = Lanes.load(x, xr + at).sub(m).fma(k, g.sub(c));
      Lanes.store(v.mul(s), d, at0 + at);
    }
  }

  /** {@code dw += dy · (x − mean) · rstd}. */
  private static void addProduct(
      MemorySegment dw,
      long wr,
      MemorySegment dy,
      long dr,
      MemorySegment x,
      long xr,
      float mean,
      float rstd,
      int n) {
    FloatVector m = Lanes.broadcast(mean);
    FloatVector s = Lanes.broadcast(rstd);
    for (int i = 0; i < n; i += Lanes.COUNT) {
      long at = 4L * i;
      FloatVector v = Lanes.load(x, xr + at).sub(m).mul(s);
      Lanes.store(v.fma(Lanes.load(dy, dr + at), Lanes.load(dw, wr + at)), dw, wr + at);
    }
  }
}
