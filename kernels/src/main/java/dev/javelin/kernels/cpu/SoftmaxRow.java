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

  /** {@code max = max x}. */
  void max() {
    FloatVector a = Lanes.load(x, xAt);
    FloatVector b = a;
    int i = Lanes.COUNT;
    for (; i + Lanes.COUNT < n; i += 2 * Lanes.COUNT) {
      a = a.max(Lanes.load(x, xAt + 4L * i));
      b = b.max(Lanes.load(x, xAt + 4L * i + Lanes.BYTES));
    }
    if (i < n) {
      a = a.max(Lanes.load(x, xAt + 4L * i));
    }
    max = Lanes.max(a.max(b));
  }

  /** {@code out = e^(x − max)}, {@code sum = Σ out}. */
  void exponentials() {
    FloatVector m = Lanes.broadcast(max);
    FloatVector total = Lanes.zero();
    for (int i = 0; i < n; i += Lanes.COUNT) {
      long at = 4L * i;
      FloatVector e = VectorMath.expOfNegative(Lanes.load(x, xAt + at).sub(m));
      Lanes.store(e, out, outAt + at);
      total = total.add(e);
    }
    sum = Lanes.sum(total);
  }

  /** {@code out = out / sum}. */
  void normalise() {
    FloatVector f = Lanes.broadcast(1 / sum);
    for (int i = 0; i < n; i += Lanes.COUNT) {
      long at = 4L * i;
      Lanes.store(Lanes.load(out, outAt + at).mul(f), out, outAt + at);
    }
  }

  /** {@code sum = ln sum}. */
  void logOfSum() {
    sum = VectorMath.log(sum);
  }

  /** {@code out = x − max − sum}. */
  void subtract() {
    FloatVector m = Lanes.broadcast(max);
    FloatVector l = Lanes.broadcast(sum);
    for (int i = 0; i < n; i += Lanes.COUNT) {
      long at = 4L * i;
      Lanes.store(Lanes.load(x, xAt + at).sub(m).sub(l), out, outAt + at);
    }
  }

  /** {@code sum = Σ dy · x}. */
  void dot() {
    FloatVector a = Lanes.zero();
    FloatVector b = Lanes.zero();
    int i = 0;
    for (; i + Lanes.COUNT < n; i += 2 * Lanes.COUNT) {
      long at = 4L * i;
      long next = at + Lanes.BYTES;
      a = Lanes.load(dy, dyAt + at).fma(Lanes.load(x, xAt + at), a);
      b = Lanes.load(dy, dyAt + next).fma(Lanes.load(x, xAt + next), b);
    }
    if (i < n) {
      a = Lanes.load(dy, dyAt + 4L * i).fma(Lanes.load(x, xAt + 4L * i), a);
    }
    sum = Lanes.sum(a.add(b));
  }

  /** {@code out (+)= x · (dy − sum)}. */
  void gradient() {
    FloatVector s = Lanes.broadcast(sum);
    for (int i = 0; i < n; i += Lanes.COUNT) {
      long at = 4L * i;
      FloatVector v = Lanes.load(dy, dyAt + at).sub(s).mul(Lanes.load(x, xAt + at));
      Lanes.store(accumulate ? v.add(Lanes.load(out, outAt + at)) : v, out, outAt + at);
    }
  }

  /** {@code sum = Σ dy}. */
  void total() {
    FloatVector a = Lanes.zero();
    for (int i = 0; i < n; i += Lanes.COUNT) {
      a = a.add(Lanes.load(dy, dyAt + 4L * i));
    }
    sum = Lanes.sum(a);
  }

  /** {@code out (+)= dy − e^x · sum}. */
  void logGradient() {
    FloatVector s = Lanes.broadcast(-sum);
    for (int i = 0; i < n; i += Lanes.COUNT) {
      long at = 4L * i;
      FloatVector e = VectorMath.expOfNegative(Lanes.load(x, xAt + at));
      FloatVector v = e.fma(s, Lanes.load(dy, dyAt + at));
      Lanes.store(accumulate ? v.add(Lanes.load(out, outAt + at)) : v, out, outAt + at);
    }
  }
}
