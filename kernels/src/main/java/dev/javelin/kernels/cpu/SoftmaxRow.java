package dev.javelin.kernels.cpu;

import java.lang.foreign.MemorySegment;
import jdk.incubator.vector.FloatVector;

/**
 * Some rows in memory and the passes of softmax over them. Offsets and steps in bytes; n whole
 * vectors.
 *
 * <p>A loop over a short row has a few rounds, and its end costs as much as all of them. So where
 * there are more rows than vectors in a row, loops go down the rows, one column of vectors after
 * the other; lanes that are being summed, which a long row keeps in a register, then stand in
 * memory. The order of each row's sum is the same either way.
 */
final class SoftmaxRow {
  final MemorySegment scratch;
  private final MemorySegment out;
  long outAt;
  final long outStep;
  private final MemorySegment x;
  long xAt;
  final long xStep;
  private final MemorySegment dy;
  long dyAt;
  final long dyStep;
  private final boolean accumulate;
  private final int n;
  private final long lanes; // a vector for each row
  private final long max; // a float for each row
  private final long sum;
  private final int block;
  private int rows;
  private int loops;
  private int rounds; // of each loop
  private boolean down;

  /**
   * At most {@link Rows#block} rows; {@code dy} may be {@code x} where it is not read.
   *
   * @param at where in the scratch memory {@link #bytes} are, for numbers of the rows
   */
  SoftmaxRow(MemorySegment scratch, long at, Rows out, Rows x, Rows dy) {
    this.scratch = scratch;
    this.out = out.segment(scratch);
    this.outStep = out.step();
    this.x = x.segment(scratch);
    this.xStep = x.step();
    this.dy = dy.segment(scratch);
    this.dyStep = dy.step();
    this.accumulate = out.accumulate();
    this.n = x.padded();
    this.block = Rows.block(x.cols());
    this.lanes = Ram.address(scratch, at, bytes(block));
    this.max = lanes + (long) block * Lanes.BYTES;
    this.sum = max + (long) block * Float.BYTES;
  }

  /** Scratch memory for the numbers of so many rows. */
  static long bytes(int block) {
    return block * (Lanes.BYTES + 2L * Float.BYTES);
  }

  /** Says for how many rows the next passes are. */
  void rows(int count) {
    if (count < 1 || count > block) {
      throw new IllegalArgumentException("a block has 1 to " + block + " rows, got " + count);
    }
    int vectors = n / Lanes.COUNT;
    rows = count;
    down = rows > vectors;
    loops = down ? vectors : rows;
    rounds = down ? rows : vectors;
  }

  private long out() {
    return firstOf(out, outAt, outStep);
  }

  private long x() {
    return firstOf(x, xAt, xStep);
  }

  private long dy() {
    return firstOf(dy, dyAt, dyStep);
  }

  private long firstOf(MemorySegment m, long at, long step) {
    Ram.address(m, at + (rows - 1) * step, 4L * n);
    return Ram.address(m, at, 4L * n);
  }

  /** How far a loop's vectors are apart, if rows are {@code rowStep} apart. */
  private long round(long rowStep) {
    return down ? rowStep : Lanes.BYTES;
  }

  /** How far loops are apart. */
  private long loop(long rowStep) {
    return down ? Lanes.BYTES : rowStep;
  }

  /** The number for a loop's first vector, of those at {@code first}, one for each row. */
  private long number(long first, int loop) {
    return down ? first : first + (long) loop * Float.BYTES;
  }

  /** From the number for a vector to that for the loop's next one. */
  private int numberStep() {
    return down ? Float.BYTES : 0;
  }

  private static FloatVector broadcast(long at) {
    return Lanes.broadcast(Ram.ALL.get(Ram.FLOAT, at));
  }

  private FloatVector lanes(int r) {
    return Lanes.load(lanes + (long) r * Lanes.BYTES);
  }

  private void set(long first, int r, float value) {
    Ram.ALL.set(Ram.FLOAT, first + (long) r * Float.BYTES, value);
  }

  /** The largest of each lane of x, for {@link #max}; a NaN may be passed. */
  void largest() {
    long first = x();
    for (int l = 0; l < loops; l++) {
      long x = first + l * loop(xStep);
      if (down) {
        largestSoFar(x, l == 0);
        continue;
      }
      FloatVector a = Lanes.load(x);
      for (int i = Lanes.COUNT; i < n; i += Lanes.COUNT) {
        a = Lanes.larger(a, Lanes.load(x + 4L * i));
      }
      Lanes.store(a, lanes + (long) l * Lanes.BYTES);
    }
  }

  private void largestSoFar(long x, boolean first) {
    long to = lanes;
    long before = first ? x : lanes;
    long step = first ? xStep : Lanes.BYTES;
    for (int r = 0; r < rows; r++) {
      Lanes.store(Lanes.larger(Lanes.load(before), Lanes.load(x)), to);
      x += xStep;
      before += step;
      to += Lanes.BYTES;
    }
  }

  /** {@code max = max x}. */
  void max() {
    for (int r = 0; r < rows; r++) {
      set(max, r, Lanes.max(lanes(r)));
    }
  }

  /** {@code out = e^(x − max)}. */
  void exponentials() {
    long firstX = x();
    long firstOut = out();
    for (int l = 0; l < loops; l++) {
      long x = firstX + l * loop(xStep);
      long out = firstOut + l * loop(outStep);
      long m = number(max, l);
      for (int i = 0; i < rounds; i++) {
        Lanes.store(VectorMath.expOfNegative(Lanes.load(x).sub(broadcast(m))), out);
        x += round(xStep);
        out += round(outStep);
        m += numberStep();
      }
    }
  }

  /** The sum of each lane of the exponentials, for {@link #inverse} and {@link #logOfSum}. */
  void lanesOfOut() {
    sumLanes(out(), outStep);
  }

  /** The sum of each lane of dy, for {@link #total}. */
  void lanesOfDy() {
    sumLanes(dy(), dyStep);
  }

  private void sumLanes(long first, long step) {
    for (int l = 0; l < loops; l++) {
      long at = first + l * loop(step);
      if (down) {
        addLanes(at, step, l == 0);
        continue;
      }
      FloatVector a = Lanes.zero();
      for (int i = 0; i < n; i += Lanes.COUNT) {
        a = a.add(Lanes.load(at + 4L * i));
      }
      Lanes.store(a, lanes + (long) l * Lanes.BYTES);
    }
  }

  private void addLanes(long at, long step, boolean first) {
    long to = lanes;
    for (int r = 0; r < rows; r++) {
      FloatVector before = first ? Lanes.zero() : Lanes.load(to);
      Lanes.store(before.add(Lanes.load(at)), to);
      at += step;
      to += Lanes.BYTES;
    }
  }

  /** {@code sum = 1 / Σ out}. */
  void inverse() {
    for (int r = 0; r < rows; r++) {
      set(sum, r, 1 / Lanes.sum(lanes(r)));
    }
  }

  /** {@code out = out · sum}. */
  void normalise() {
    long first = out();
    for (int l = 0; l < loops; l++) {
      long out = first + l * loop(outStep);
      long f = number(sum, l);
      for (int i = 0; i < rounds; i++) {
        Lanes.store(Lanes.load(out).mul(broadcast(f)), out);
        out += round(outStep);
        f += numberStep();
      }
    }
  }

  /** {@code sum = ln Σ out}. */
  void logOfSum() {
    for (int r = 0; r < rows; r++) {
      set(sum, r, VectorMath.log(Lanes.sum(lanes(r))));
    }
  }

  /** {@code out = x − max − sum}. */
  void subtract() {
    long firstX = x();
    long firstOut = out();
    for (int l = 0; l < loops; l++) {
      long x = firstX + l * loop(xStep);
      long out = firstOut + l * loop(outStep);
      long m = number(max, l);
      long s = number(sum, l);
      for (int i = 0; i < rounds; i++) {
        Lanes.store(Lanes.load(x).sub(broadcast(m)).sub(broadcast(s)), out);
        x += round(xStep);
        out += round(outStep);
        m += numberStep();
        s += numberStep();
      }
    }
  }

  /** {@code sum = Σ dy · x}. */
  void dot() {
    long x = x();
    long dy = dy();
    for (int r = 0; r < rows; r++) {
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
      set(sum, r, Lanes.sum(a.add(b)));
      x += xStep;
      dy += dyStep;
    }
  }

  /** {@code out (+)= x · (dy − sum)}. */
  void gradient() {
    long firstX = x();
    long firstDy = dy();
    long firstOut = out();
    for (int l = 0; l < loops; l++) {
      long x = firstX + l * loop(xStep);
      long dy = firstDy + l * loop(dyStep);
      long out = firstOut + l * loop(outStep);
      long s = number(sum, l);
      for (int i = 0; i < rounds; i++) {
        FloatVector v = Lanes.load(dy).sub(broadcast(s)).mul(Lanes.load(x));
        Lanes.store(accumulate ? v.add(Lanes.load(out)) : v, out);
        x += round(xStep);
        dy += round(dyStep);
        out += round(outStep);
        s += numberStep();
      }
    }
  }

  /** {@code sum = −Σ dy}. */
  void total() {
    for (int r = 0; r < rows; r++) {
      set(sum, r, -Lanes.sum(lanes(r)));
    }
  }

  /** {@code out (+)= dy + e^x · sum}. */
  void logGradient() {
    long firstX = x();
    long firstDy = dy();
    long firstOut = out();
    for (int l = 0; l < loops; l++) {
      long x = firstX + l * loop(xStep);
      long dy = firstDy + l * loop(dyStep);
      long out = firstOut + l * loop(outStep);
      long s = number(sum, l);
      for (int i = 0; i < rounds; i++) {
        FloatVector v = VectorMath.expOfNegative(Lanes.load(x)).fma(broadcast(s), Lanes.load(dy));
        Lanes.store(accumulate ? v.add(Lanes.load(out)) : v, out);
        x += round(xStep);
        dy += round(dyStep);
        out += round(outStep);
        s += numberStep();
      }
    }
  }
}
