package dev.javelin.kernels.cpu;

import static java.nio.ByteOrder.LITTLE_ENDIAN;
import static jdk.incubator.vector.VectorOperators.B2F;

import dev.javelin.kernels.Quantization;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import jdk.incubator.vector.ByteVector;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorShape;
import jdk.incubator.vector.VectorSpecies;

/**
 * A quantised matrix [out, in] as the kernels read it.
 *
 * @param bytes as {@link Quantization} lays them out
 */
public record QuantizedView(MemorySegment bytes, Quantization format, int out, int in) {
  private static final VectorSpecies<Byte> BYTES =
      VectorSpecies.of(byte.class, VectorShape.forBitSize(Math.max(64, 8 * Lanes.COUNT)));

  private static final ValueLayout.OfByte BYTE = ValueLayout.JAVA_BYTE;
  private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT_UNALIGNED;
  private static final ValueLayout.OfLong LONG = ValueLayout.JAVA_LONG_UNALIGNED;

  /** The two values of each byte of NF4, side by side. */
  private static final long[] PAIRS = pairs();

  private static long[] pairs() {
    long[] pairs = new long[256];
    for (int i = 0; i < pairs.length; i++) {
      long first = Float.floatToRawIntBits(Quantization.level(i >> 4)) & 0xFFFFFFFFL;
      pairs[i] = first | (long) Float.floatToRawIntBits(Quantization.level(i & 15)) << 32;
    }
    return pairs;
  }

  /** Writes elements {@code [from, from + n)} of a row as fp32 to address {@code to}. */
  void widen(long to, int row, int from, int n) {
    switch (format) {
      case INT8 -> widenInt8(to, row, from, n);
      case NF4 -> widenNf4(to, (long) row * in + from, n);
    }
  }

  private void widenInt8(long to, int row, int from, int n) {
    float scale = bytes.get(FLOAT, format.scalesAt(out, in) + 4L * row);
    long at = bytes.address() + (long) row * in + from;
    FloatVector factor = Lanes.broadcast(scale);
    int whole = n / BYTES.length() * BYTES.length();
    for (int i = 0; i < whole; i += BYTES.length()) {
      ByteVector codes = ByteVector.fromMemorySegment(BYTES, Ram.ALL, at + i, LITTLE_ENDIAN);
      for (int part = 0; part < BYTES.length() / Lanes.COUNT; part++) {
        FloatVector w = (FloatVector) codes.convertShape(B2F, Lanes.SPECIES, part);
        Lanes.store(Lanes.TYPE.cast(w).mul(factor), Ram.ALL, to + 4L * (i + part * Lanes.COUNT));
      }
    }
    for (int i = whole; i < n; i++) {
      Ram.ALL.set(FLOAT, to + 4L * i, scale * Ram.ALL.get(BYTE, at + i));
    }
  }

  /** Address of the scale of a row of INT8; those of the next rows follow. */
  long scale(int row) {
    return bytes.address() + format.scalesAt(out, in) + 4L * row;
  }

  /** Writes the largest values of {@code n} blocks of NF4 from {@code block} on. */
  void largest(long to, long block, int n) {
    float offset = bytes.get(FLOAT, Quantization.offsetAt(out, in));
    long codes = bytes.address() + Quantization.largestAt(out, in);
    long end = block + n;
    long at = to;
    for (long i = block; i < end; ) {
      long outer = i / Quantization.OUTER_BLOCK;
      int count = (int) (Math.min(end, (outer + 1) * Quantization.OUTER_BLOCK) - i);
      float scale = bytes.get(FLOAT, format.scalesAt(out, in) + 4 * outer);
      int whole = count / BYTES.length() * BYTES.length();
      for (int j = 0; j < whole; j += BYTES.length()) {
        ByteVector some =
            ByteVector.fromMemorySegment(BYTES, Ram.ALL, codes + i + j, LITTLE_ENDIAN);
        for (int part = 0; part < BYTES.length() / Lanes.COUNT; part++) {
          FloatVector code = Lanes.TYPE.cast(some.convertShape(B2F, Lanes.SPECIES, part));
          FloatVector value = code.fma(Lanes.broadcast(scale), Lanes.broadcast(offset));
          Lanes.store(value, Ram.ALL, at + 4L * (j + part * Lanes.COUNT));
        }
      }
      for (int j = whole; j < count; j++) {
        float code = Ram.ALL.get(BYTE, codes + i + j);
        Ram.ALL.set(FLOAT, at + 4L * j, Math.fma(scale, code, offset));
      }
      at += 4L * count;
      i += count;
    }
  }

  private void widenNf4(long to, long first, int n) {
    long end = first + n;
    for (long i = first; i < end; ) {
      long block = i / Quantization.BLOCK;
      int count = (int) (Math.min(end, (block + 1) * Quantization.BLOCK) - i);
      levels(to, i, count);
      scale(to, Quantization.largest(bytes, out, in, block), count);
      to += 4L * count;
      i += count;
    }
  }

  private void levels(long to, long first, int n) {
    int i = 0;
    long at = bytes.address() + first / 2;
    if (first % 2 != 0) {
      Ram.ALL.set(FLOAT, to, Quantization.level(Ram.ALL.get(BYTE, at++) & 15));
      i++;
    }
    for (; i + 2 <= n; i += 2) {
      Ram.ALL.set(LONG, to + 4L * i, PAIRS[Ram.ALL.get(BYTE, at++) & 0xFF]);
    }
    if (i < n) {
      Ram.ALL.set(FLOAT, to + 4L * i, Quantization.level((Ram.ALL.get(BYTE, at) & 0xFF) >> 4));
    }
  }

  private static void scale(long to, float factor, int n) {
    FloatVector f = Lanes.broadcast(factor);
    int whole = Lanes.SPECIES.loopBound(n);
    for (int i = 0; i < whole; i += Lanes.COUNT) {
      Lanes.store(Lanes.load(Ram.ALL, to + 4L * i).mul(f), Ram.ALL, to + 4L * i);
    }
    for (int i = whole; i < n; i++) {
      Ram.ALL.set(FLOAT, to + 4L * i, Ram.ALL.get(FLOAT, to + 4L * i) * factor);
    }
  }

  /** All elements, row by row; {@code bytes} may lie on the heap. */
  public void read(float[] to) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment own = arena.allocate(bytes.byteSize(), 64).copyFrom(bytes);
      MemorySegment row = arena.allocate(4L * in, 64);
      QuantizedView w = new QuantizedView(own, format, out, in);
      for (int r = 0; r < out; r++) {
        w.widen(row.address(), r, 0, in);
        MemorySegment.copy(row, ValueLayout.JAVA_FLOAT, 0, to, r * in, in);
      }
    }
  }
}
