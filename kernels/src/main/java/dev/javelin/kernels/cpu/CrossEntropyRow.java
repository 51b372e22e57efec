package dev.javelin.kernels.cpu;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT_UNALIGNED;

import java.lang.foreign.MemorySegment;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorMask;

/**
 * Some rows of logits in memory and the passes of cross-entropy over them. Those of the forward
 * pass go over all rows, so that the cost of a call is shared by many short rows; the others over
 * the first. Offsets and steps in bytes.
 */
final class CrossEntropyRow {
  final MemorySegment scratch; // of the thread
  private final int cols;
  private final int bytes; // of the row in whole vectors
  MemorySegment x;
  long xAt;
  long xStep;
  int rows = 1;
  MemorySegment d; // gradient
  long dAt;
  MemorySegment other; // another row, by pass
  long otherAt;
  final float[] max;
  final float[] sum;
  final float[] logSum;
  final float[] below;
  float factor;
  float less;
  float softCap;

  /**
   * At most {@code block} rows of {@code cols} elements; all operands in {@code scratch} until set.
   */
  CrossEntropyRow(MemorySegment scratch, int cols, int block) {
    this.scratch = scratch;
    this.x = scratch;
    this.d = scratch;
    this.other = scratch;
    this.cols = cols;
    this.bytes = 4 * Lanes.pad(cols);
    this.max = new float[block];
    this.sum = new float[Lanes.pad(block)];
    this.logSum = new float[Lanes.pad(block)];
    this.below = new float[block];
  }

  /** {@code other = softCap · tanh(x / softCap)}. */
  void cap() {
    FloatVector c = Lanes.broadcast(softCap);
    FloatVector inverse = Lanes.broadcast(1 / softCap);
    for (long i = 0; i < bytes; i += Lanes.BYTES) {
      FloatVector v = Lanes.load(x, xAt + i).mul(inverse);
      Lanes.store(VectorMath.tanh(v).mul(c), other, otherAt + i);
    }
  }

  /**
   * The address of row r, which has a whole vector at least: its own or padding. No slice, which
   * the compiler sometimes leaves on the heap: one for each row.
   */
  private long row(int r) {
    return x.address() + xAt + r * xStep;
  }

  /**
   * Padding of a row shorter than a vector: never the largest, nothing in a sum of exponentials.
   */
  void pad() {
    for (int i = cols; i < Lanes.COUNT; i++) {
      x.set(JAVA_FLOAT_UNALIGNED, xAt + 4L * i, Float.NEGATIVE_INFINITY);
    }
  }

  /** {@code max = max x}; a NaN may be passed over here and reaches the sum all the same. */
  void max() {
    int last = Math.max(0, cols - Lanes.COUNT);
    for (int r = 0; r < rows; r++) {
      long x = row(r);
      FloatVector a = Lanes.load(Ram.ALL, x + 4L * last);
      for (int i = 0; i < last; i += Lanes.COUNT) {
        a = Lanes.larger(a, Lanes.load(Ram.ALL, x + 4L * i));
      }
      max[r] = Lanes.max(a);
    }
  }

  /** {@code sum = Σ e^(x − max)} over the row's whole vectors. */
  void sumOfExponentials() {
    int whole = Lanes.SPECIES.loopBound(cols);
    for (int r = 0; r < rows; r++) {
      long x = row(r);
      FloatVector m = Lanes.broadcast(max[r]);
      FloatVector total = Lanes.zero();
      for (int i = 0; i < whole; i += Lanes.COUNT) {
        total = total.add(VectorMath.expOfNegative(Lanes.load(Ram.ALL, x + 4L * i).sub(m)));
      }
      sum[r] = Lanes.sum(total);
    }
  }

  /** {@code sum += Σ e^(x − max)} over what follows the row's whole vectors. */
  void restOfExponentials() {
    int rest = cols - Lanes.SPECIES.loopBound(cols);
    int last = Math.max(0, cols - Lanes.COUNT);
    VectorMask<Float> covered = Lanes.first(cols < Lanes.COUNT ? 0 : Lanes.COUNT - rest);
    FloatVector nothing = Lanes.broadcast(Float.NEGATIVE_INFINITY);
    for (int r = 0; r < rows; r++) {
      FloatVector v = Lanes.load(Ram.ALL, row(r) + 4L * last).blend(nothing, covered);
      sum[r] += Lanes.sum(VectorMath.expOfNegative(v.sub(Lanes.broadcast(max[r]))));
    }
  }

  /** {@code logSum = ln sum}. */
  void logarithms() {
    for (int r = 0; r < rows; r += Lanes.COUNT) {
      VectorMath.log(FloatVector.fromArray(Lanes.SPECIES, sum, r)).intoArray(logSum, r);
    }
  }

  /** {@code below = Σ (max − x)}. */
  void sumBelow() {
    int whole = Lanes.SPECIES.loopBound(cols);
    for (int r = 0; r < rows; r++) {
      long x = row(r);
      FloatVector m = Lanes.broadcast(max[r]);
      FloatVector total = Lanes.zero();
      for (int i = 0; i < whole; i += Lanes.COUNT) {
        total = total.add(m.sub(Lanes.load(Ram.ALL, x + 4L * i)));
      }
      float rest = 0;
      for (int i = whole; i < cols; i++) {
        rest += max[r] - element(r, i);
      }
      below[r] = Lanes.sum(total) + rest;
    }
  }

  /** {@code d = factor · e^(x − max) − less}. */
  void gradient() {
    FloatVector m = Lanes.broadcast(max[0]);
    FloatVector a = Lanes.broadcast(factor);
    FloatVector b = Lanes.broadcast(less);
    for (long i = 0; i < bytes; i += Lanes.BYTES) {
      FloatVector e = VectorMath.expOfNegative(Lanes.load(x, xAt + i).sub(m));
      Lanes.store(e.mul(a).sub(b), d, dAt + i);
    }
  }

  /** {@code d = d · (1 − (x / softCap)²)}: the slope of the soft cap, where x is capped. */
  void slope() {
    FloatVector inverse = Lanes.broadcast(1 / softCap);
    FloatVector one = Lanes.broadcast(1);
    for (long i = 0; i < bytes; i += Lanes.BYTES) {
      FloatVector c = Lanes.load(x, xAt + i).mul(inverse);
      Lanes.store(Lanes.load(d, dAt + i).mul(one.sub(c.mul(c))), d, dAt + i);
    }
  }

  /** {@code other += d}. */
  void add() {
    for (long i = 0; i < bytes; i += Lanes.BYTES) {
      Lanes.store(Lanes.load(other, otherAt + i).add(Lanes.load(d, dAt + i)), other, otherAt + i);
    }
  }

  float element(int r, int i) {
    return x.get(JAVA_FLOAT_UNALIGNED, xAt + r * xStep + 4L * i);
  }

  void subtractFromGradient(int i, float value) {
    float before = d.get(JAVA_FLOAT_UNALIGNED, dAt + 4L * i);
    d.set(JAVA_FLOAT_UNALIGNED, dAt + 4L * i, before - value);
  }
}
