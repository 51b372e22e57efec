package dev.javelin.kernels.cpu;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * The arithmetic of {@link MatmulPairTile} in plain Java, as Intel's manual describes {@code
 * vdpbf16ps}: how the way of the machine code is gone, and tested, on machines that have no such
 * instruction. Slow.
 */
final class MatmulTileTwin extends MatmulPairTile {
  private static final MemorySegment RAM = Ram.ALL;
  private static final ValueLayout.OfFloat FLOAT = Ram.FLOAT;
  private static final ValueLayout.OfShort BF16 = ValueLayout.JAVA_SHORT_UNALIGNED;
  private static final int EXPONENT = 0x7F80;
  private static final int SIGN = 0x8000;

  MatmulTileTwin(int rows, int cols) {
    super(rows, cols, 2);
  }

  @Override
  void multiply(long c, long rowBytes, long aPanel, long bPanel, int kc) {
    for (int r = 0; r < rows; r++) {
      for (int j = 0; j < cols; j++) {
        RAM.set(FLOAT, c + r * rowBytes + 4L * j, 0f);
      }
    }
    for (int p = 0; p < pairs(kc); p++) {
      for (int r = 0; r < rows; r++) {
        long a = aPanel + 4L * ((long) p * rows + r);
        float even = bf16(a);
        float odd = bf16(a + 2);
        long b = bPanel + 4L * p * cols;
        long sums = c + r * rowBytes;
        for (int j = 0; j < cols; j++) {
          float sum = RAM.get(FLOAT, sums + 4L * j);
          sum = flushed(Math.fma(odd, bf16(b + 4L * j + 2), sum));
          sum = flushed(Math.fma(even, bf16(b + 4L * j), sum));
          RAM.set(FLOAT, sums + 4L * j, sum);
        }
      }
    }
  }

  private static float bf16(long at) {
    int bits = RAM.get(BF16, at);
    return Float.intBitsToFloat(((bits & EXPONENT) == 0 ? bits & SIGN : bits) << 16);
  }

  private static float flushed(float sum) {
    return Math.abs(sum) < Float.MIN_NORMAL ? Math.copySign(0f, sum) : sum;
  }
}
