package dev.javelin.kernels.cpu;

import static jdk.incubator.vector.VectorOperators.ASHR;
import static jdk.incubator.vector.VectorOperators.LSHL;
import static jdk.incubator.vector.VectorOperators.MAX;

import dev.javelin.device.DType;
import dev.javelin.kernels.Quantization;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;

/**
 * Rows of activations as codes of 8 bits, made while a product runs: each 64 elements of a row
 * share a scale.
 *
 * <pre>
 * largest = max |x|,   scale = largest / 127,   code = x · (127 / largest), to the nearest, ties to even
 * </pre>
 *
 * <p>A block whose largest is below 2^−119 counts as zeros; one with an infinity or a NaN has scale
 * NaN and codes 0, and so have all sums that it is part of.
 *
 * <p>Packed for {@link Int8DotCode}, blocks of k follow each other; in one there are for each row
 * 64 codes and the 16 ints that its sums begin with, then the scales of all rows, in 64 bytes. Of
 * NF4 the codes of even elements come first, as its bytes are read so.
 */
final class Int8Activations {
  /** Elements that share a scale. */
  static final int BLOCK = 64;

  private static final int MOST = 127;
  private static final int OFFSET = 128;
  private static final int LANES = 16; // ints that a block of codes is added up to
  private static final int ROW_BYTES = BLOCK + 4 * LANES;
  private static final int SCALES_BYTES = 64;
  private static final float TINY = 0x1p-119f;
  private static final int MAGNITUDE = Integer.MAX_VALUE;
  private static final int INFINITY = 0x7F800000;

  /** 1.5 · 2^23: a sum with it has an integer as its lower bits, rounded to the nearest. */
  private static final float ROUNDER = 0x1.8p23f;

  private static final int ROUNDER_BITS = Float.floatToRawIntBits(ROUNDER);
  private static final ValueLayout.OfByte BYTE = ValueLayout.JAVA_BYTE;
  private static final ValueLayout.OfShort SHORT = ValueLayout.JAVA_SHORT_UNALIGNED;
  private static final ValueLayout.OfInt INT = ValueLayout.JAVA_INT_UNALIGNED;

  private Int8Activations() {}

  /** Blocks of a row of k elements; the last may be shorter. */
  static int blocks(int k) {
    return Math.ceilDiv(k, BLOCK);
  }

  /** Bytes of one block of k of so many rows. */
  static int blockBytes(int rows) {
    return rows * ROW_BYTES + SCALES_BYTES;
  }

  static int codesAt(int row) {
    return row * ROW_BYTES;
  }

  static int startAt(int row) {
    return row * ROW_BYTES + BLOCK;
  }

  static int scaleAt(int rows, int row) {
    return rows * ROW_BYTES + 4 * row;
  }

  /** Bytes of a thread's memory: k in fp32, in whole blocks, then codes as ints and as bytes. */
  static long ownBytes(int k) {
    return 4L * BLOCK * blocks(k) + 5 * BLOCK;
  }

  /** A row in fp32 with zeros up to a whole block: where it lies or in {@code own}. */
  static long read(long own, MatmulOperand a, int row, int k) {
    if (a.type() == DType.F32 && k % BLOCK == 0) {
      return a.at(row, 0);
    }
    Half.widen(Ram.ALL, own, Ram.ALL, a.at(row, 0), a.type(), k);
    for (int i = k; i < BLOCK * blocks(k); i++) {
      Ram.ALL.set(Ram.FLOAT, own + 4L * i, 0);
    }
    return own;
  }

  /**
   * Quantises the 64 floats at {@code x}.
   *
   * @param ints receives the codes as 64 ints
   * @return the scale
   */
  static float quantize(long ints, long x) {
    IntVector most = Lanes.ints(0);
    for (int i = 0; i < BLOCK; i += Lanes.COUNT) {
      most = most.max(Lanes.load(x + 4L * i).reinterpretAsInts().and(MAGNITUDE));
    }
    int bits = most.reduceLanes(MAX);
    float largest = Float.intBitsToFloat(bits);
    if (bits >= INFINITY || largest < TINY) {
      Ram.ALL.asSlice(ints, 4 * BLOCK).fill((byte) 0);
      return bits >= INFINITY ? Float.NaN : 0;
    }
    FloatVector factor = Lanes.broadcast(MOST / largest);
    FloatVector rounder = Lanes.broadcast(ROUNDER);
    for (int i = 0; i < BLOCK; i += Lanes.COUNT) {
      FloatVector q = Lanes.load(x + 4L * i).mul(factor).add(rounder);
      q.reinterpretAsInts()
          .sub(ROUNDER_BITS)
          .intoMemorySegment(Ram.ALL, ints + 4L * i, ByteOrder.LITTLE_ENDIAN);
    }
    return largest / MOST;
  }

  /** Codes as bytes, in the order in which those of B are read. */
  private static void narrow(long to, long ints, Quantization weights) {
    int half = weights == Quantization.NF4 ? BLOCK / 2 : 1; // from a code to the next one
    long step = weights == Quantization.NF4 ? 1 : 2;
    for (int i = 0; i < BLOCK / 2; i++) {
      long from = ints + 8L * i;
      Ram.ALL.set(BYTE, to + step * i, (byte) Ram.ALL.get(INT, from));
      Ram.ALL.set(BYTE, to + step * i + half, (byte) Ram.ALL.get(INT, from + 4));
    }
  }

  /**
   * Packs a row for {@link Int8DotCode}.
   *
   * @param to block of k 0 of the rows that lie together
   * @param rows how many these are, {@code row} the row's place among them
   */
  static void pack(
      long to, int rows, int row, Quantization weights, long own, MatmulOperand a, int of, int k) {
    long ints = own + 4L * BLOCK * blocks(k);
    long x = read(own, a, of, k);
    for (int block = 0; block < blocks(k); block++, to += blockBytes(rows)) {
      float scale = quantize(ints, x + 4L * BLOCK * block);
      narrow(to + codesAt(row), ints, weights);
      start(to + startAt(row), to + codesAt(row));
      Ram.ALL.set(Ram.FLOAT, to + scaleAt(rows, row), scale);
    }
  }

  /** −128 · the four codes of each lane. */
  private static void start(long to, long codes) {
    for (int i = 0; i < BLOCK; i += 4 * Lanes.COUNT) {
      IntVector four =
          IntVector.fromMemorySegment(Lanes.INTS, Ram.ALL, codes + i, ByteOrder.LITTLE_ENDIAN);
      four.lanewise(LSHL, 24)
          .lanewise(ASHR, 24)
          .add(four.lanewise(LSHL, 16).lanewise(ASHR, 24))
          .add(four.lanewise(LSHL, 8).lanewise(ASHR, 24))
          .add(four.lanewise(ASHR, 24))
          .mul(-OFFSET)
          .intoMemorySegment(Ram.ALL, to + i, ByteOrder.LITTLE_ENDIAN);
    }
  }

  /** Bytes of a row packed for the loops in Java. */
  static long planesBytes(int k) {
    return (2L * BLOCK + 4) * blocks(k);
  }

  /** Where the scales of a row packed so begin. */
  static long planeScales(int k) {
    return 2L * BLOCK * blocks(k);
  }

  /**
   * Packs a row for the loops in Java: for each block the codes of even places as 32 shorts, those
   * of odd places as 32 shorts; behind all blocks their scales.
   */
  static void planes(long to, Quantization weights, long own, MatmulOperand a, int of, int k) {
    long ints = own + 4L * BLOCK * blocks(k);
    long x = read(own, a, of, k);
    for (int block = 0; block < blocks(k); block++) {
      Ram.ALL.set(
          Ram.FLOAT, to + planeScales(k) + 4L * block, quantize(ints, x + 4L * BLOCK * block));
      long codes = to + 2L * BLOCK * block;
      long bytes = ints + 4 * BLOCK;
      narrow(bytes, ints, weights);
      for (int i = 0; i < BLOCK / 2; i++) {
        Ram.ALL.set(SHORT, codes + 2L * i, Ram.ALL.get(BYTE, bytes + 2L * i));
        Ram.ALL.set(SHORT, codes + BLOCK + 2L * i, Ram.ALL.get(BYTE, bytes + 2L * i + 1));
      }
    }
  }
}
