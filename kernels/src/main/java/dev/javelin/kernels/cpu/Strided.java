package dev.javelin.kernels.cpu;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT_UNALIGNED;
import static java.lang.foreign.ValueLayout.JAVA_SHORT_UNALIGNED;

import dev.javelin.device.DType;
import java.lang.foreign.MemorySegment;
import jdk.incubator.vector.FloatVector;

/**
 * One operand of an element-wise kernel: elements of any float type at any strides, 0 where a
 * dimension is broadcast. Kernels see pieces of it as whole fp32 vectors: pieces that lie so in
 * memory are used there, all others pass through scratch memory.
 */
public final class Strided {
  final MemorySegment data;
  final DType type;
  final long[] strides;

  /**
   * @param data from the first element on
   * @param strides in elements, outermost dimension first
   */
  public Strided(MemorySegment data, DType type, long... strides) {
    this.data = data;
    this.type = type;
    this.strides = strides.clone();
  }

  /** Whether {@code n} elements at this stride are whole fp32 vectors as they lie. */
  boolean direct(long stride, int n) {
    return type == DType.F32 && stride == 1 && n == Lanes.pad(n);
  }

  /** Writes elements {@code first, first + stride, …} to {@code n} floats, padded with zeros. */
  void load(long first, long stride, int n, MemorySegment to, long toByte) {
    if (stride == 1) {
      Half.widen(to, toByte, data, type.bytes(first), type, n);
    } else if (stride == 0) {
      FloatVector v = Lanes.broadcast(get(first));
      for (int i = 0; i < n; i += Lanes.COUNT) {
        Lanes.store(v, to, toByte + 4L * i);
      }
    } else {
      for (int i = 0; i < n; i++) {
        to.set(JAVA_FLOAT_UNALIGNED, toByte + 4L * i, get(first + i * stride));
      }
    }
    for (int i = n; i < Lanes.pad(n); i++) {
      to.set(JAVA_FLOAT_UNALIGNED, toByte + 4L * i, 0);
    }
  }

  /** Rounds {@code n} floats to elements {@code first, first + stride, …}. */
  void store(long first, long stride, int n, MemorySegment from, long fromByte) {
    if (stride == 1) {
      Half.narrow(data, type.bytes(first), type, from, fromByte, n);
    } else {
      for (int i = 0; i < n; i++) {
        put(first + i * stride, from.get(JAVA_FLOAT_UNALIGNED, fromByte + 4L * i));
      }
    }
  }

  float get(long i) {
    return switch (type) {
      case F32 -> data.getAtIndex(JAVA_FLOAT_UNALIGNED, i);
      case BF16 -> Half.bf16ToFloat(data.getAtIndex(JAVA_SHORT_UNALIGNED, i));
      case F16 -> Float.float16ToFloat(data.getAtIndex(JAVA_SHORT_UNALIGNED, i));
      case I32, I64, U8 -> throw new IllegalArgumentException("not a float type: " + type);
    };
  }

  void put(long i, float value) {
    switch (type) {
      case F32 -> data.setAtIndex(JAVA_FLOAT_UNALIGNED, i, value);
      case BF16 -> data.setAtIndex(JAVA_SHORT_UNALIGNED, i, Half.floatToBf16(value));
      case F16 -> data.setAtIndex(JAVA_SHORT_UNALIGNED, i, Half.floatToF16(value));
      case I32, I64, U8 -> throw new IllegalArgumentException("not a float type: " + type);
    }
  }
}
