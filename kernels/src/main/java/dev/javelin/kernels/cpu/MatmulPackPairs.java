package dev.javelin.kernels.cpu;

import static java.nio.ByteOrder.LITTLE_ENDIAN;
import static jdk.incubator.vector.VectorOperators.LSHL;
import static jdk.incubator.vector.VectorOperators.S2I;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.ShortVector;
import jdk.incubator.vector.VectorSpecies;

/**
 * Brings lines of a bf16 operand into panels {@code [pairs, width, 2]}, the order in which a {@link
 * MatmulPairTile} reads them. Lines that are missing at the edge of the matrix become zeros.
 *
 * <pre>
 * stored along k           panel, width 4                   stored across k
 * a0 a1 a2 a3 …            a0 a1  b0 b1  c0 c1  d0 d1       a0 b0 c0 d0
 * b0 b1 b2 b3 …            a2 a3  b2 b3  c2 c3  d2 d3       a1 b1 c1 d1
 * c0 c1 c2 c3 …     →      …                          ←     a2 b2 c2 d2
 * d0 d1 d2 d3 …                                             …
 * </pre>
 */
final class MatmulPackPairs {
  private static final MemorySegment RAM = Ram.ALL;
  private static final ValueLayout.OfInt PAIR = ValueLayout.JAVA_INT_UNALIGNED;
  static final ValueLayout.OfShort BF16 = ValueLayout.JAVA_SHORT_UNALIGNED;
  private static final int QUAD = 4;
  private static final int LOWER = 0xFFFF;
  private static final VectorSpecies<Short> FOUR_SHORTS = ShortVector.SPECIES_64;
  private static final VectorSpecies<Integer> FOUR_INTS = IntVector.SPECIES_128;

  private MatmulPackPairs() {}

  /**
   * Packs lines {@code [line, line + count)} over {@code [k, k + kc)}.
   *
   * @param panel address of {@code 4·width·pairs} bytes
   * @param count lines that exist, at most {@code width}
   * @param pairs in the panel; those beyond {@code kc} become zeros
   */
  static void panel(
      long panel, int width, MatmulOperand x, int line, int count, int k, int kc, int pairs) {
    long from = x.at(line, k);
    long rowBytes = x.strideBytes();
    int whole = kc / 2;
    if (x.alongK()) {
      // A pair lies there as it is wanted: it is moved like an fp32 number.
      MatmulPack.turn(panel, width, from, rowBytes, count, whole);
    } else {
      for (int p = 0; p < whole; p++) {
        weave(panel + 4L * width * p, width, from + 2L * p * rowBytes, rowBytes, count);
      }
    }
    int filled = whole;
    if (kc % 2 != 0) {
      long last = from + (x.alongK() ? 2L : rowBytes) * (kc - 1);
      half(panel + 4L * width * whole, width, last, x.alongK() ? rowBytes : 2, count);
      filled++;
    }
    for (int i = width * filled; i < width * pairs; i++) {
      RAM.set(PAIR, panel + 4L * i, 0);
    }
  }

  /** A row of pairs from two stored rows. */
  private static void weave(long to, int width, long even, long rowBytes, int count) {
    long odd = even + rowBytes;
    int i = 0;
    for (; i + Lanes.COUNT <= count; i += Lanes.COUNT) {
      IntVector lower = Half.loadShorts(RAM, even + 2L * i).and(LOWER);
      IntVector upper = Half.loadShorts(RAM, odd + 2L * i).lanewise(LSHL, 16);
      lower.or(upper).intoMemorySegment(RAM, to + 4L * i, LITTLE_ENDIAN);
    }
    for (; i + QUAD <= count; i += QUAD) {
      IntVector lower = four(even + 2L * i).and(LOWER);
      IntVector upper = four(odd + 2L * i).lanewise(LSHL, 16);
      lower.or(upper).intoMemorySegment(RAM, to + 4L * i, LITTLE_ENDIAN);
    }
    for (; i < count; i++) {
      int upper = RAM.get(BF16, odd + 2L * i) << 16;
      RAM.set(PAIR, to + 4L * i, upper | RAM.get(BF16, even + 2L * i) & LOWER);
    }
    for (; i < width; i++) {
      RAM.set(PAIR, to + 4L * i, 0);
    }
  }

  private static IntVector four(long at) {
    return (IntVector)
        ShortVector.fromMemorySegment(FOUR_SHORTS, RAM, at, LITTLE_ENDIAN)
            .convertShape(S2I, FOUR_INTS, 0);
  }

  /** The last row of pairs where k is odd: its second half is zero. */
  static void half(long to, int width, long from, long lineBytes, int count) {
    for (int i = 0; i < width; i++) {
      int v = i < count ? RAM.get(BF16, from + i * lineBytes) & LOWER : 0;
      RAM.set(PAIR, to + 4L * i, v);
    }
  }
}
