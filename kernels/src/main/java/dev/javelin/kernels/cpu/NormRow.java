package dev.javelin.kernels.cpu;

import java.lang.foreign.MemorySegment;
import jdk.incubator.vector.FloatVector;
import org.jspecify.annotations.Nullable;

/**
 * A row in memory and the passes of a normalisation over it. Offsets in bytes; n whole vectors, of
 * which {@code cols} elements count.
 */
final class NormRow {
  final MemorySegment scratch;
  MemorySegment x;
  long xAt;
  MemorySegment h;
  long hAt;
  MemorySegment w;
  long wAt;
  MemorySegment b;
  long bAt;
  MemorySegment out;
  long outAt;
  MemorySegment dy;
  long dyAt;
  MemorySegment dw;
  long dwAt;
  MemorySegment db;
  long dbAt;
  final int n;
  final int cols;
  float mean;
  float rstd;
  float meanG;
  float meanGx;
  float squares;
  private @Nullable NormRow second;

  /** All operands in {@code memory} until set. */
  NormRow(MemorySegment memory, int n, int cols) {
    this.scratch = memory;
    this.x = memory;
    this.h = memory;
    this.w = memory;
    this.b = memory;
    this.out = memory;
    this.dy = memory;
    this.dw = memory;
    this.db = memory;
    this.n = n;
    this.cols = cols;
  }

  /** Another over the same memory, made once: one for each piece of work would be garbage. */
  NormRow second() {
    NormRow s = second;
    if (s == null) {
      s = new NormRow(scratch, n, cols);
      second = s;
    }
    return s;
  }

  private long address(MemorySegment m, long at) {
    return Ram.address(m, at, 4L * n);
  }

  /** {@code out = x + h}. */
  void add() {
    long x = address(this.x, xAt);
    long h = address(this.h, hAt);
    long out = address(this.out, outAt);
    for (int i = 0; i < n; i += Lanes.COUNT) {
      long at = 4L * i;
      Lanes.store(Lanes.load(x + at).add(Lanes.load(h + at)), out + at);
    }
  }

  /** {@code out = h}. */
  void copy() {
    long h = address(this.h, hAt);
    long out = address(this.out, outAt);
    for (int i = 0; i < n; i += Lanes.COUNT) {
      Lanes.store(Lanes.load(h + 4L * i), out + 4L * i);
    }
  }

  /** {@code mean = Σ x / cols}. */
  void mean() {
    long x = address(this.x, xAt);
    FloatVector a = Lanes.zero();
    FloatVector b = Lanes.zero();
    int i = 0;
    for (; i + Lanes.COUNT < n; i += 2 * Lanes.COUNT) {
      a = a.add(Lanes.load(x + 4L * i));
      b = b.add(Lanes.load(x + 4L * i + Lanes.BYTES));
    }
    if (i < n) {
      a = a.add(Lanes.load(x + 4L * i));
    }
    mean = Lanes.sum(a.add(b)) / cols;
  }

  /** {@code squares = Σ (x − mean)²}. */
  void squares() {
    long x = address(this.x, xAt);
    FloatVector m = Lanes.broadcast(mean);
    FloatVector a = Lanes.zero();
    FloatVector b = Lanes.zero();
    int i = 0;
    for (; i + Lanes.COUNT < n; i += 2 * Lanes.COUNT) {
      FloatVector u = Lanes.load(x + 4L * i).sub(m);
      FloatVector v = Lanes.load(x + 4L * i + Lanes.BYTES).sub(m);
      a = u.fma(u, a);
      b = v.fma(v, b);
    }
    if (i < n) {
      FloatVector u = Lanes.load(x + 4L * i).sub(m);
      a = u.fma(u, a);
    }
    squares = Lanes.sum(a.add(b));
  }

  /** {@code out = (x − mean) · rstd · w}. */
  void scale() {
    long x = address(this.x, xAt);
    long w = address(this.w, wAt);
    long out = address(this.out, outAt);
    FloatVector m = Lanes.broadcast(mean);
    FloatVector s = Lanes.broadcast(rstd);
    for (int i = 0; i < n; i += Lanes.COUNT) {
      long at = 4L * i;
      Lanes.store(Lanes.load(x + at).sub(m).mul(s).mul(Lanes.load(w + at)), out + at);
    }
  }

  /** {@code out = (x − mean) · rstd · w + b}. */
  void scaleAndShift() {
    long x = address(this.x, xAt);
    long w = address(this.w, wAt);
    long b = address(this.b, bAt);
    long out = address(this.out, outAt);
    FloatVector m = Lanes.broadcast(mean);
    FloatVector s = Lanes.broadcast(rstd);
    for (int i = 0; i < n; i += Lanes.COUNT) {
      long at = 4L * i;
      FloatVector v = Lanes.load(x + at).sub(m).mul(s);
      Lanes.store(v.fma(Lanes.load(w + at), Lanes.load(b + at)), out + at);
    }
  }

  /** With {@code g = dy · w}: {@code meanGx = Σ g · (x − mean) · rstd / cols}. */
  void sumOfGx() {
    long x = address(this.x, xAt);
    long w = address(this.w, wAt);
    long dy = address(this.dy, dyAt);
    FloatVector a = Lanes.zero();
    for (int i = 0; i < n; i += Lanes.COUNT) {
      long at = 4L * i;
      FloatVector g = Lanes.load(dy + at).mul(Lanes.load(w + at));
      a = g.fma(Lanes.load(x + at), a);
    }
    meanGx = Lanes.sum(a) * rstd / cols;
  }

  /** {@code meanG = Σ g / cols} and {@code meanGx}, where the mean is not zero. */
  void sumsOfG() {
    long x = address(this.x, xAt);
    long w = address(this.w, wAt);
    long dy = address(this.dy, dyAt);
    FloatVector m = Lanes.broadcast(mean);
    FloatVector a = Lanes.zero();
    FloatVector b = Lanes.zero();
    for (int i = 0; i < n; i += Lanes.COUNT) {
      long at = 4L * i;
      FloatVector g = Lanes.load(dy + at).mul(Lanes.load(w + at));
      a = g.fma(Lanes.load(x + at).sub(m), a);
      b = b.add(g);
    }
    meanGx = Lanes.sum(a) * rstd / cols;
    meanG = Lanes.sum(b) / cols;
  }

  /** {@code out = rstd · (g − x̂ · meanGx)}, {@code dw += dy · x̂}, where the mean is zero. */
  void gradients() {
    long x = address(this.x, xAt);
    long w = address(this.w, wAt);
    long dy = address(this.dy, dyAt);
    long out = address(this.out, outAt);
    long dw = address(this.dw, dwAt);
    FloatVector s = Lanes.broadcast(rstd);
    FloatVector k = Lanes.broadcast(-rstd * meanGx);
    for (int i = 0; i < n; i += Lanes.COUNT) {
      long at = 4L * i;
      FloatVector d = Lanes.load(dy + at);
      FloatVector v = Lanes.load(x + at);
      Lanes.store(v.mul(s).fma(d, Lanes.load(dw + at)), dw + at);
      Lanes.store(v.fma(k, d.mul(Lanes.load(w + at))).mul(s), out + at);
    }
  }

  /** {@code out = rstd · (g − meanG − x̂ · meanGx)}, {@code dw += dy · x̂}, {@code db += dy}. */
  void centredGradients() {
    long x = address(this.x, xAt);
    long w = address(this.w, wAt);
    long dy = address(this.dy, dyAt);
    long out = address(this.out, outAt);
    long dw = address(this.dw, dwAt);
    long db = address(this.db, dbAt);
    FloatVector m = Lanes.broadcast(mean);
    FloatVector s = Lanes.broadcast(rstd);
    FloatVector c = Lanes.broadcast(-meanG);
    FloatVector k = Lanes.broadcast(-rstd * meanGx);
    for (int i = 0; i < n; i += Lanes.COUNT) {
      long at = 4L * i;
      FloatVector d = Lanes.load(dy + at);
      FloatVector v = Lanes.load(x + at).sub(m);
      Lanes.store(v.mul(s).fma(d, Lanes.load(dw + at)), dw + at);
      Lanes.store(d.add(Lanes.load(db + at)), db + at);
      Lanes.store(v.fma(k, d.fma(Lanes.load(w + at), c)).mul(s), out + at);
    }
  }
}
