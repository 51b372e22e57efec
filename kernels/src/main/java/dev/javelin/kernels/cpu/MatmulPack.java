package dev.javelin.kernels.cpu;

import static java.nio.ByteOrder.LITTLE_ENDIAN;

import dev.javelin.device.DType;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorShuffle;
import jdk.incubator.vector.VectorSpecies;

/**
 * Brings lines of an operand into fp32 panels {@code [kc, width]}, the order in which a {@link
 * MatmulTile} reads them. Lines that are missing at the edge of the matrix become zeros.
 *
 * <pre>
 * stored along k           panel, width 4
 * a0 a1 a2 a3 …            a0 b0 c0 d0
 * b0 b1 b2 b3 …            a1 b1 c1 d1
 * c0 c1 c2 c3 …     →      a2 b2 c2 d2
 * d0 d1 d2 d3 …            …
 * </pre>
 */
final class MatmulPack {
  private static final MemorySegment RAM = Ram.ALL;
  private static final ValueLayout.OfFloat FLOAT = Ram.FLOAT;

  private static final VectorSpecies<Float> QUAD = FloatVector.SPECIES_128;
  private static final long QUAD_BYTES = 16;
  private static final VectorShuffle<Float> S0011 = VectorShuffle.fromValues(QUAD, 0, 0, 1, 1);
  private static final VectorShuffle<Float> S2233 = VectorShuffle.fromValues(QUAD, 2, 2, 3, 3);
  private static final VectorShuffle<Float> S0101 = VectorShuffle.fromValues(QUAD, 0, 1, 0, 1);
  private static final VectorShuffle<Float> S2323 = VectorShuffle.fromValues(QUAD, 2, 3, 2, 3);
  private static final VectorMask<Float> ODD =
      VectorMask.fromValues(QUAD, false, true, false, true);
  private static final VectorMask<Float> UPPER =
      VectorMask.fromValues(QUAD, false, false, true, true);

  private MatmulPack() {}

  /** Bytes of memory that {@link #panel} wants at {@code spare}. */
  static long spareBytes(MatmulOperand x, int width, int kc) {
    return x.type() != DType.F32 && x.alongK() ? 4L * width * kc : 0;
  }

  /**
   * Packs lines {@code [line, line + count)} over {@code [k, k + kc)}.
   *
   * @param panel address of {@code 4·width·kc} bytes
   * @param count lines that exist, at most {@code width}
   */
  static void panel(
      long panel, int width, MatmulOperand x, int line, int count, int k, int kc, long spare) {
    long from = x.at(line, k);
    if (x.alongK()) {
      long rowBytes = x.strideBytes();
      if (x.type() != DType.F32) {
        for (int i = 0; i < count; i++) {
          x.widen(spare + 4L * i * kc, line + i, k, kc);
        }
        from = spare;
        rowBytes = 4L * kc;
      }
      turn(panel, width, from, rowBytes, count, kc);
    } else if (x.type() == DType.F32 && count == width) {
      copyRows(panel, width, from, x.strideBytes(), kc);
    } else {
      for (int r = 0; r < kc; r++) {
        long row = panel + 4L * r * width;
        x.widen(row, line, k + r, count);
        for (int i = count; i < width; i++) { // a slice to fill may be an object, one for each row
          RAM.set(FLOAT, row + 4L * i, 0f);
        }
      }
    }
  }

  private static void copyRows(long panel, int width, long from, long rowBytes, int kc) {
    if (width == 2 * Lanes.COUNT) {
      copyVectorPairs(panel, from, rowBytes, kc);
      return;
    }
    int quads = width / QUAD.length();
    for (int q = 0; q < quads; q++) {
      copyQuads(panel + q * QUAD_BYTES, 4L * width, from + q * QUAD_BYTES, rowBytes, kc);
    }
    for (int i = quads * QUAD.length(); i < width; i++) {
      copyColumn(panel + 4L * i, 4L * width, from + 4L * i, rowBytes, kc);
    }
  }

  private static void copyVectorPairs(long panel, long from, long rowBytes, int kc) {
    MemorySegment dst = RAM.asSlice(panel, 2L * Lanes.BYTES * kc);
    MemorySegment src = RAM.asSlice(from, rowBytes * (kc - 1) + 2L * Lanes.BYTES);
    for (int k = 0; k < kc; k++) {
      long to = 2L * Lanes.BYTES * k;
      long at = rowBytes * k;
      Lanes.store(Lanes.load(src, at), dst, to);
      Lanes.store(Lanes.load(src, at + Lanes.BYTES), dst, to + Lanes.BYTES);
    }
  }

  private static void copyQuads(long to, long toBytes, long from, long fromBytes, int kc) {
    for (int k = 0; k < kc; k++) {
      load(from + fromBytes * k).intoMemorySegment(RAM, to + toBytes * k, LITTLE_ENDIAN);
    }
  }

  private static void copyColumn(long to, long toBytes, long from, long fromBytes, int kc) {
    for (int k = 0; k < kc; k++) {
      RAM.set(FLOAT, to + toBytes * k, RAM.get(FLOAT, from + fromBytes * k));
    }
  }

  /**
   * Turns lines stored along k: four at a time, what is left one by one. What it moves need not be
   * floats: 32 bits stay as they are.
   */
  static void turn(long panel, int width, long from, long rowBytes, int count, int kc) {
    if (MatmulTurnCode.turn(panel, width, from, rowBytes, count, kc)) {
      return;
    }
    int i = 0;
    for (; i + QUAD.length() <= count; i += QUAD.length()) {
      turnFour(panel + 4L * i, 4L * width, from + i * rowBytes, rowBytes, kc);
    }
    for (; i < count; i++) {
      copyColumn(panel + 4L * i, 4L * width, from + i * rowBytes, Float.BYTES, kc);
    }
    for (; i < width; i++) {
      for (int k = 0; k < kc; k++) {
        RAM.set(FLOAT, panel + 4L * i + 4L * width * k, 0f);
      }
    }
  }

  private static void turnFour(long to, long toBytes, long from, long rowBytes, int kc) {
    int whole = QUAD.loopBound(kc);
    MemorySegment row0 = RAM.asSlice(from, 4L * kc);
    MemorySegment row1 = RAM.asSlice(from + rowBytes, 4L * kc);
    MemorySegment row2 = RAM.asSlice(from + 2 * rowBytes, 4L * kc);
    MemorySegment row3 = RAM.asSlice(from + 3 * rowBytes, 4L * kc);
    for (int k = 0; k < whole; k += QUAD.length()) {
      FloatVector a = FloatVector.fromMemorySegment(QUAD, row0, 4L * k, LITTLE_ENDIAN);
      FloatVector b = FloatVector.fromMemorySegment(QUAD, row1, 4L * k, LITTLE_ENDIAN);
      FloatVector c = FloatVector.fromMemorySegment(QUAD, row2, 4L * k, LITTLE_ENDIAN);
      FloatVector d = FloatVector.fromMemorySegment(QUAD, row3, 4L * k, LITTLE_ENDIAN);
      FloatVector ab01 = a.rearrange(S0011).blend(b.rearrange(S0011), ODD); // a0 b0 a1 b1
      FloatVector ab23 = a.rearrange(S2233).blend(b.rearrange(S2233), ODD);
      FloatVector cd01 = c.rearrange(S0011).blend(d.rearrange(S0011), ODD);
      FloatVector cd23 = c.rearrange(S2233).blend(d.rearrange(S2233), ODD);
      long at = to + toBytes * k;
      store(ab01.blend(cd01.rearrange(S0101), UPPER), at);
      store(ab01.rearrange(S2323).blend(cd01, UPPER), at + toBytes);
      store(ab23.blend(cd23.rearrange(S0101), UPPER), at + 2 * toBytes);
      store(ab23.rearrange(S2323).blend(cd23, UPPER), at + 3 * toBytes);
    }
    for (int k = whole; k < kc; k++) {
      long at = to + toBytes * k;
      RAM.set(FLOAT, at, row0.get(FLOAT, 4L * k));
      RAM.set(FLOAT, at + 4, row1.get(FLOAT, 4L * k));
      RAM.set(FLOAT, at + 8, row2.get(FLOAT, 4L * k));
      RAM.set(FLOAT, at + 12, row3.get(FLOAT, 4L * k));
    }
  }

  private static FloatVector load(long address) {
    return FloatVector.fromMemorySegment(QUAD, RAM, address, LITTLE_ENDIAN);
  }

  private static void store(FloatVector v, long address) {
    v.intoMemorySegment(RAM, address, LITTLE_ENDIAN);
  }
}
