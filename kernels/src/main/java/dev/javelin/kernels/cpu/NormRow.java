package dev.javelin.kernels.cpu;

import java.lang.foreign.MemorySegment;
import jdk.incubator.vector.FloatVector;

/**
 * A row in memory and the passes of a normalisation over it. Offsets in bytes, negative where there
 * is no such operand; n whole vectors of which {@code cols} elements count.
 */
final class NormRow {
  MemorySegment x;
  long xAt;
  MemorySegment h;
  long hAt;
  MemorySegment w;
  long wAt = -1;
  MemorySegment b;
  long bAt = -1;
  MemorySegment out;
  long outAt;
  MemorySegment dy;
  long dyAt;
  MemorySegment dw;
  long dwAt = -1;
  MemorySegment db;
  long dbAt = -1;
  final int n;
  final int cols;
  float mean;
  float rstd;
  float meanG;
  float meanGx;
  float squares;

  /** All operands in {@code memory} until set. */
  NormRow(MemorySegment memory, int n, int cols) {
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

  /** {@code out = x + h}. */
  void add() {
    for (int i = 0; i < n; i += Lanes.COUNT) {
      long at = 4L * i;
      Lanes.store(Lanes.load(x, xAt + at).add(Lanes.load(h, hAt + at)), out, outAt + at);
    }
  }

  /** {@code mean = Σ x / cols}. */
  void mean() {
    FloatVector a = Lanes.zero();
    FloatVector b = Lanes.zero();
    int i = 0;
    for (; i + Lanes.COUNT < n; i += 2 * Lanes.COUNT) {
      a = a.add(Lanes.load(x, xAt + 4L * i));
      b = b.add(Lanes.load(x, xAt + 4L * i + Lanes.BYTES));
    }
    if (i < n) {
      a = a.add(Lanes.load(x, xAt + 4L * i));
    }
    mean = Lanes.sum(a.add(b)) / cols;
  }

  /** {@code squares = Σ (x − mean)²}. */
  void squares() {
    FloatVector m = Lanes.broadcast(mean);
    FloatVector a = Lanes.zero();
    FloatVector b = Lanes.zero();
    int i = 0;
    for (; i + Lanes.COUNT < n; i += 2 * Lanes.COUNT) {
      FloatVector u = Lanes.load(x, xAt + 4L * i).sub(m);
      FloatVector v = Lanes.load(x, xAt + 4L * i + Lanes.BYTES).sub(m);
      a = u.fma(u, a);
      b = v.fma(v, b);
    }
    if (i < n) {
      FloatVector u = Lanes.load(x, xAt + 4L * i).sub(m);
      a = u.fma(u, a);
    }
    squares = Lanes.sum(a.add(b));
  }

  /** {@code out = (x − mean) · rstd · w + b}. */
  void normalise() {
    FloatVector m = Lanes.broadcast(mean);
    FloatVector s = Lanes.broadcast(rstd);
    boolean weighted = wAt >= 0;
    boolean biased = bAt >= 0;
    for (int i = 0; i < n; i += Lanes.COUNT) {
      long at = 4L * i;
      FloatVector v = Lanes.load(x, xAt + at).sub(m).mul(s);
      v = weighted ? v.mul(Lanes.load(w, wAt + at)) : v;
      v = biased ? v.add(Lanes.load(b, bAt + at)) : v;
      Lanes.store(v, out, outAt + at);
    }
  }

  /** With {@code g = dy · w}: {@code meanG = Σ g / cols}. */
  void sumOfG() {
    FloatVector a = Lanes.zero();
    boolean weighted = wAt >= 0;
    for (int i = 0; i < n; i += Lanes.COUNT) {
      long at = 4L * i;
      FloatVector g = Lanes.load(dy, dyAt + at);
      a = a.add(weighted ? g.mul(Lanes.load(w, wAt + at)) : g);
    }
    meanG = Lanes.sum(a) / cols;
  }

  /** {@code meanGx = Σ g · (x − mean) · rstd / cols}. */
  void sumOfGx() {
    FloatVector m = Lanes.broadcast(mean);
    FloatVector a = Lanes.zero();
    boolean weighted = wAt >= 0;
    for (int i = 0; i < n; i += Lanes.COUNT) {
      long at = 4L * i;
      FloatVector g = Lanes.load(dy, dyAt + at);
      g = weighted ? g.mul(Lanes.load(w, wAt + at)) : g;
      a = g.fma(Lanes.load(x, xAt + at).sub(m), a);
    }
    meanGx = Lanes.sum(a) * rstd / cols;
  }

  /** {@code out = rstd · (g − meanG − (x − mean) · rstd · meanGx)}. */
  void gradient() {
    FloatVector m = Lanes.broadcast(mean);
    FloatVector s = Lanes.broadcast(rstd);
    FloatVector c = Lanes.broadcast(meanG);
    FloatVector k = Lanes.broadcast(-rstd * meanGx);
    boolean weighted = wAt >= 0;
    for (int i = 0; i < n; i += Lanes.COUNT) {
      long at = 4L * i;
      FloatVector g = Lanes.load(dy, dyAt + at);
      g = weighted ? g.mul(Lanes.load(w, wAt + at)) : g;
      FloatVector v = Lanes.load(x, xAt + at).sub(m).fma(k, g.sub(c));
      Lanes.store(v.mul(s), out, outAt + at);
    }
  }

  /** {@code dw += dy · (x − mean) · rstd}. */
  void addWeightGradient() {
    FloatVector m = Lanes.broadcast(mean);
    FloatVector s = Lanes.broadcast(rstd);
    for (int i = 0; i < n; i += Lanes.COUNT) {
      long at = 4L * i;
      FloatVector v = Lanes.load(x, xAt + at).sub(m).mul(s);
      FloatVector old = Lanes.load(dw, dwAt + at);
      Lanes.store(v.fma(Lanes.load(dy, dyAt + at), old), dw, dwAt + at);
    }
  }

  /** {@code db += dy}. */
  void addBiasGradient() {
    for (int i = 0; i < n; i += Lanes.COUNT) {
      long at = 4L * i;
      Lanes.store(Lanes.load(db, dbAt + at).add(Lanes.load(dy, dyAt + at)), db, dbAt + at);
    }
  }
}
