package dev.javelin.kernels.cpu;

import static dev.javelin.kernels.cpu.Lanes.SPECIES;
import static java.nio.ByteOrder.LITTLE_ENDIAN;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Objects;
import jdk.incubator.vector.FloatVector;

/**
 * Products of small fp32 matrices that lie in cache, in any layout of the left one: {@code C[m, n]
 * (+)= Σ_k A[m, k] · B[k, n]}, rows of B and C dense and a whole number of vectors wide. Each
 * element is one chain of fused multiply-adds over ascending k, whatever tile computes it, so equal
 * operands give equal bits in every call.
 *
 * <p>Where there are vectors of 512 bits and machine code, {@link TileProductCode} computes them.
 *
 * <p>A tile keeps {@code m × n} vectors of C in registers, loads a row of B and broadcasts single
 * elements of A. Twelve accumulators hide the latency of the multiply-add. More would be a little
 * faster, but the first compiler (C1) fails on so large a body, and a method that it failed on
 * after a first, unprofiled version stays in that version for good. The loops step by strides that
 * are not constants, and loads and stores stand without a helper method between: the second
 * compiler stops inlining plain methods in a body of this size, and a store that is not inlined
 * boxes its vector. They address all of memory, within bounds checked once for a product.
 */
final class TileProduct {
  private static final long BYTES = Lanes.BYTES;
  private static final ValueLayout.OfFloat FLOAT =
      ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(LITTLE_ENDIAN);

  /** Whether there are 32 vector registers. */
  private static final boolean WIDE = Lanes.COUNT == 16;

  private TileProduct() {}

  /**
   * {@code C[m, n] (+)= Σ_k A[m, k] · B[k, n]}, all offsets and strides in bytes; element {@code
   * (m, k)} of A stands at {@code aAt + m·aRow + k·aStep}. With {@code depth} 0 and not {@code
   * add}, C becomes zero.
   *
   * @param rows of A and C
   * @param vectors width of B and C in whole vectors
   * @param depth columns of A, rows of B
   * @param add whether to add to C
   */
  static void multiply(
      MemorySegment c,
      long cAt,
      long cRow,
      MemorySegment a,
      long aAt,
      long aRow,
      long aStep,
      MemorySegment b,
      long bAt,
      long bRow,
      int rows,
      int vectors,
      int depth,
      boolean add) {
    long toAt = address(c, cAt, (rows - 1) * cRow + vectors * BYTES);
    long fromAt = address(a, aAt, (rows - 1) * aRow + (depth - 1) * aStep + Float.BYTES);
    long rowsAt = address(b, bAt, (depth - 1) * bRow + vectors * BYTES);
    if (TileProductCode.multiply(
        toAt, cRow, fromAt, aRow, aStep, rowsAt, bRow, rows, vectors, depth, add)) {
      return;
    }
    int v = 0;
    for (; WIDE && v + 4 <= vectors; v += 4) {
      long n = v * BYTES;
      for (int m = 0, h; m < rows; m += h) {
        h = fours(rows - m);
        long to = toAt + m * cRow + n;
        long from = fromAt + m * aRow;
        switch (h) {
          case 3 -> tile3x4(to, cRow, from, aRow, aStep, rowsAt + n, bRow, depth, add);
          case 2 -> tile2x4(to, cRow, from, aRow, aStep, rowsAt + n, bRow, depth, add);
          default -> tile1x4(to, from, aStep, rowsAt + n, bRow, depth, add);
        }
      }
    }
    for (; v + 2 <= vectors; v += 2) {
      long n = v * BYTES;
      for (int m = 0, h; m < rows; m += h) {
        h = twos(rows - m);
        long to = toAt + m * cRow + n;
        long from = fromAt + m * aRow;
        switch (h) {
          case 6 -> tile6x2(to, cRow, from, aRow, aStep, rowsAt + n, bRow, depth, add);
          case 4 -> tile4x2(to, cRow, from, aRow, aStep, rowsAt + n, bRow, depth, add);
          default -> {
            tile1x1(to, from, aStep, rowsAt + n, bRow, depth, add);
            tile1x1(to + BYTES, from, aStep, rowsAt + n + BYTES, bRow, depth, add);
          }
        }
      }
    }
    if (v < vectors) {
      long n = v * BYTES;
      int m = 0;
      for (; m + 4 <= rows; m += 4) {
        tile4x1(
            toAt + m * cRow + n,
            cRow,
            fromAt + m * aRow,
            aRow,
            aStep,
            rowsAt + n,
            bRow,
            depth,
            add);
      }
      for (; m < rows; m++) {
        tile1x1(toAt + m * cRow + n, fromAt + m * aRow, aStep, rowsAt + n, bRow, depth, add);
      }
    }
  }

  /** The address of an operand that takes {@code bytes} bytes from byte {@code at} on. */
  private static long address(MemorySegment m, long at, long bytes) {
    Objects.checkFromIndexSize(at, Math.max(0, bytes), m.byteSize());
    return m.address() + at;
  }

  /** The rows of the next tile of four vectors; 4 rows make two tiles of 2, not 3 and 1. */
  private static int fours(int rows) {
    return rows >= 3 && rows != 4 ? 3 : Math.min(rows, 2);
  }

  /** The rows of the next tile of two vectors; 8 rows make two tiles of 4. */
  private static int twos(int rows) {
    return rows >= 6 && rows != 8 ? 6 : rows >= 4 ? 4 : 1;
  }

  /** Three rows by four vectors. */
  private static void tile3x4(
      long cAt,
      long cRow,
      long aAt,
      long aRow,
      long aStep,
      long bAt,
      long bRow,
      int depth,
      boolean add) {
    FloatVector c00 = FloatVector.zero(SPECIES);
    FloatVector c01 = FloatVector.zero(SPECIES);
    FloatVector c02 = FloatVector.zero(SPECIES);
    FloatVector c03 = FloatVector.zero(SPECIES);
    FloatVector c10 = FloatVector.zero(SPECIES);
    FloatVector c11 = FloatVector.zero(SPECIES);
    FloatVector c12 = FloatVector.zero(SPECIES);
    FloatVector c13 = FloatVector.zero(SPECIES);
    FloatVector c20 = FloatVector.zero(SPECIES);
    FloatVector c21 = FloatVector.zero(SPECIES);
    FloatVector c22 = FloatVector.zero(SPECIES);
    FloatVector c23 = FloatVector.zero(SPECIES);
    if (add) {
      c00 = FloatVector.fromMemorySegment(SPECIES, Ram.ALL, cAt, LITTLE_ENDIAN);
      c01 = FloatVector.fromMemorySegment(SPECIES, Ram.ALL, cAt + BYTES, LITTLE_ENDIAN);
      c02 = FloatVector.fromMemorySegment(SPECIES, Ram.ALL, cAt + 2 * BYTES, LITTLE_ENDIAN);
      c03 = FloatVector.fromMemorySegment(SPECIES, Ram.ALL, cAt + 3 * BYTES, LITTLE_ENDIAN);
      c10 = FloatVector.fromMemorySegment(SPECIES, Ram.ALL, cAt + cRow, LITTLE_ENDIAN);
      c11 = FloatVector.fromMemorySegment(SPECIES, Ram.ALL, cAt + cRow + BYTES, LITTLE_ENDIAN);
      c12 = FloatVector.fromMemorySegment(SPECIES, Ram.ALL, cAt + cRow + 2 * BYTES, LITTLE_ENDIAN);
      c13 = FloatVector.fromMemorySegment(SPECIES, Ram.ALL, cAt + cRow + 3 * BYTES, LITTLE_ENDIAN);
      c20 = FloatVector.fromMemorySegment(SPECIES, Ram.ALL, cAt + 2 * cRow, LITTLE_ENDIAN);
      c21 = FloatVector.fromMemorySegment(SPECIES, Ram.ALL, cAt + 2 * cRow + BYTES, LITTLE_ENDIAN);
      c22 =
          FloatVector.fromMemorySegment(
              SPECIES, Ram.ALL, cAt + 2 * cRow + 2 * BYTES, LITTLE_ENDIAN);
      c23 =
          FloatVector.fromMemorySegment(
              SPECIES, Ram.ALL, cAt + 2 * cRow + 3 * BYTES, LITTLE_ENDIAN);
    }
    long end = bAt + depth * bRow;
    for (long p = aAt, r = bAt; r < end; p += aStep, r += bRow) {
      FloatVector b0 = FloatVector.fromMemorySegment(SPECIES, Ram.ALL, r, LITTLE_ENDIAN);
      FloatVector b1 = FloatVector.fromMemorySegment(SPECIES, Ram.ALL, r + BYTES, LITTLE_ENDIAN);
      FloatVector b2 =
          FloatVector.fromMemorySegment(SPECIES, Ram.ALL, r + 2 * BYTES, LITTLE_ENDIAN);
      FloatVector b3 =
          FloatVector.fromMemorySegment(SPECIES, Ram.ALL, r + 3 * BYTES, LITTLE_ENDIAN);
      FloatVector a0 = FloatVector.broadcast(SPECIES, Ram.ALL.get(FLOAT, p));
      c00 = a0.fma(b0, c00);
      c01 = a0.fma(b1, c01);
      c02 = a0.fma(b2, c02);
      c03 = a0.fma(b3, c03);
      FloatVector a1 = FloatVector.broadcast(SPECIES, Ram.ALL.get(FLOAT, p + aRow));
      c10 = a1.fma(b0, c10);
      c11 = a1.fma(b1, c11);
      c12 = a1.fma(b2, c12);
      c13 = a1.fma(b3, c13);
      FloatVector a2 = FloatVector.broadcast(SPECIES, Ram.ALL.get(FLOAT, p + 2 * aRow));
      c20 = a2.fma(b0, c20);
      c21 = a2.fma(b1, c21);
      c22 = a2.fma(b2, c22);
      c23 = a2.fma(b3, c23);
    }
    c00.intoMemorySegment(Ram.ALL, cAt, LITTLE_ENDIAN);
    c01.intoMemorySegment(Ram.ALL, cAt + BYTES, LITTLE_ENDIAN);
    c02.intoMemorySegment(Ram.ALL, cAt + 2 * BYTES, LITTLE_ENDIAN);
    c03.intoMemorySegment(Ram.ALL, cAt + 3 * BYTES, LITTLE_ENDIAN);
    c10.intoMemorySegment(Ram.ALL, cAt + cRow, LITTLE_ENDIAN);
    c11.intoMemorySegment(Ram.ALL, cAt + cRow + BYTES, LITTLE_ENDIAN);
    c12.intoMemorySegment(Ram.ALL, cAt + cRow + 2 * BYTES, LITTLE_ENDIAN);
    c13.intoMemorySegment(Ram.ALL, cAt + cRow + 3 * BYTES, LITTLE_ENDIAN);
    c20.intoMemorySegment(Ram.ALL, cAt + 2 * cRow, LITTLE_ENDIAN);
    c21.intoMemorySegment(Ram.ALL, cAt + 2 * cRow + BYTES, LITTLE_ENDIAN);
    c22.intoMemorySegment(Ram.ALL, cAt + 2 * cRow + 2 * BYTES, LITTLE_ENDIAN);
    c23.intoMemorySegment(Ram.ALL, cAt + 2 * cRow + 3 * BYTES, LITTLE_ENDIAN);
  }

  /** Two rows by four vectors. */
  private static void tile2x4(
      long cAt,
      long cRow,
      long aAt,
      long aRow,
      long aStep,
      long bAt,
      long bRow,
      int depth,
      boolean add) {
    FloatVector c00 = FloatVector.zero(SPECIES);
    FloatVector c01 = FloatVector.zero(SPECIES);
    FloatVector c02 = FloatVector.zero(SPECIES);
    FloatVector c03 = FloatVector.zero(SPECIES);
    FloatVector c10 = FloatVector.zero(SPECIES);
    FloatVector c11 = FloatVector.zero(SPECIES);
    FloatVector c12 = FloatVector.zero(SPECIES);
    FloatVector c13 = FloatVector.zero(SPECIES);
    if (add) {
      c00 = FloatVector.fromMemorySegment(SPECIES, Ram.ALL, cAt, LITTLE_ENDIAN);
      c01 = FloatVector.fromMemorySegment(SPECIES, Ram.ALL, cAt + BYTES, LITTLE_ENDIAN);
      c02 = FloatVector.fromMemorySegment(SPECIES, Ram.ALL, cAt + 2 * BYTES, LITTLE_ENDIAN);
      c03 = FloatVector.fromMemorySegment(SPECIES, Ram.ALL, cAt + 3 * BYTES, LITTLE_ENDIAN);
      c10 = FloatVector.fromMemorySegment(SPECIES, Ram.ALL, cAt + cRow, LITTLE_ENDIAN);
      c11 = FloatVector.fromMemorySegment(SPECIES, Ram.ALL, cAt + cRow + BYTES, LITTLE_ENDIAN);
      c12 = FloatVector.fromMemorySegment(SPECIES, Ram.ALL, cAt + cRow + 2 * BYTES, LITTLE_ENDIAN);
      c13 = FloatVector.fromMemorySegment(SPECIES, Ram.ALL, cAt + cRow + 3 * BYTES, LITTLE_ENDIAN);
    }
    long end = bAt + depth * bRow;
    for (long p = aAt, r = bAt; r < end; p += aStep, r += bRow) {
      FloatVector b0 = FloatVector.fromMemorySegment(SPECIES, Ram.ALL, r, LITTLE_ENDIAN);
      FloatVector b1 = FloatVector.fromMemorySegment(SPECIES, Ram.ALL, r + BYTES, LITTLE_ENDIAN);
      FloatVector b2 =
          FloatVector.fromMemorySegment(SPECIES, Ram.ALL, r + 2 * BYTES, LITTLE_ENDIAN);
      FloatVector b3 =
          FloatVector.fromMemorySegment(SPECIES, Ram.ALL, r + 3 * BYTES, LITTLE_ENDIAN);
      FloatVector a0 = FloatVector.broadcast(SPECIES, Ram.ALL.get(FLOAT, p));
      c00 = a0.fma(b0, c00);
      c01 = a0.fma(b1, c01);
      c02 = a0.fma(b2, c02);
      c03 = a0.fma(b3, c03);
      FloatVector a1 = FloatVector.broadcast(SPECIES, Ram.ALL.get(FLOAT, p + aRow));
      c10 = a1.fma(b0, c10);
      c11 = a1.fma(b1, c11);
      c12 = a1.fma(b2, c12);
      c13 = a1.fma(b3, c13);
    }
    c00.intoMemorySegment(Ram.ALL, cAt, LITTLE_ENDIAN);
    c01.intoMemorySegment(Ram.ALL, cAt + BYTES, LITTLE_ENDIAN);
    c02.intoMemorySegment(Ram.ALL, cAt + 2 * BYTES, LITTLE_ENDIAN);
    c03.intoMemorySegment(Ram.ALL, cAt + 3 * BYTES, LITTLE_ENDIAN);
    c10.intoMemorySegment(Ram.ALL, cAt + cRow, LITTLE_ENDIAN);
    c11.intoMemorySegment(Ram.ALL, cAt + cRow + BYTES, LITTLE_ENDIAN);
    c12.intoMemorySegment(Ram.ALL, cAt + cRow + 2 * BYTES, LITTLE_ENDIAN);
    c13.intoMemorySegment(Ram.ALL, cAt + cRow + 3 * BYTES, LITTLE_ENDIAN);
  }

  /** One row by four vectors. */
  private static void tile1x4(
      long cAt, long aAt, long aStep, long bAt, long bRow, int depth, boolean add) {
    FloatVector c00 = FloatVector.zero(SPECIES);
    FloatVector c01 = FloatVector.zero(SPECIES);
    FloatVector c02 = FloatVector.zero(SPECIES);
    FloatVector c03 = FloatVector.zero(SPECIES);
    if (add) {
      c00 = FloatVector.fromMemorySegment(SPECIES, Ram.ALL, cAt, LITTLE_ENDIAN);
      c01 = FloatVector.fromMemorySegment(SPECIES, Ram.ALL, cAt + BYTES, LITTLE_ENDIAN);
      c02 = FloatVector.fromMemorySegment(SPECIES, Ram.ALL, cAt + 2 * BYTES, LITTLE_ENDIAN);
      c03 = FloatVector.fromMemorySegment(SPECIES, Ram.ALL, cAt + 3 * BYTES, LITTLE_ENDIAN);
    }
    long end = bAt + depth * bRow;
    for (long p = aAt, r = bAt; r < end; p += aStep, r += bRow) {
      FloatVector b0 = FloatVector.fromMemorySegment(SPECIES, Ram.ALL, r, LITTLE_ENDIAN);
      FloatVector b1 = FloatVector.fromMemorySegment(SPECIES, Ram.ALL, r + BYTES, LITTLE_ENDIAN);
      FloatVector b2 =
          FloatVector.fromMemorySegment(SPECIES, Ram.ALL, r + 2 * BYTES, LITTLE_ENDIAN);
      FloatVector b3 =
          FloatVector.fromMemorySegment(SPECIES, Ram.ALL, r + 3 * BYTES, LITTLE_ENDIAN);
      FloatVector a0 = FloatVector.broadcast(SPECIES, Ram.ALL.get(FLOAT, p));
      c00 = a0.fma(b0, c00);
      c01 = a0.fma(b1, c01);
      c02 = a0.fma(b2, c02);
      c03 = a0.fma(b3, c03);
    }
    c00.intoMemorySegment(Ram.ALL, cAt, LITTLE_ENDIAN);
    c01.intoMemorySegment(Ram.ALL, cAt + BYTES, LITTLE_ENDIAN);
    c02.intoMemorySegment(Ram.ALL, cAt + 2 * BYTES, LITTLE_ENDIAN);
    c03.intoMemorySegment(Ram.ALL, cAt + 3 * BYTES, LITTLE_ENDIAN);
  }

  /** Six rows by two vectors. */
  private static void tile6x2(
      long cAt,
      long cRow,
      long aAt,
      long aRow,
      long aStep,
      long bAt,
      long bRow,
      int depth,
      boolean add) {
    FloatVector c00 = FloatVector.zero(SPECIES);
    FloatVector c01 = FloatVector.zero(SPECIES);
    FloatVector c10 = FloatVector.zero(SPECIES);
    FloatVector c11 = FloatVector.zero(SPECIES);
    FloatVector c20 = FloatVector.zero(SPECIES);
    FloatVector c21 = FloatVector.zero(SPECIES);
    FloatVector c30 = FloatVector.zero(SPECIES);
    FloatVector c31 = FloatVector.zero(SPECIES);
    FloatVector c40 = FloatVector.zero(SPECIES);
    FloatVector c41 = FloatVector.zero(SPECIES);
    FloatVector c50 = FloatVector.zero(SPECIES);
    FloatVector c51 = FloatVector.zero(SPECIES);
    if (add) {
      c00 = FloatVector.fromMemorySegment(SPECIES, Ram.ALL, cAt, LITTLE_ENDIAN);
      c01 = FloatVector.fromMemorySegment(SPECIES, Ram.ALL, cAt + BYTES, LITTLE_ENDIAN);
      c10 = FloatVector.fromMemorySegment(SPECIES, Ram.ALL, cAt + cRow, LITTLE_ENDIAN);
      c11 = FloatVector.fromMemorySegment(SPECIES, Ram.ALL, cAt + cRow + BYTES, LITTLE_ENDIAN);
      c20 = FloatVector.fromMemorySegment(SPECIES, Ram.ALL, cAt + 2 * cRow, LITTLE_ENDIAN);
      c21 = FloatVector.fromMemorySegment(SPECIES, Ram.ALL, cAt + 2 * cRow + BYTES, LITTLE_ENDIAN);
      c30 = FloatVector.fromMemorySegment(SPECIES, Ram.ALL, cAt + 3 * cRow, LITTLE_ENDIAN);
      c31 = FloatVector.fromMemorySegment(SPECIES, Ram.ALL, cAt + 3 * cRow + BYTES, LITTLE_ENDIAN);
      c40 = FloatVector.fromMemorySegment(SPECIES, Ram.ALL, cAt + 4 * cRow, LITTLE_ENDIAN);
      c41 = FloatVector.fromMemorySegment(SPECIES, Ram.ALL, cAt + 4 * cRow + BYTES, LITTLE_ENDIAN);
      c50 = FloatVector.fromMemorySegment(SPECIES, Ram.ALL, cAt + 5 * cRow, LITTLE_ENDIAN);
      c51 = FloatVector.fromMemorySegment(SPECIES, Ram.ALL, cAt + 5 * cRow + BYTES, LITTLE_ENDIAN);
    }
    long end = bAt + depth * bRow;
    for (long p = aAt, r = bAt; r < end; p += aStep, r += bRow) {
      FloatVector b0 = FloatVector.fromMemorySegment(SPECIES, Ram.ALL, r, LITTLE_ENDIAN);
      FloatVector b1 = FloatVector.fromMemorySegment(SPECIES, Ram.ALL, r + BYTES, LITTLE_ENDIAN);
      FloatVector a0 = FloatVector.broadcast(SPECIES, Ram.ALL.get(FLOAT, p));
      c00 = a0.fma(b0, c00);
      c01 = a0.fma(b1, c01);
      FloatVector a1 = FloatVector.broadcast(SPECIES, Ram.ALL.get(FLOAT, p + aRow));
      c10 = a1.fma(b0, c10);
      c11 = a1.fma(b1, c11);
      FloatVector a2 = FloatVector.broadcast(SPECIES, Ram.ALL.get(FLOAT, p + 2 * aRow));
      c20 = a2.fma(b0, c20);
      c21 = a2.fma(b1, c21);
      FloatVector a3 = FloatVector.broadcast(SPECIES, Ram.ALL.get(FLOAT, p + 3 * aRow));
      c30 = a3.fma(b0, c30);
      c31 = a3.fma(b1, c31);
      FloatVector a4 = FloatVector.broadcast(SPECIES, Ram.ALL.get(FLOAT, p + 4 * aRow));
      c40 = a4.fma(b0, c40);
      c41 = a4.fma(b1, c41);
      FloatVector a5 = FloatVector.broadcast(SPECIES, Ram.ALL.get(FLOAT, p + 5 * aRow));
      c50 = a5.fma(b0, c50);
      c51 = a5.fma(b1, c51);
    }
    c00.intoMemorySegment(Ram.ALL, cAt, LITTLE_ENDIAN);
    c01.intoMemorySegment(Ram.ALL, cAt + BYTES, LITTLE_ENDIAN);
    c10.intoMemorySegment(Ram.ALL, cAt + cRow, LITTLE_ENDIAN);
    c11.intoMemorySegment(Ram.ALL, cAt + cRow + BYTES, LITTLE_ENDIAN);
    c20.intoMemorySegment(Ram.ALL, cAt + 2 * cRow, LITTLE_ENDIAN);
    c21.intoMemorySegment(Ram.ALL, cAt + 2 * cRow + BYTES, LITTLE_ENDIAN);
    c30.intoMemorySegment(Ram.ALL, cAt + 3 * cRow, LITTLE_ENDIAN);
    c31.intoMemorySegment(Ram.ALL, cAt + 3 * cRow + BYTES, LITTLE_ENDIAN);
    c40.intoMemorySegment(Ram.ALL, cAt + 4 * cRow, LITTLE_ENDIAN);
    c41.intoMemorySegment(Ram.ALL, cAt + 4 * cRow + BYTES, LITTLE_ENDIAN);
    c50.intoMemorySegment(Ram.ALL, cAt + 5 * cRow, LITTLE_ENDIAN);
    c51.intoMemorySegment(Ram.ALL, cAt + 5 * cRow + BYTES, LITTLE_ENDIAN);
  }

  /** Four rows by two vectors. */
  private static void tile4x2(
      long cAt,
      long cRow,
      long aAt,
      long aRow,
      long aStep,
      long bAt,
      long bRow,
      int depth,
      boolean add) {
    FloatVector c00 = FloatVector.zero(SPECIES);
    FloatVector c01 = FloatVector.zero(SPECIES);
    FloatVector c10 = FloatVector.zero(SPECIES);
    FloatVector c11 = FloatVector.zero(SPECIES);
    FloatVector c20 = FloatVector.zero(SPECIES);
    FloatVector c21 = FloatVector.zero(SPECIES);
    FloatVector c30 = FloatVector.zero(SPECIES);
    FloatVector c31 = FloatVector.zero(SPECIES);
    if (add) {
      c00 = FloatVector.fromMemorySegment(SPECIES, Ram.ALL, cAt, LITTLE_ENDIAN);
      c01 = FloatVector.fromMemorySegment(SPECIES, Ram.ALL, cAt + BYTES, LITTLE_ENDIAN);
      c10 = FloatVector.fromMemorySegment(SPECIES, Ram.ALL, cAt + cRow, LITTLE_ENDIAN);
      c11 = FloatVector.fromMemorySegment(SPECIES, Ram.ALL, cAt + cRow + BYTES, LITTLE_ENDIAN);
      c20 = FloatVector.fromMemorySegment(SPECIES, Ram.ALL, cAt + 2 * cRow, LITTLE_ENDIAN);
      c21 = FloatVector.fromMemorySegment(SPECIES, Ram.ALL, cAt + 2 * cRow + BYTES, LITTLE_ENDIAN);
      c30 = FloatVector.fromMemorySegment(SPECIES, Ram.ALL, cAt + 3 * cRow, LITTLE_ENDIAN);
      c31 = FloatVector.fromMemorySegment(SPECIES, Ram.ALL, cAt + 3 * cRow + BYTES, LITTLE_ENDIAN);
    }
    long end = bAt + depth * bRow;
    for (long p = aAt, r = bAt; r < end; p += aStep, r += bRow) {
      FloatVector b0 = FloatVector.fromMemorySegment(SPECIES, Ram.ALL, r, LITTLE_ENDIAN);
      FloatVector b1 = FloatVector.fromMemorySegment(SPECIES, Ram.ALL, r + BYTES, LITTLE_ENDIAN);
      FloatVector a0 = FloatVector.broadcast(SPECIES, Ram.ALL.get(FLOAT, p));
      c00 = a0.fma(b0, c00);
      c01 = a0.fma(b1, c01);
      FloatVector a1 = FloatVector.broadcast(SPECIES, Ram.ALL.get(FLOAT, p + aRow));
      c10 = a1.fma(b0, c10);
      c11 = a1.fma(b1, c11);
      FloatVector a2 = FloatVector.broadcast(SPECIES, Ram.ALL.get(FLOAT, p + 2 * aRow));
      c20 = a2.fma(b0, c20);
      c21 = a2.fma(b1, c21);
      FloatVector a3 = FloatVector.broadcast(SPECIES, Ram.ALL.get(FLOAT, p + 3 * aRow));
      c30 = a3.fma(b0, c30);
      c31 = a3.fma(b1, c31);
    }
    c00.intoMemorySegment(Ram.ALL, cAt, LITTLE_ENDIAN);
    c01.intoMemorySegment(Ram.ALL, cAt + BYTES, LITTLE_ENDIAN);
    c10.intoMemorySegment(Ram.ALL, cAt + cRow, LITTLE_ENDIAN);
    c11.intoMemorySegment(Ram.ALL, cAt + cRow + BYTES, LITTLE_ENDIAN);
    c20.intoMemorySegment(Ram.ALL, cAt + 2 * cRow, LITTLE_ENDIAN);
    c21.intoMemorySegment(Ram.ALL, cAt + 2 * cRow + BYTES, LITTLE_ENDIAN);
    c30.intoMemorySegment(Ram.ALL, cAt + 3 * cRow, LITTLE_ENDIAN);
    c31.intoMemorySegment(Ram.ALL, cAt + 3 * cRow + BYTES, LITTLE_ENDIAN);
  }

  /** Four rows by one vector. */
  private static void tile4x1(
      long cAt,
      long cRow,
      long aAt,
      long aRow,
      long aStep,
      long bAt,
      long bRow,
      int depth,
      boolean add) {
    FloatVector c00 = FloatVector.zero(SPECIES);
    FloatVector c10 = FloatVector.zero(SPECIES);
    FloatVector c20 = FloatVector.zero(SPECIES);
    FloatVector c30 = FloatVector.zero(SPECIES);
    if (add) {
      c00 = FloatVector.fromMemorySegment(SPECIES, Ram.ALL, cAt, LITTLE_ENDIAN);
      c10 = FloatVector.fromMemorySegment(SPECIES, Ram.ALL, cAt + cRow, LITTLE_ENDIAN);
      c20 = FloatVector.fromMemorySegment(SPECIES, Ram.ALL, cAt + 2 * cRow, LITTLE_ENDIAN);
      c30 = FloatVector.fromMemorySegment(SPECIES, Ram.ALL, cAt + 3 * cRow, LITTLE_ENDIAN);
    }
    long end = bAt + depth * bRow;
    for (long p = aAt, r = bAt; r < end; p += aStep, r += bRow) {
      FloatVector b0 = FloatVector.fromMemorySegment(SPECIES, Ram.ALL, r, LITTLE_ENDIAN);
      FloatVector a0 = FloatVector.broadcast(SPECIES, Ram.ALL.get(FLOAT, p));
      c00 = a0.fma(b0, c00);
      FloatVector a1 = FloatVector.broadcast(SPECIES, Ram.ALL.get(FLOAT, p + aRow));
      c10 = a1.fma(b0, c10);
      FloatVector a2 = FloatVector.broadcast(SPECIES, Ram.ALL.get(FLOAT, p + 2 * aRow));
      c20 = a2.fma(b0, c20);
      FloatVector a3 = FloatVector.broadcast(SPECIES, Ram.ALL.get(FLOAT, p + 3 * aRow));
      c30 = a3.fma(b0, c30);
    }
    c00.intoMemorySegment(Ram.ALL, cAt, LITTLE_ENDIAN);
    c10.intoMemorySegment(Ram.ALL, cAt + cRow, LITTLE_ENDIAN);
    c20.intoMemorySegment(Ram.ALL, cAt + 2 * cRow, LITTLE_ENDIAN);
    c30.intoMemorySegment(Ram.ALL, cAt + 3 * cRow, LITTLE_ENDIAN);
  }

  /** One row by one vector. */
  private static void tile1x1(
      long cAt, long aAt, long aStep, long bAt, long bRow, int depth, boolean add) {
    FloatVector c00 = FloatVector.zero(SPECIES);
    if (add) {
      c00 = FloatVector.fromMemorySegment(SPECIES, Ram.ALL, cAt, LITTLE_ENDIAN);
    }
    long end = bAt + depth * bRow;
    for (long p = aAt, r = bAt; r < end; p += aStep, r += bRow) {
      FloatVector b0 = FloatVector.fromMemorySegment(SPECIES, Ram.ALL, r, LITTLE_ENDIAN);
      FloatVector a0 = FloatVector.broadcast(SPECIES, Ram.ALL.get(FLOAT, p));
      c00 = a0.fma(b0, c00);
    }
    c00.intoMemorySegment(Ram.ALL, cAt, LITTLE_ENDIAN);
  }
}
