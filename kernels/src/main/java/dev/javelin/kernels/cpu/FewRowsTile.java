package dev.javelin.kernels.cpu;

import jdk.incubator.vector.FloatVector;

/**
 * The innermost loops of {@link MatmulFewRows} where a vector holds all sixteen chains of a dot
 * product: up to three rows of A share a load of four rows of B, in fp32 or in bf16, which is
 * widened on its way into the register.
 */
final class FewRowsTile {
  /** Whether vectors are so wide. */
  static final boolean FITS = Lanes.COUNT == 16;

  private static final int B = Lanes.BYTES;

  private FewRowsTile() {}

  /**
   * @param out chains of the first row of A with four rows of B, then of the next row of A
   * @param height rows of A, 1 to 3
   * @param count rows of B, 1 to 4
   */
  static void chains(
      long out,
      long a,
      long aStep,
      int height,
      long b,
      long step,
      int count,
      int k,
      boolean asBf16) {
    long a1 = a + Math.min(1, height - 1) * aStep; // what is missing is computed twice
    long a2 = a + Math.min(2, height - 1) * aStep;
    long b1 = b + Math.min(1, count - 1) * step;
    long b2 = b + Math.min(2, count - 1) * step;
    long b3 = b + Math.min(3, count - 1) * step;
    long end = 4L * (k - k % Lanes.COUNT);
    if (!asBf16) {
      threeRows(out, a, a1, a2, b, b1, b2, b3, end);
    } else if (height == 1) {
      oneRowBf16(out, a, b, b1, b2, b3, end);
    } else {
      threeRowsBf16(out, a, a1, a2, b, b1, b2, b3, end);
    }
  }

  private static void oneRowBf16(long out, long a, long b0, long b1, long b2, long b3, long end) {
    FloatVector s0 = Lanes.zero();
    FloatVector s1 = Lanes.zero();
    FloatVector s2 = Lanes.zero();
    FloatVector s3 = Lanes.zero();
    for (long p = 0; p < end; p += 4 * Lanes.COUNT) {
      long h = p >> 1;
      FloatVector x = Lanes.load(Ram.ALL, a + p);
      s0 = x.fma(Half.loadBf16(Ram.ALL, b0 + h), s0);
      s1 = x.fma(Half.loadBf16(Ram.ALL, b1 + h), s1);
      s2 = x.fma(Half.loadBf16(Ram.ALL, b2 + h), s2);
      s3 = x.fma(Half.loadBf16(Ram.ALL, b3 + h), s3);
    }
    Lanes.store(s0, Ram.ALL, out);
    Lanes.store(s1, Ram.ALL, out + B);
    Lanes.store(s2, Ram.ALL, out + 2 * B);
    Lanes.store(s3, Ram.ALL, out + 3 * B);
  }

  private static void threeRows(
      long out, long a0, long a1, long a2, long b0, long b1, long b2, long b3, long end) {
    FloatVector s0 = Lanes.zero();
    FloatVector s1 = Lanes.zero();
    FloatVector s2 = Lanes.zero();
    FloatVector s3 = Lanes.zero();
    FloatVector t0 = Lanes.zero();
    FloatVector t1 = Lanes.zero();
    FloatVector t2 = Lanes.zero();
    FloatVector t3 = Lanes.zero();
    FloatVector u0 = Lanes.zero();
    FloatVector u1 = Lanes.zero();
    FloatVector u2 = Lanes.zero();
    FloatVector u3 = Lanes.zero();
    for (long p = 0; p < end; p += 4 * Lanes.COUNT) {
      FloatVector x0 = Lanes.load(Ram.ALL, a0 + p);
      FloatVector x1 = Lanes.load(Ram.ALL, a1 + p);
      FloatVector x2 = Lanes.load(Ram.ALL, a2 + p);
      FloatVector w0 = Lanes.load(Ram.ALL, b0 + p);
      s0 = x0.fma(w0, s0);
      t0 = x1.fma(w0, t0);
      u0 = x2.fma(w0, u0);
      FloatVector w1 = Lanes.load(Ram.ALL, b1 + p);
      s1 = x0.fma(w1, s1);
      t1 = x1.fma(w1, t1);
      u1 = x2.fma(w1, u1);
      FloatVector w2 = Lanes.load(Ram.ALL, b2 + p);
      s2 = x0.fma(w2, s2);
      t2 = x1.fma(w2, t2);
      u2 = x2.fma(w2, u2);
      FloatVector w3 = Lanes.load(Ram.ALL, b3 + p);
      s3 = x0.fma(w3, s3);
      t3 = x1.fma(w3, t3);
      u3 = x2.fma(w3, u3);
    }
    Lanes.store(s0, Ram.ALL, out);
    Lanes.store(s1, Ram.ALL, out + B);
    Lanes.store(s2, Ram.ALL, out + 2 * B);
    Lanes.store(s3, Ram.ALL, out + 3 * B);
    Lanes.store(t0, Ram.ALL, out + 4 * B);
    Lanes.store(t1, Ram.ALL, out + 5 * B);
    Lanes.store(t2, Ram.ALL, out + 6 * B);
    Lanes.store(t3, Ram.ALL, out + 7 * B);
    Lanes.store(u0, Ram.ALL, out + 8 * B);
    Lanes.store(u1, Ram.ALL, out + 9 * B);
    Lanes.store(u2, Ram.ALL, out + 10 * B);
    Lanes.store(u3, Ram.ALL, out + 11 * B);
  }

  private static void threeRowsBf16(
      long out, long a0, long a1, long a2, long b0, long b1, long b2, long b3, long end) {
    FloatVector s0 = Lanes.zero();
    FloatVector s1 = Lanes.zero();
    FloatVector s2 = Lanes.zero();
    FloatVector s3 = Lanes.zero();
    FloatVector t0 = Lanes.zero();
    FloatVector t1 = Lanes.zero();
    FloatVector t2 = Lanes.zero();
    FloatVector t3 = Lanes.zero();
    FloatVector u0 = Lanes.zero();
    FloatVector u1 = Lanes.zero();
    FloatVector u2 = Lanes.zero();
    FloatVector u3 = Lanes.zero();
    for (long p = 0; p < end; p += 4 * Lanes.COUNT) {
      long h = p >> 1;
      FloatVector x0 = Lanes.load(Ram.ALL, a0 + p);
      FloatVector x1 = Lanes.load(Ram.ALL, a1 + p);
      FloatVector x2 = Lanes.load(Ram.ALL, a2 + p);
      FloatVector w0 = Half.loadBf16(Ram.ALL, b0 + h);
      s0 = x0.fma(w0, s0);
      t0 = x1.fma(w0, t0);
      u0 = x2.fma(w0, u0);
      FloatVector w1 = Half.loadBf16(Ram.ALL, b1 + h);
      s1 = x0.fma(w1, s1);
      t1 = x1.fma(w1, t1);
      u1 = x2.fma(w1, u1);
      FloatVector w2 = Half.loadBf16(Ram.ALL, b2 + h);
      s2 = x0.fma(w2, s2);
      t2 = x1.fma(w2, t2);
      u2 = x2.fma(w2, u2);
      FloatVector w3 = Half.loadBf16(Ram.ALL, b3 + h);
      s3 = x0.fma(w3, s3);
      t3 = x1.fma(w3, t3);
      u3 = x2.fma(w3, u3);
    }
    Lanes.store(s0, Ram.ALL, out);
    Lanes.store(s1, Ram.ALL, out + B);
    Lanes.store(s2, Ram.ALL, out + 2 * B);
    Lanes.store(s3, Ram.ALL, out + 3 * B);
    Lanes.store(t0, Ram.ALL, out + 4 * B);
    Lanes.store(t1, Ram.ALL, out + 5 * B);
    Lanes.store(t2, Ram.ALL, out + 6 * B);
    Lanes.store(t3, Ram.ALL, out + 7 * B);
    Lanes.store(u0, Ram.ALL, out + 8 * B);
    Lanes.store(u1, Ram.ALL, out + 9 * B);
    Lanes.store(u2, Ram.ALL, out + 10 * B);
    Lanes.store(u3, Ram.ALL, out + 11 * B);
  }
}
