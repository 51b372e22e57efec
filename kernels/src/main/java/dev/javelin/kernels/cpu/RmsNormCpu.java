package dev.javelin.kernels.cpu;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT_UNALIGNED;
import static java.lang.foreign.ValueLayout.JAVA_SHORT_UNALIGNED;

import dev.javelin.device.Cpu;
import dev.javelin.device.DType;
import java.lang.foreign.MemorySegment;
import org.jspecify.annotations.Nullable;

/** RMSNorm on the CPU. Strides are in elements between the starts of rows. */
public final class RmsNormCpu {
  private static final int GRAIN = 16;

  private RmsNormCpu() {}

  public static void forward(
      Cpu cpu,
      MemorySegment y,
      long yStride,
      MemorySegment rstd,
      MemorySegment x,
      long xStride,
      MemorySegment w,
      DType t,
      int rows,
      int cols,
      float eps) {
    cpu.parallel(
        rows,
        GRAIN,
        (from, to) -> {
          for (int r = from; r < to; r++) {
            double sum = 0;
            for (int c = 0; c < cols; c++) {
              float v = get(x, t, r * xStride + c);
              sum += v * v;
            }
            float s = (float) (1 / Math.sqrt(sum / cols + eps));
            rstd.setAtIndex(JAVA_FLOAT_UNALIGNED, r, s);
            for (int c = 0; c < cols; c++) {
              put(y, t, r * yStride + c, get(x, t, r * xStride + c) * s * get(w, t, c));
            }
          }
        });
  }

  public static void backward(
      Cpu cpu,
      @Nullable MemorySegment dx,
      long dxStride,
      boolean accumulate,
      @Nullable MemorySegment dw,
      boolean accumulateWeight,
      MemorySegment dy,
      long dyStride,
      MemorySegment x,
      long xStride,
      MemorySegment w,
      MemorySegment rstd,
      DType t,
      int rows,
      int cols) {
    if (dx != null) {
      for (int r = 0; r < rows; r++) {
        float s = rstd.getAtIndex(JAVA_FLOAT_UNALIGNED, r);
        double dot = 0;
        for (int c = 0; c < cols; c++) {
          dot += get(dy, t, r * dyStride + c) * get(w, t, c) * get(x, t, r * xStride + c);
        }
        float mean = (float) (dot / cols) * s * s;
        for (int c = 0; c < cols; c++) {
          float g =
              s * (get(dy, t, r * dyStride + c) * get(w, t, c) - get(x, t, r * xStride + c) * mean);
          long at = r * dxStride + c;
          put(dx, t, at, accumulate ? get(dx, t, at) + g : g);
        }
      }
    }
    if (dw != null) {
      for (int c = 0; c < cols; c++) {
        double sum = accumulateWeight ? dw.getAtIndex(JAVA_FLOAT_UNALIGNED, c) : 0;
        for (int r = 0; r < rows; r++) {
          sum +=
              get(dy, t, r * dyStride + c)
                  * get(x, t, r * xStride + c)
                  * rstd.getAtIndex(JAVA_FLOAT_UNALIGNED, r);
        }
        dw.setAtIndex(JAVA_FLOAT_UNALIGNED, c, (float) sum);
      }
    }
  }

  private static float get(MemorySegment s, DType t, long i) {
    return switch (t) {
      case F32 -> s.getAtIndex(JAVA_FLOAT_UNALIGNED, i);
      case BF16 -> Float.intBitsToFloat(s.getAtIndex(JAVA_SHORT_UNALIGNED, i) << 16);
      case F16 -> Float.float16ToFloat(s.getAtIndex(JAVA_SHORT_UNALIGNED, i));
      case I32, I64, U8 -> throw new IllegalArgumentException("not a float type: " + t);
    };
  }

  private static void put(MemorySegment s, DType t, long i, float v) {
    switch (t) {
      case F32 -> s.setAtIndex(JAVA_FLOAT_UNALIGNED, i, v);
      case BF16 -> {
        int bits = Float.floatToRawIntBits(v);
        s.setAtIndex(
            JAVA_SHORT_UNALIGNED, i, (short) ((bits + 0x7FFF + ((bits >>> 16) & 1)) >>> 16));
      }
      case F16 -> s.setAtIndex(JAVA_SHORT_UNALIGNED, i, Float.floatToFloat16(v));
      case I32, I64, U8 -> throw new IllegalArgumentException("not a float type: " + t);
    }
  }
}
