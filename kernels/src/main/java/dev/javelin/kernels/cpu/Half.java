package dev.javelin.kernels.cpu;

import static java.nio.ByteOrder.LITTLE_ENDIAN;
import static jdk.incubator.vector.VectorOperators.I2S;
import static jdk.incubator.vector.VectorOperators.LSHL;
import static jdk.incubator.vector.VectorOperators.LSHR;
import static jdk.incubator.vector.VectorOperators.LT;
import static jdk.incubator.vector.VectorOperators.NE;
import static jdk.incubator.vector.VectorOperators.S2I;
import static jdk.incubator.vector.VectorOperators.UGE;
import static jdk.incubator.vector.VectorOperators.UGT;

import dev.javelin.device.DType;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.ShortVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorShape;
import jdk.incubator.vector.VectorSpecies;

/**
 * Rows of bf16 and f16 to fp32 and back. To fp32 is exact; back rounds to nearest, ties to even,
 * with overflow to infinity, and keeps NaN a NaN.
 *
 * <pre>
 * fp32  s eeeeeeee mmmmmmmmmmmmmmmmmmmmmmm     bias 127
 * bf16  s eeeeeeee mmmmmmm                      the upper half of an fp32
 * f16   s    eeeee mmmmmmmmmm                   bias 15, subnormals below 2⁻¹⁴
 * </pre>
 */
final class Half {
  private static final VectorSpecies<Short> SHORTS =
      VectorSpecies.of(short.class, VectorShape.forBitSize(Lanes.COUNT * Short.SIZE));
  private static final ValueLayout.OfFloat FLOAT =
      ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  private static final ValueLayout.OfShort SHORT =
      ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

  private static final int SIGN = 0x8000;
  private static final int INFINITY_32 = 0x7F800000;
  private static final int INFINITY_16 = 0x7C00;
  private static final int NAN_16 = 0x7E00;

  /** 2¹¹² takes the exponent's bias from 15 to 127. */
  private static final float REBIAS = 0x1p112f;

  private static final int REBIAS_BITS = 112 << 23;
  private static final int MIN_NORMAL_16 = 113 << 23; // 2⁻¹⁴ as fp32
  private static final int OVERFLOW_16 = 143 << 23; // 2¹⁶ as fp32
  private static final float SUBNORMAL_ROUND = 0.5f; // its last place is f16's smallest subnormal
  private static final int SUBNORMAL_ROUND_BITS = 126 << 23;

  private Half() {}

  /**
   * {@code dst[i] = src[i]} for {@code i < n}.
   *
   * @param type of {@code src}: F32, BF16 or F16
   */
  static void widen(
      MemorySegment dst, long dstByte, MemorySegment src, long srcByte, DType type, int n) {
    switch (type) {
      case F32 -> MemorySegment.copy(src, srcByte, dst, dstByte, 4L * n);
      case BF16 -> widenBf16(dst, dstByte, src, srcByte, n);
      case F16 -> widenF16(dst, dstByte, src, srcByte, n);
      case I32, I64, U8 -> throw new IllegalArgumentException("not a float type: " + type);
    }
  }

  /**
   * {@code dst[i] = round(src[i])} for {@code i < n}.
   *
   * @param type of {@code dst}: F32, BF16 or F16
   */
  static void narrow(
      MemorySegment dst, long dstByte, DType type, MemorySegment src, long srcByte, int n) {
    switch (type) {
      case F32 -> MemorySegment.copy(src, srcByte, dst, dstByte, 4L * n);
      case BF16 -> narrowBf16(dst, dstByte, src, srcByte, n);
      case F16 -> narrowF16(dst, dstByte, src, srcByte, n);
      case I32, I64, U8 -> throw new IllegalArgumentException("not a float type: " + type);
    }
  }

  /**
   * {@link #widen} for many elements at once, by addresses; the last vector may cover what is done.
   * In a loop over short rows it would be in the compiler's way: swiglu and rope took twice the
   * time.
   */
  static void widenBlock(
      MemorySegment dst, long dstByte, MemorySegment src, long srcByte, DType type, int n) {
    int last = n - Lanes.COUNT;
    if (type != DType.BF16 || last < 0) {
      widen(dst, dstByte, src, srcByte, type, n);
      return;
    }
    long to = Ram.address(dst, dstByte, 4L * n);
    long from = Ram.address(src, srcByte, 2L * n);
    for (int i = 0; i < last; i += Lanes.COUNT) {
      Lanes.store(loadBf16(Ram.ALL, from + 2L * i), to + 4L * i);
    }
    Lanes.store(loadBf16(Ram.ALL, from + 2L * last), to + 4L * last);
  }

  /** {@link #narrow} for many elements at once, as {@link #widenBlock}. */
  static void narrowBlock(
      MemorySegment dst, long dstByte, DType type, MemorySegment src, long srcByte, int n) {
    int last = n - Lanes.COUNT;
    if (type != DType.BF16 || last < 0) {
      narrow(dst, dstByte, type, src, srcByte, n);
      return;
    }
    long to = Ram.address(dst, dstByte, 2L * n);
    long from = Ram.address(src, srcByte, 4L * n);
    for (int i = 0; i < last; i += Lanes.COUNT) {
      storeShorts(floatToBf16(Lanes.load(from + 4L * i)), Ram.ALL, to + 2L * i);
    }
    storeShorts(floatToBf16(Lanes.load(from + 4L * last)), Ram.ALL, to + 2L * last);
  }

  private static void widenBf16(
      MemorySegment dst, long dstByte, MemorySegment src, long srcByte, int n) {
    int whole = Lanes.SPECIES.loopBound(n);
    for (int i = 0; i < whole; i += Lanes.COUNT) {
      Lanes.store(bf16ToFloat(loadShorts(src, srcByte + 2L * i)), dst, dstByte + 4L * i);
    }
    for (int i = whole; i < n; i++) {
      dst.set(FLOAT, dstByte + 4L * i, bf16ToFloat(src.get(SHORT, srcByte + 2L * i)));
    }
  }

  private static void widenF16(
      MemorySegment dst, long dstByte, MemorySegment src, long srcByte, int n) {
    int whole = Lanes.SPECIES.loopBound(n);
    for (int i = 0; i < whole; i += Lanes.COUNT) {
      Lanes.store(f16ToFloat(loadShorts(src, srcByte + 2L * i)), dst, dstByte + 4L * i);
    }
    for (int i = whole; i < n; i++) {
      dst.set(FLOAT, dstByte + 4L * i, Float.float16ToFloat(src.get(SHORT, srcByte + 2L * i)));
    }
  }

  private static void narrowBf16(
      MemorySegment dst, long dstByte, MemorySegment src, long srcByte, int n) {
    int whole = Lanes.SPECIES.loopBound(n);
    for (int i = 0; i < whole; i += Lanes.COUNT) {
      storeShorts(floatToBf16(Lanes.load(src, srcByte + 4L * i)), dst, dstByte + 2L * i);
    }
    for (int i = whole; i < n; i++) {
      dst.set(SHORT, dstByte + 2L * i, floatToBf16(src.get(FLOAT, srcByte + 4L * i)));
    }
  }

  private static void narrowF16(
      MemorySegment dst, long dstByte, MemorySegment src, long srcByte, int n) {
    int whole = Lanes.SPECIES.loopBound(n);
    for (int i = 0; i < whole; i += Lanes.COUNT) {
      storeShorts(floatToF16(Lanes.load(src, srcByte + 4L * i)), dst, dstByte + 2L * i);
    }
    for (int i = whole; i < n; i++) {
      dst.set(SHORT, dstByte + 2L * i, floatToF16(src.get(FLOAT, srcByte + 4L * i)));
    }
  }

  /** Sixteen bits each, sign-extended. */
  static IntVector loadShorts(MemorySegment m, long byteOffset) {
    return (IntVector)
        ShortVector.fromMemorySegment(SHORTS, m, byteOffset, LITTLE_ENDIAN)
            .convertShape(S2I, Lanes.INTS, 0);
  }

  /** A vector of bf16 as floats. */
  static FloatVector loadBf16(MemorySegment m, long byteOffset) {
    return bf16ToFloat(loadShorts(m, byteOffset));
  }

  private static void storeShorts(IntVector v, MemorySegment m, long byteOffset) {
    ((ShortVector) v.convertShape(I2S, SHORTS, 0)).intoMemorySegment(m, byteOffset, LITTLE_ENDIAN);
  }

  private static FloatVector bf16ToFloat(IntVector h) {
    return h.lanewise(LSHL, 16).reinterpretAsFloats();
  }

  static float bf16ToFloat(short h) {
    return Float.intBitsToFloat(h << 16);
  }

  private static IntVector floatToBf16(FloatVector x) {
    IntVector bits = x.reinterpretAsInts();
    IntVector rounded = bits.add(bits.lanewise(LSHR, 16).and(1).add(0x7FFF));
    VectorMask<Integer> nan = x.compare(NE, x).cast(Lanes.INTS);
    return rounded.blend(bits.or(0x400000), nan).lanewise(LSHR, 16);
  }

  static short floatToBf16(float x) {
    int bits = Float.floatToRawIntBits(x);
    return Float.isNaN(x)
        ? (short) (bits >>> 16 | 0x40)
        : (short) (bits + (bits >>> 16 & 1) + 0x7FFF >>> 16);
  }

  private static FloatVector f16ToFloat(IntVector h) {
    IntVector magnitude = h.and(0x7FFF);
    // Exact for normal and subnormal numbers alike; infinity and NaN then get the full exponent.
    IntVector bits =
        magnitude.lanewise(LSHL, 13).reinterpretAsFloats().mul(REBIAS).reinterpretAsInts();
    IntVector full = Lanes.ints(0).blend(INFINITY_32, magnitude.compare(UGE, INFINITY_16));
    return bits.or(full).or(h.and(SIGN).lanewise(LSHL, 16)).reinterpretAsFloats();
  }

  private static IntVector floatToF16(FloatVector x) {
    IntVector bits = x.reinterpretAsInts();
    IntVector magnitude = bits.and(0x7FFFFFFF);
    IntVector odd = magnitude.lanewise(LSHR, 13).and(1);
    IntVector normal = magnitude.sub(REBIAS_BITS).add(0xFFF).add(odd).lanewise(LSHR, 13);
    IntVector subnormal =
        magnitude
            .reinterpretAsFloats()
            .add(SUBNORMAL_ROUND)
            .reinterpretAsInts()
            .sub(SUBNORMAL_ROUND_BITS);
    IntVector large = Lanes.ints(INFINITY_16).blend(NAN_16, magnitude.compare(UGT, INFINITY_32));
    return normal
        .blend(subnormal, magnitude.compare(LT, MIN_NORMAL_16))
        .blend(large, magnitude.compare(UGE, OVERFLOW_16))
        .or(bits.lanewise(LSHR, 16).and(SIGN));
  }

  static short floatToF16(float x) {
    return Float.isNaN(x)
        ? (short) (Float.floatToRawIntBits(x) >>> 16 & SIGN | NAN_16)
        : Float.floatToFloat16(x);
  }
}
