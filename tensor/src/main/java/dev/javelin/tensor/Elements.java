package dev.javelin.tensor;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT_UNALIGNED;
import static java.lang.foreign.ValueLayout.JAVA_INT_UNALIGNED;
import static java.lang.foreign.ValueLayout.JAVA_LONG_UNALIGNED;
import static java.lang.foreign.ValueLayout.JAVA_SHORT_UNALIGNED;

import dev.javelin.device.CudaException;
import dev.javelin.device.DType;
import dev.javelin.device.DeviceMemory;
import java.lang.foreign.MemorySegment;

/** A tensor's elements one by one, for people: slow, on any device, in any layout. */
final class Elements {
  private static final int SHOWN = 64; // elements at most, over all dimensions

  private Elements() {}

  /** All of them in row-major order. */
  static float[] toFloats(Tensor t) {
    MemorySegment bytes = t.toHost();
    float[] values = new float[Math.toIntExact(t.elements())];
    for (int i = 0; i < values.length; i++) {
      long at = 0;
      long rest = i;
      for (int d = t.rank() - 1; d >= 0; d--) {
        at += rest % t.dim(d) * t.stride(d);
        rest /= t.dim(d);
      }
      values[i] = number(bytes, t.dtype().bytes(at), t.dtype()).floatValue();
    }
    return values;
  }

  /** Type, shape and device, then the first and last elements of each dimension. */
  static String show(Tensor t) {
    StringBuilder out = new StringBuilder(t.form()).append(" on ");
    try {
      out.append(t.device()).append(' ');
      show(out, t, 0, 0, edge(t.rank()));
    } catch (IllegalStateException | CudaException e) { // released, closed, or being recorded
      out.append("(not readable: ").append(e.getMessage()).append(')');
    }
    return out.toString();
  }

  /** As many from either end of each dimension as keep the whole within {@link #SHOWN}. */
  private static int edge(int rank) {
    int edge = 8;
    while (edge > 1 && Math.pow(2 * edge, rank) > SHOWN) {
      edge--;
    }
    return edge;
  }

  private static void show(StringBuilder out, Tensor t, int dim, long at, int edge) {
    if (dim == t.rank()) {
      out.append(number(t, at));
      return;
    }
    int size = t.dim(dim);
    out.append('[');
    for (int i = 0; i < size; i++) {
      if (i == edge && size > 2 * edge) {
        out.append(", …");
        i = size - edge;
      }
      out.append(i == 0 ? "" : ", ");
      show(out, t, dim + 1, at + i * t.stride(dim), edge);
    }
    out.append(']');
  }

  private static Number number(Tensor t, long index) {
    long at = t.dtype().bytes(index);
    if (!(t.memory() instanceof DeviceMemory m)) {
      return number(t.segment(), at, t.dtype());
    }
    t.lease().check(t);
    MemorySegment one = MemorySegment.ofArray(new long[1]).asSlice(0, t.dtype().byteSize());
    m.device().read(one, m, t.offset() + at);
    return number(one, 0, t.dtype());
  }

  private static Number number(MemorySegment s, long at, DType type) {
    return switch (type) {
      case F32 -> s.get(JAVA_FLOAT_UNALIGNED, at);
      case BF16 -> Float.intBitsToFloat(s.get(JAVA_SHORT_UNALIGNED, at) << 16);
      case F16 -> Float.float16ToFloat(s.get(JAVA_SHORT_UNALIGNED, at));
      case I32 -> s.get(JAVA_INT_UNALIGNED, at);
      case I64 -> s.get(JAVA_LONG_UNALIGNED, at);
      case U8 -> s.get(JAVA_BYTE, at) & 0xFF;
    };
  }
}
