package dev.javelin.kernels.cpu;

import java.lang.foreign.MemorySegment;
import jdk.incubator.vector.FloatVector;

/**
 * Some rows in memory and the passes of softmax over them. A pass goes over all of them, so that
 * the cost of a call is shared by many short rows. Offsets and steps in bytes; n whole vectors.
 */
final class SoftmaxRow {
  final MemorySegment out;
  long outAt;
  long outStep;
  final MemorySegment x;
  long xAt;
  long xStep;
  final MemorySegment dy;
  long dyAt;
  long dyStep;
  final boolean accumulate;
  final int n;
  int rows = 1;
  int ahead; // rows, of those whose maximum comes next
  int last; // row of the piece, as seen from the first
  private final float[] lanes;
  private final float[] max;
  private final float[] sum;

  /** At most {@code block} rows of {@code n} elements. */
  SoftmaxRow(
      MemorySegment out, MemorySegment x, MemorySegment dy, boolean accumulate, int n, int block) {
    this.out = out;
    this.x = x;
    this.dy = dy;
    this.accumulate = accumulate;
    this.n = n;
    this.lanes = new float[block * Lanes.COUNT];
    this.max = new float[block];
    this.sum = new float[block];
  }

  private long out(int r) {
    return Ram.address(out, outAt + r * outStep, 4L * n);
  }

  private long x(int r) {
    return Ram.address(x, xAt + r * xStep, 4L * n);
  }

  private long dy(int r) {
    return Ram.address(dy, dyAt + r * dyStep, 4L * n);
  }

  /** The largest of each lane of x in the rows to come, for {@link #max}; a NaN may be passed. */
  void firstLanes() {
    for (int r = 0; r < rows; r++) {
      long x = x(r);
      FloatVector a = Lanes.load(x);
      for (int i = Lanes.COUNT; i < n; i += Lanes.COUNT) {
        a = Lanes.larger(a, Lanes.load(x + 4L * i));
      }
      Lanes.TYPE.cast(a).intoArray(lanes, r * Lanes.COUNT);
    }
  }

  /** {@code max = max x}. */
  void max() {
    for (int r = 0; r < rows; r++) {
      max[r] = Lanes.max(FloatVector.fromArray(Lanes.SPECIES, lanes, r * Lanes.COUNT));
    }
  }

  /**
   * {@code out = e^(x − max)}, {@code sum = Σ out}; beside it the lanes of the rows a block further
   * on, which so come from memory while these are computed.
   */
  void exponentials() {
    for (int r = 0; r < rows; r++) {
      long x = x(r);
      long next = x(Math.min(r + ahead, last));
      long out = out(r);
      FloatVector m = Lanes.broadcast(max[r]);
      FloatVector total = Lanes.zero();
      FloatVector a = Lanes.load(next);
      for (int i = 0; i < n; i += Lanes.COUNT) {
        long at = 4L * i;
        a = Lanes.larger(a, Lanes.load(next + at));
        FloatVector e = VectorMath.expOfNegative(Lanes.load(x + at).sub(m));
        Lanes.store(e, out + at);
        total = total.add(e);
      }
      Lanes.TYPE.cast(a).intoArray(lanes, r * Lanes.COUNT);
      sum[r] = Lanes.sum(total);
    }
  }

  /** {@code out = out / sum}. */
  void normalise() {
    for (int r = 0; r < rows; r++) {
      long out = out(r);
      FloatVector f = Lanes.broadcast(1 / sum[r]);
      for (int i = 0; i < n; i += Lanes.COUNT) {
        long at = 4L * i;
        Lanes.store(Lanes.load(out + at).mul(f), out + at);
      }
    }
  }

  /** {@code sum = ln sum}. */
  void logOfSum() {
    for (int r = 0; r < rows; r++) {
      sum[r] = VectorMath.log(sum[r]);
    }
  }

  /** {@code out = x − max − sum}. */
  void subtract() {
    for (int r = 0; r < rows; r++) {
      long x = x(r);
      long out = out(r);
      FloatVector m = Lanes.broadcast(max[r]);
      FloatVector l = Lanes.broadcast(sum[r]);
      for (int i = 0; i < n; i += Lanes.COUNT) {
        long at = 4L * i;
        Lanes.store(Lanes.load(x + at).sub(m).sub(l), out + at);
      }
    }
  }

  /** {@code sum = Σ dy · x}. */
  void dot() {
    for (int r = 0; r < rows; r++) {
      long x = x(r);
      long dy = dy(r);
      FloatVector a = Lanes.zero();
      FloatVector b = Lanes.zero();
      int i = 0;
      for (; i + Lanes.COUNT < n; i += 2 * Lanes.COUNT) {
        long at = 4L * i;
        long next = at + Lanes.BYTES;
        a = Lanes.load(dy + at).fma(Lanes.load(x + at), a);
        b = Lanes.load(dy + next).fma(Lanes.load(x + next), b);
      }
      if (i < n) {
        a = Lanes.load(dy + 4L * i).fma(Lanes.load(x + 4L * i), a);
      }
      sum[r] = Lanes.sum(a.add(b));
    }
  }

  /** {@code out (+)= x · (dy − sum)}. */
  void gradient() {
    for (int r = 0; r < rows; r++) {
      long x = x(r);
      long dy = dy(r);
      long out = out(r);
      FloatVector s = Lanes.broadcast(sum[r]);
      for (int i = 0; i < n; i += Lanes.COUNT) {
        long at = 4L * i;
        FloatVector v = Lanes.load(dy + at).sub(s).mul(Lanes.load(x + at));
        Lanes.store(accumulate ? v.add(Lanes.load(out + at)) : v, out + at);
      }
    }
  }

  /** {@code sum = Σ dy}. */
  void total() {
    for (int r = 0; r < rows; r++) {
      long dy = dy(r);
      FloatVector a = Lanes.zero();
      for (int i = 0; i < n; i += Lanes.COUNT) {
        a = a.add(Lanes.load(dy + 4L * i));
      }
      sum[r] = Lanes.sum(a);
    }
  }

  /** {@code out (+)= dy − e^x · sum}. */
  void logGradient() {
    for (int r = 0; r < rows; r++) {
      long x = x(r);
      long dy = dy(r);
      long out = out(r);
      FloatVector s = Lanes.broadcast(-sum[r]);
      for (int i = 0; i < n; i += Lanes.COUNT) {
        long at = 4L * i;
        FloatVector e = VectorMath.expOfNegative(Lanes.load(x + at));
        FloatVector v = e.fma(s, Lanes.load(dy + at));
        Lanes.store(accumulate ? v.add(Lanes.load(out + at)) : v, out + at);
      }
    }
  }
}
