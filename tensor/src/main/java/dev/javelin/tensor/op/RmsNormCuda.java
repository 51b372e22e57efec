package dev.javelin.tensor.op;

import static dev.javelin.tensor.op.Operands.adds;
import static dev.javelin.tensor.op.Operands.flag;
import static dev.javelin.tensor.op.Operands.inVectors;
import static dev.javelin.tensor.op.Operands.strideOf;
import static dev.javelin.tensor.op.Operands.tensorOf;

import dev.javelin.device.Cuda;
import dev.javelin.device.CudaKernel;
import dev.javelin.device.DType;
import dev.javelin.device.DeviceMemory;
import dev.javelin.tensor.Grad;
import dev.javelin.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/** The launches of {@code rms_norm.cu}, for RMS normalisation with and without a residual. */
final class RmsNormCuda {
  private static final int ROWS_OF_BLOCK = 4; // where a warp has a row
  private static final int WARP_ROW_BYTES = 4096; // what the registers of a warp keep
  private static final int WARP_SHARES = 1024;
  private static final int BLOCK_SHARES = 256;

  private RmsNormCuda() {}

  /** {@code sum} and {@code h} are {@code null} without a residual. */
  static void forward(
      Cuda cuda,
      @Nullable Tensor sum,
      Tensor y,
      Tensor rstd,
      Tensor x,
      @Nullable Tensor h,
      Tensor w,
      float eps) {
    kernel(cuda, "rms_norm_forward", x)
        .grid(isLong(x) ? x.rows() : Math.ceilDiv(x.rows(), ROWS_OF_BLOCK))
        .ptr(sum)
        .i64(strideOf(sum))
        .ptr(y)
        .i64(y.rowStride())
        .ptr(rstd)
        .ptr(x)
        .i64(x.rowStride())
        .ptr(h)
        .i64(strideOf(h))
        .ptr(w)
        .f32(eps)
        .i64(x.rows())
        .i32(x.last())
        .i32(flag(inVectors(sum, y, x, h, w)))
        .run();
  }

  /** Every gradient may be {@code null}: nobody wants it, or it is zero. */
  static void backward(
      Cuda cuda,
      @Nullable Grad dx,
      @Nullable Grad dh,
      @Nullable Grad dw,
      @Nullable Tensor dsum,
      @Nullable Tensor dy,
      Tensor x,
      Tensor w,
      Tensor rstd) {
    int rows = x.rows();
    int share = Math.max(1, Math.ceilDiv(rows, isLong(x) ? BLOCK_SHARES : WARP_SHARES));
    int shares = Math.ceilDiv(rows, share);
    DeviceMemory partial =
        dw == null ? null : cuda.scratch(DType.F32.bytes((long) shares * x.last()));
    kernel(cuda, "rms_norm_backward", x)
        .grid(isLong(x) ? shares : Math.ceilDiv(shares, ROWS_OF_BLOCK))
        .ptr(tensorOf(dx))
        .i64(strideOf(dx))
        .i32(adds(dx))
        .ptr(tensorOf(dh))
        .i64(strideOf(dh))
        .i32(adds(dh))
        .ptr(partial)
        .ptr(dsum)
        .i64(strideOf(dsum))
        .ptr(dy)
        .i64(strideOf(dy))
        .ptr(x)
        .i64(x.rowStride())
        .ptr(w)
        .ptr(rstd)
        .i64(rows)
        .i64(share)
        .i32(x.last())
        .i32(flag(inVectors(tensorOf(dx), tensorOf(dh), dsum, dy, x, w)))
        .run();
    if (dw != null && partial != null) {
      PartialSum.run(cuda, dw.tensor(), dw.accumulate(), partial, shares);
    }
  }

  private static CudaKernel kernel(Cuda cuda, String name, Tensor x) {
    return cuda.kernel(isLong(x) ? name + "_long" : name, x.dtype());
  }

  private static boolean isLong(Tensor x) {
    return x.dtype().bytes(x.last()) > WARP_ROW_BYTES;
  }
}
