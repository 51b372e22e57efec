package dev.javelin.kernels.cpu;

import java.lang.foreign.MemorySegment;
import jdk.incubator.vector.FloatVector;

/** A row in memory and the passes of softmax over it. Offsets in bytes; n whole vectors. */
final class SoftmaxRow {
  final MemorySegment out;
  long outAt;
  final MemorySegment x;
  long xAt;
  final MemorySegment dy;
  long dyAt;
  final boolean accumulate;
  final int n;
  float max;
  float sum;

  SoftmaxRow(MemorySegment out, MemorySegment x, MemorySegment dy, boolean accumulate, int n) {
    this.out = out;
    this.x = x;
    this.dy = dy;
    this.accumulate = accumulate;
    this.n = n;
  }

  /** {@code max = max x}; a NaN may be passed over here and reaches the sum all the same. */
  void max() {
    MemorySegment x = this.x.asSlice(xAt, 4L * n);
    FloatVector a = Lanes.load(x, 0);
    FloatVector b = a;
    int i = Lanes.COUNT;
    for (; i + Lanes.COUNT < n; i += 2 * Lanes.COUNT) {
      a = Lanes.larger(a, Lanes.load(x, 4L * i));
      b = Lanes.larger(b, Lanes.load(x, 4L * i + Lanes.BYTES));
    }
    if (i < n) {
      a = Lanes.larger(a, Lanes.load(x, 4L * i));
    }
    max = Lanes.max(Lanes.larger(a, b));
  }

  /** {@code out = e^(x − max)}, {@code sum = Σ out}. */
  void exponentials() {
    MemorySegment x = this.x.asSlice(xAt, 4L * n);
    MemorySegment out = this.out.asSlice(outAt, 4L * n);
    FloatVector m = Lanes.broadcast(max);
    FloatVector total = Lanes.zero();
    for (int i = 0; i < n; i += Lanes.COUNT) {
      long at = 4L * i;
      FloatVector e = VectorMath.expOfNegative(Lanes.load(x, at).sub(m));
      Lanes.store(e, out, at);
      total = total.add(e);
    }
    sum = Lanes.sum(total);
  }

  /** {@code out = out / sum}. */
  void normalise() {
    MemorySegment out = this.out.asSlice(outAt, 4L * n);
    FloatVector f = Lanes.broadcast(1 / sum);
    for (int i = 0; i < n; i += Lanes.COUNT) {
      long at = 4L * i;
      Lanes.store(Lanes.load(out, at).mul(f), out, at);
    }
  }

  /** {@code sum = ln sum}. */
  void logOfSum() {
    sum = VectorMath.log(sum);
  }

  /** {@code out = x − max − sum}. */
  void subtract() {
    MemorySegment x = this.x.asSlice(xAt, 4L * n);
    MemorySegment out = this.out.asSlice(outAt, 4L * n);
    FloatVector m = Lanes.broadcast(max);
    FloatVector l = Lanes.broadcast(sum);
    for (int i = 0; i < n; i += Lanes.COUNT) {
      long at = 4L * i;
      Lanes.store(Lanes.load(x, at).sub(m).sub(l), out, at);
    }
  }

  /** {@code sum = Σ dy · x}. */
  void dot() {
    MemorySegment x = this.x.asSlice(xAt, 4L * n);
    MemorySegment dy = this.dy.asSlice(dyAt, 4L * n);
    FloatVector a = Lanes.zero();
    FloatVector b = Lanes.zero();
    int i = 0;
    for (; i + Lanes.COUNT < n; i += 2 * Lanes.COUNT) {
      long at = 4L * i;
      long next = at + Lanes.BYTES;
      a = Lanes.load(dy, at).fma(Lanes.load(x, at), a);
      b = Lanes.load(dy, next).fma(Lanes.load(x, next), b);
    }
    if (i < n) {
      a = Lanes.load(dy, 4L * i).fma(Lanes.load(x, 4L * i), a);
    }
    sum = Lanes.sum(a.add(b));
  }

  /** {@code out (+)= x · (dy − sum)}. */
  void gradient() {
    MemorySegment x = this.x.asSlice(xAt, 4L * n);
    MemorySegment dy = this.dy.asSlice(dyAt, 4L * n);
    MemorySegment out = this.out.asSlice(outAt, 4L * n);
    FloatVector s = Lanes.broadcast(sum);
    for (int i = 0; i < n; i += Lanes.COUNT) {
      long at = 4L * i;
      FloatVector v = Lanes.load(dy, at).sub(s).mul(Lanes.load(x, at));
      Lanes.store(accumulate ? v.add(Lanes.load(out, at)) : v, out, at);
    }
  }

  /** {@code sum = Σ dy}. */
  void total() {
    MemorySegment dy = this.dy.asSlice(dyAt, 4L * n);
    FloatVector a = Lanes.zero();
    for (int i = 0; i < n; i += Lanes.COUNT) {
      a = a.add(Lanes.load(dy, 4L * i));
    }
    sum = Lanes.sum(a);
  }

  /** {@code out (+)= dy − e^x · sum}. */
  void logGradient() {
    MemorySegment x = this.x.asSlice(xAt, 4L * n);
    MemorySegment dy = this.dy.asSlice(dyAt, 4L * n);
    MemorySegment out = this.out.asSlice(outAt, 4L * n);
    FloatVector s = Lanes.broadcast(-sum);
    for (int i = 0; i < n; i += Lanes.COUNT) {
      long at = 4L * i;
      FloatVector e = VectorMath.expOfNegative(Lanes.load(x, at));
      FloatVector v = e.fma(s, Lanes.load(dy, at));
      Lanes.store(accumulate ? v.add(Lanes.load(out, at)) : v, out, at);
    }
  }
}
