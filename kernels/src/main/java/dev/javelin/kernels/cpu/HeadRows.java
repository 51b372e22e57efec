package dev.javelin.kernels.cpu;

import dev.javelin.device.DType;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorShuffle;

/** Moves rows of heads between tensors and dense fp32 blocks in scratch memory. */
final class HeadRows {
  static final ValueLayout.OfFloat FLOAT =
      ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

  static final VectorShuffle<Float> SWAP_1 = swap(1);
  private static final VectorShuffle<Float> SWAP_2 = swap(2);
  private static final VectorShuffle<Float> SWAP_4 = swap(4);
  private static final VectorShuffle<Float> SWAP_8 = swap(8);
  private static final VectorMask<Float> ODD_1 = odd(1);
  private static final VectorMask<Float> ODD_2 = odd(2);
  private static final VectorMask<Float> ODD_4 = odd(4);
  private static final VectorMask<Float> ODD_8 = odd(8);

  private HeadRows() {}

  /** Exchanges lanes whose number differs in the bit {@code distance}. */
  private static VectorShuffle<Float> swap(int distance) {
    return VectorShuffle.fromOp(Lanes.SPECIES, i -> (i ^ distance) % Lanes.COUNT);
  }

  /** The lanes whose number has the bit {@code distance}. */
  private static VectorMask<Float> odd(int distance) {
    long bits = 0;
    for (int i = 0; i < Lanes.COUNT; i++) {
      bits |= (i & distance) != 0 ? 1L << i : 0;
    }
    return VectorMask.fromLong(Lanes.SPECIES, bits);
  }

  /**
   * {@code dst[t, :] = src[t, :]} for {@code count} positions, padded with zeros to whole vectors.
   */
  static void widen(MemorySegment dst, long dstAt, HeadView src, long srcAt, int count, int dim) {
    long width = 4L * Lanes.pad(dim);
    if (src.type() == DType.BF16 && width == 4L * dim) {
      long to = Ram.address(dst, dstAt, count * width);
      long from = Ram.address(src.data(), srcAt, (count - 1) * src.row() + 2L * dim);
      for (int d = 0; d < dim; d += Lanes.COUNT) {
        widenColumn(to + 4L * d, width, from + 2L * d, src.row(), count);
      }
      return;
    }
    for (int t = 0; t < count; t++) {
      long row = dstAt + t * width;
      Half.widen(dst, row, src.data(), srcAt + t * src.row(), src.type(), dim);
      for (long pad = row + 4L * dim; pad < row + width; pad += 4) {
        dst.set(FLOAT, pad, 0f);
      }
    }
  }

  /** A vector of each position: heads are short, and loops over them shorter still. */
  private static void widenColumn(long to, long width, long from, long row, int count) {
    for (int t = 0; t < count; t++) {
      Lanes.store(Half.loadBf16(Ram.ALL, from), to);
      to += width;
      from += row;
    }
  }

  /** Zeros, over a whole number of vectors. */
  static void clear(MemorySegment m, long at, long bytes) {
    for (long i = at; i < at + bytes; i += Lanes.BYTES) {
      Lanes.store(Lanes.zero(), m, i);
    }
  }

  /**
   * {@code dst (+)= src} for one row of {@code dim} elements; {@code src} is scratch memory with a
   * padded row, which is used up.
   *
   * @param temp a padded row of scratch memory
   */
  static void put(
      HeadView dst,
      long dstAt,
      MemorySegment scratch,
      long srcAt,
      long temp,
      int dim,
      boolean accumulate) {
    put(dst, dstAt, scratch, srcAt, scratch, temp, dim, accumulate);
  }

  /** The same from other memory than that of {@code temp}. */
  static void put(
      HeadView dst,
      long dstAt,
      MemorySegment src,
      long srcAt,
      MemorySegment scratch,
      long temp,
      int dim,
      boolean accumulate) {
    if (dst.direct(dim)) {
      for (long i = 0; i < 4L * dim; i += Lanes.BYTES) {
        FloatVector x = Lanes.load(src, srcAt + i);
        Lanes.store(
            accumulate ? Lanes.load(dst.data(), dstAt + i).add(x) : x, dst.data(), dstAt + i);
      }
      return;
    }
    if (accumulate) {
      Half.widen(scratch, temp, dst.data(), dstAt, dst.type(), dim);
      for (long i = 0; i < 4L * dim; i += Lanes.BYTES) {
        Lanes.store(Lanes.load(src, srcAt + i).add(Lanes.load(scratch, temp + i)), src, srcAt + i);
      }
    }
    Half.narrow(dst.data(), dstAt, dst.type(), src, srcAt, dim);
  }

  /**
   * {@code dst[d, t] = factor · src[t, d]}, in blocks of lanes × lanes: the bits of row and lane
   * number are exchanged one pair at a time. Columns from {@code count} to {@code width} become
   * zero.
   *
   * @param dstRow bytes between the rows of dst, one for each of {@code dim} features
   * @param srcRow bytes between the rows of src, one for each of {@code count} positions
   * @param dim a whole number of vectors
   * @param width columns of dst to write, a whole number of vectors
   */
  static void transpose(
      MemorySegment dst,
      long dstAt,
      long dstRow,
      MemorySegment src,
      long srcAt,
      long srcRow,
      int count,
      int dim,
      int width,
      float factor) {
    for (int t = 0; t < width; t += Lanes.COUNT) {
      int rows = Math.min(Lanes.COUNT, count - t);
      for (int d = 0; d < dim; d += Lanes.COUNT) {
        long to = dstAt + d * dstRow + 4L * t;
        copy(dst, to, dstRow, src, srcAt + t * srcRow + 4L * d, srcRow, rows, factor);
        exchange(dst, to, dstRow, 1, SWAP_1, ODD_1);
        exchange(dst, to, dstRow, 2, SWAP_2, ODD_2);
        if (Lanes.COUNT > 4) {
          exchange(dst, to, dstRow, 4, SWAP_4, ODD_4);
        }
        if (Lanes.COUNT > 8) {
          exchange(dst, to, dstRow, 8, SWAP_8, ODD_8);
        }
      }
    }
  }

  private static void copy(
      MemorySegment dst,
      long to,
      long dstRow,
      MemorySegment src,
      long from,
      long srcRow,
      int rows,
      float factor) {
    FloatVector f = Lanes.broadcast(factor);
    for (int i = 0; i < rows; i++) {
      Lanes.store(Lanes.load(src, from + i * srcRow).mul(f), dst, to + i * dstRow);
    }
    for (int i = Math.max(0, rows); i < Lanes.COUNT; i++) {
      Lanes.store(Lanes.zero(), dst, to + i * dstRow);
    }
  }

  /** Exchanges the bit {@code distance} of the row number with the same bit of the lane number. */
  private static void exchange(
      MemorySegment m,
      long at,
      long row,
      int distance,
      VectorShuffle<Float> swap,
      VectorMask<Float> odd) {
    for (int i = 0; i < Lanes.COUNT; i++) {
      if ((i & distance) != 0) {
        continue;
      }
      long upper = at + i * row;
      long lower = at + (i + distance) * row;
      FloatVector a = Lanes.load(m, upper);
      FloatVector b = Lanes.load(m, lower);
      Lanes.store(a.blend(b.rearrange(swap), odd), m, upper);
      Lanes.store(a.rearrange(swap).blend(b, odd), m, lower);
    }
  }
}
