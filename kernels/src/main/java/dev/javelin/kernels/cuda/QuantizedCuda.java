package dev.javelin.kernels.cuda;

import dev.javelin.device.Addressable;
import dev.javelin.device.Cuda;
import dev.javelin.device.DType;
import dev.javelin.kernels.Quantization;

/** {@code widen.cu}. */
public final class QuantizedCuda {
  static final int UNIT = 8; // elements of a thread

  private QuantizedCuda() {}

  /** Rows {@code [row, row + rows)} of a quantised matrix [out, in] to y, contiguous. */
  public static void widen(
      Cuda cuda,
      Addressable y,
      DType type,
      Addressable bytes,
      Quantization format,
      int out,
      int in,
      int row,
      int rows) {
    long first = (long) row * in;
    long end = first + (long) rows * in;
    cuda.kernel("widen_" + format.label(), type)
        .threads(Math.ceilDiv(end - first, UNIT))
        .ptr(y)
        .ptr(bytes)
        .i64(first)
        .i64(end)
        .i64(in)
        .i64(format.scalesAt(out, in))
        .i64(Quantization.largestAt(out, in))
        .i64(Quantization.offsetAt(out, in))
        .run();
  }
}
