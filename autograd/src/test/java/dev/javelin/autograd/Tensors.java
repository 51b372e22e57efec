package dev.javelin.autograd;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT_UNALIGNED;
import static java.lang.foreign.ValueLayout.JAVA_INT_UNALIGNED;
import static java.lang.foreign.ValueLayout.JAVA_LONG_UNALIGNED;
import static java.lang.foreign.ValueLayout.JAVA_SHORT_UNALIGNED;

import dev.javelin.device.DType;
import dev.javelin.device.DeviceMemory;
import dev.javelin.device.HostMemory;
import dev.javelin.device.Memory;
import dev.javelin.tensor.Shape;
import dev.javelin.tensor.Tensor;
import java.lang.foreign.MemorySegment;

/**
 * Plain, slow access to the elements of tensors on any device, for tests. Conversions are scalar
 * and independent of the kernels.
 */
public final class Tensors {
  private Tensors() {}

  public static Tensor of(Memory memory, long offset, DType dtype, Shape shape, double[] values) {
    Tensor t = Tensor.of(memory, offset, dtype, shape);
    fill(t, values);
    return t;
  }

  /** Writes the elements in row-major order, through any layout. */
  public static void fill(Tensor t, double[] values) {
    MemorySegment s = t.toHost();
    for (int i = 0; i < values.length; i++) {
      put(s, t.dtype(), position(t, i), values[i]);
    }
    if (t.memory() instanceof DeviceMemory) {
      t.fromHost(s);
    }
  }

  /** Writes NaN patterns to all bytes of a contiguous tensor. */
  public static void poison(Tensor t) {
    switch (t.memory()) {
      case HostMemory _ -> t.segment().fill((byte) 0xFF);
      case DeviceMemory m -> m.device().fill(m, t.offset(), t.dtype().bytes(t.elements()), 0xFF);
    }
  }

  /** The elements in row-major order, from any layout. */
  public static double[] toDoubles(Tensor t) {
    MemorySegment s = t.toHost();
    double[] out = new double[(int) t.elements()];
    for (int i = 0; i < out.length; i++) {
      out[i] = get(s, t.dtype(), position(t, i));
    }
    return out;
  }

  /** Dense elements. */
  public static double[] toDoubles(MemorySegment s, DType t, int count) {
    double[] out = new double[count];
    for (int i = 0; i < count; i++) {
      out[i] = get(s, t, i);
    }
    return out;
  }

  /** {@code x} rounded to the type, to nearest even. */
  public static double round(double x, DType t) {
    return switch (t) {
      case F32 -> (float) x;
      case BF16 -> Float.intBitsToFloat(bf16Bits((float) x) << 16);
      case F16 -> Float.float16ToFloat(Float.floatToFloat16((float) x));
      case I32, I64, U8 -> Math.rint(x);
    };
  }

  private static long position(Tensor t, long index) {
    long at = 0;
    for (int d = t.rank() - 1; d >= 0; d--) {
      at += index % t.dim(d) * t.stride(d);
      index /= t.dim(d);
    }
    return at;
  }

  private static int bf16Bits(float x) {
    int bits = Float.floatToRawIntBits(x);
    return Float.isNaN(x) ? 0x7FC0 : (bits + 0x7FFF + ((bits >>> 16) & 1)) >>> 16;
  }

  private static void put(MemorySegment s, DType t, long i, double x) {
    switch (t) {
      case F32 -> s.setAtIndex(JAVA_FLOAT_UNALIGNED, i, (float) x);
      case BF16 -> s.setAtIndex(JAVA_SHORT_UNALIGNED, i, (short) bf16Bits((float) x));
      case F16 -> s.setAtIndex(JAVA_SHORT_UNALIGNED, i, Float.floatToFloat16((float) x));
      case I32 -> s.setAtIndex(JAVA_INT_UNALIGNED, i, (int) x);
      case I64 -> s.setAtIndex(JAVA_LONG_UNALIGNED, i, (long) x);
      case U8 -> s.set(JAVA_BYTE, i, (byte) x);
    }
  }

  private static double get(MemorySegment s, DType t, long i) {
    return switch (t) {
      case F32 -> s.getAtIndex(JAVA_FLOAT_UNALIGNED, i);
      case BF16 -> Float.intBitsToFloat(s.getAtIndex(JAVA_SHORT_UNALIGNED, i) << 16);
      case F16 -> Float.float16ToFloat(s.getAtIndex(JAVA_SHORT_UNALIGNED, i));
      case I32 -> s.getAtIndex(JAVA_INT_UNALIGNED, i);
      case I64 -> s.getAtIndex(JAVA_LONG_UNALIGNED, i);
      case U8 -> s.get(JAVA_BYTE, i) & 0xFF;
    };
  }
}
