package dev.javelin.kernels.cpu;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT_UNALIGNED;

import java.lang.foreign.MemorySegment;
import jdk.incubator.vector.FloatVector;

/** A row of logits in memory and the passes of cross-entropy over it. Offsets in bytes. */
final class CrossEntropyRow {
  private final int cols;
  private final int bytes; // of the row in whole vectors
  MemorySegment x;
  long xAt;
  MemorySegment d; // gradient
  long dAt;
  MemorySegment other; // another row, by pass
  long otherAt;
  float max;
  float sum;
  float below;
  float factor;
  float less;
  float softCap;

  /** A row of {@code cols} elements; all operands in {@code scratch} until set. */
  CrossEntropyRow(MemorySegment scratch, int cols) {
    this.x = scratch;
    this.d = scratch;
    this.other = scratch;
    this.cols = cols;
    this.bytes = 4 * Lanes.pad(cols);
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

  /** Padding that is never the largest and adds nothing to a sum of exponentials. */
  void pad() {
    for (long i = 4L * cols; i < bytes; i += 4) {
      x.set(JAVA_FLOAT_UNALIGNED, xAt + i, Float.NEGATIVE_INFINITY);
    }
  }

  /** {@code max = max x}. */
  void max() {
    FloatVector a = Lanes.broadcast(Float.NEGATIVE_INFINITY);
    FloatVector b = Lanes.broadcast(Float.NEGATIVE_INFINITY);
    for (long i = 0; i < bytes; i += 2L * Lanes.BYTES) {
      a = a.max(Lanes.load(x, xAt + i));
      b = b.max(Lanes.load(x, xAt + Math.min(i + Lanes.BYTES, bytes - Lanes.BYTES)));
    }
    max = Math.max(Lanes.max(a), Lanes.max(b));
  }

  /** {@code sum = Σ e^(x − max)}. */
  void sumOfExponentials() {
    FloatVector m = Lanes.broadcast(max);
    FloatVector total = Lanes.zero();
    for (long i = 0; i < bytes; i += Lanes.BYTES) {
      total = total.add(VectorMath.expOfNegative(Lanes.load(x, xAt + i).sub(m)));
    }
    sum = Lanes.sum(total);
  }

  /** {@code below = Σ (max − x)}, the padding not included. */
  void sumBelow() {
    FloatVector m = Lanes.broadcast(max);
    FloatVector total = Lanes.zero();
    int whole = Lanes.SPECIES.loopBound(cols);
    for (int i = 0; i < whole; i += Lanes.COUNT) {
      total = total.add(m.sub(Lanes.load(x, xAt + 4L * i)));
    }
    float rest = 0;
    for (int i = whole; i < cols; i++) {
      rest += max - element(i);
    }
    below = Lanes.sum(total) + rest;
  }

  /** {@code d = factor · e^(x − max) − less}. */
  void gradient() {
    FloatVector m = Lanes.broadcast(max);
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

  float element(int i) {
    return x.get(JAVA_FLOAT_UNALIGNED, xAt + 4L * i);
  }

  void subtractFromGradient(int i, float value) {
    float before = d.get(JAVA_FLOAT_UNALIGNED, dAt + 4L * i);
    d.set(JAVA_FLOAT_UNALIGNED, dAt + 4L * i, before - value);
  }
}
