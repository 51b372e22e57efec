package dev.javelin.tensor.op;

import static dev.javelin.tensor.op.Operands.adds;
import static dev.javelin.tensor.op.Operands.flag;
import static dev.javelin.tensor.op.Operands.inVectors;
import static dev.javelin.tensor.op.Operands.strideOf;
import static dev.javelin.tensor.op.Operands.tensorOf;

import dev.javelin.device.Addressable;
import dev.javelin.device.Cuda;
import dev.javelin.device.CudaKernel;
import dev.javelin.device.DType;
import dev.javelin.device.DeviceMemory;
import dev.javelin.tensor.Grad;
import dev.javelin.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/**
 * The launches of {@code layer_norm.cu} and {@code rms_norm.cu}, which are one kernel ({@code
 * norm.cuh}), with and without a residual. Without {@code mean} it is RMS normalisation, which has
 * a weight and no bias.
 */
final class NormCuda {
  private static final int ROWS_OF_BLOCK = 4; // where a warp has a row
  private static final int WARP_BYTES = 4096; // of a row, or of a sum over rows, in its registers
  private static final int BLOCKS = 2; // of the backward pass, on a multiprocessor at once

  private NormCuda() {}

  /** {@code sum} and {@code h} are {@code null} without a residual. */
  static void forward(
      Cuda cuda,
      @Nullable Tensor sum,
      Tensor y,
      @Nullable Tensor mean,
      Tensor rstd,
      Tensor x,
      @Nullable Tensor h,
      @Nullable Tensor w,
      @Nullable Tensor b,
      float eps) {
    boolean isLong = isLonger(x, WARP_BYTES);
    kernel(cuda, mean == null ? "rms_norm_forward" : "layer_norm_forward", x, isLong)
        .grid(isLong ? x.rows() : Math.ceilDiv(x.rows(), ROWS_OF_BLOCK))
        .ptr(sum)
        .i64(strideOf(sum))
        .ptr(y)
        .i64(y.rowStride())
        .ptr(mean)
        .ptr(rstd)
        .ptr(x)
        .i64(x.rowStride())
        .ptr(h)
        .i64(strideOf(h))
        .ptr(w)
        .ptr(b)
        .f32(eps)
        .i64(x.rows())
        .i32(x.last())
        .i32(flag(inVectors(sum, y, x, h, w, b)))
        .run();
  }

  /** Every gradient may be {@code null}: nobody wants it, or it is zero. */
  static void backward(
      Cuda cuda,
      @Nullable Grad dx,
      @Nullable Grad dh,
      @Nullable Grad dw,
      @Nullable Grad db,
      @Nullable Tensor dsum,
      @Nullable Tensor dy,
      Tensor x,
      @Nullable Tensor w,
      @Nullable Tensor mean,
      Tensor rstd) {
    int rows = x.rows();
    boolean isLong = isLonger(x, mean == null ? WARP_BYTES : WARP_BYTES / 2); // sums: dw; dw and db
    int atOnce = cuda.properties().multiprocessors() * BLOCKS * (isLong ? 1 : ROWS_OF_BLOCK);
    int share = Math.max(1, Math.ceilDiv(rows, atOnce));
    int shares = Math.ceilDiv(rows, share);
    long bytes = DType.F32.bytes((long) shares * x.last()); // of one gradient's partial rows
    DeviceMemory partial =
        dw == null && db == null ? null : cuda.scratch((db == null ? 1 : 2) * bytes);
    Addressable weight = dw == null ? null : partial;
    Addressable bias = db == null || partial == null ? null : () -> partial.address() + bytes;
    kernel(cuda, mean == null ? "rms_norm_backward" : "layer_norm_backward", x, isLong)
        .grid(isLong ? shares : Math.ceilDiv(shares, ROWS_OF_BLOCK))
        .ptr(tensorOf(dx))
        .i64(strideOf(dx))
        .i32(adds(dx))
        .ptr(tensorOf(dh))
        .i64(strideOf(dh))
        .i32(adds(dh))
        .ptr(weight)
        .ptr(bias)
        .ptr(dsum)
        .i64(strideOf(dsum))
        .ptr(dy)
        .i64(strideOf(dy))
        .ptr(x)
        .i64(x.rowStride())
        .ptr(w)
        .ptr(mean)
        .ptr(rstd)
        .i64(rows)
        .i64(share)
        .i32(x.last())
        .i32(flag(inVectors(tensorOf(dx), tensorOf(dh), dsum, dy, x, w)))
        .run();
    if (dw != null && weight != null) {
      PartialSum.run(cuda, dw.tensor(), dw.accumulate(), weight, shares);
    }
    if (db != null && bias != null) {
      PartialSum.run(cuda, db.tensor(), db.accumulate(), bias, shares);
    }
  }

  private static CudaKernel kernel(Cuda cuda, String name, Tensor x, boolean isLong) {
    return cuda.kernel(isLong ? name.concat("_long") : name, x.dtype());
  }

  private static boolean isLonger(Tensor x, int bytes) {
    return x.dtype().bytes(x.last()) > bytes;
  }
}
