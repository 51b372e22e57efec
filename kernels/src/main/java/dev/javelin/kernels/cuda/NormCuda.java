package dev.javelin.kernels.cuda;

import dev.javelin.device.Addressable;
import dev.javelin.device.Cuda;
import dev.javelin.device.DType;
import dev.javelin.device.DeviceMemory;
import org.jspecify.annotations.Nullable;

/**
 * {@code layer_norm.cu} and {@code rms_norm.cu}, which are one kernel ({@code norm.cuh}), with and
 * without a residual. Without {@code mean} it is RMS normalisation, which has a weight and no bias.
 */
public final class NormCuda {
  static final int WARP_BYTES = 4096; // of a row, or of a sum over rows, in its registers
  private static final int BLOCKS = 2; // of the backward pass, on a multiprocessor at once

  private NormCuda() {}

  /** {@code sum} and {@code h} are {@code null} without a residual; mean and rstd are F32. */
  public static void forward(
      Cuda cuda,
      @Nullable CudaRows sum,
      CudaRows y,
      @Nullable Addressable mean,
      Addressable rstd,
      CudaRows x,
      @Nullable CudaRows h,
      @Nullable CudaRows w,
      float offset,
      @Nullable CudaRows b,
      float eps) {
    RowGrid grid = grid(cuda, mean, "norm_forward", x, x.count(), WARP_BYTES);
    grid.kernel()
        .grid(grid.blocks())
        .ptr(sum)
        .i64(CudaRows.stride(sum))
        .ptr(y)
        .i64(y.stride())
        .ptr(mean)
        .ptr(rstd)
        .ptr(x)
        .i64(x.stride())
        .ptr(h)
        .i64(CudaRows.stride(h))
        .ptr(w)
        .f32(offset)
        .ptr(b)
        .f32(eps)
        .i64(x.count())
        .i32(x.cols())
        .i32(CudaRows.flag(CudaRows.inVectors(sum, y, x, h, w, b)))
        .run();
  }

  /** Every gradient may be {@code null}: nobody wants it, or it is zero. */
  public static void backward(
      Cuda cuda,
      @Nullable CudaRows dx,
      @Nullable CudaRows dh,
      @Nullable CudaRows dw,
      @Nullable CudaRows db,
      @Nullable CudaRows dsum,
      @Nullable CudaRows dy,
      CudaRows x,
      @Nullable CudaRows w,
      float offset,
      @Nullable Addressable mean,
      Addressable rstd) {
    int rows = x.count();
    int most = mean == null ? WARP_BYTES : WARP_BYTES / 2; // sums: dw; dw and db
    RowGrid kernel = grid(cuda, mean, "norm_backward", x, rows, most);
    int warps = kernel.isLong() ? 1 : RowGrid.warps(kernel.kernel());
    int atOnce = cuda.properties().multiprocessors() * BLOCKS * warps;
    int share = Math.max(1, Math.ceilDiv(rows, atOnce));
    int shares = Math.ceilDiv(rows, share);
    long bytes = DType.F32.bytes((long) shares * x.cols()); // of one gradient's partial rows
    DeviceMemory partial =
        dw == null && db == null ? null : cuda.scratch((db == null ? 1 : 2) * bytes);
    Addressable weight = dw == null ? null : partial;
    Addressable bias = db == null || partial == null ? null : partial.plus(bytes);
    kernel
        .kernel()
        .grid(Math.ceilDiv(shares, warps))
        .ptr(dx)
        .i64(CudaRows.stride(dx))
        .i32(CudaRows.adds(dx))
        .ptr(dh)
        .i64(CudaRows.stride(dh))
        .i32(CudaRows.adds(dh))
        .ptr(weight)
        .ptr(bias)
        .ptr(dsum)
        .i64(CudaRows.stride(dsum))
        .ptr(dy)
        .i64(CudaRows.stride(dy))
        .ptr(x)
        .i64(x.stride())
        .ptr(w)
        .f32(offset)
        .ptr(mean)
        .ptr(rstd)
        .i64(rows)
        .i64(share)
        .i32(x.cols())
        .i32(CudaRows.flag(CudaRows.inVectors(dx, dh, dsum, dy, x, w)))
        .run();
    if (dw != null && weight != null) {
      PartialSumCuda.run(cuda, dw, dw.accumulate(), weight, shares, dw.cols());
    }
    if (db != null && bias != null) {
      PartialSumCuda.run(cuda, db, db.accumulate(), bias, shares, db.cols());
    }
  }

  private static RowGrid grid(
      Cuda cuda, @Nullable Addressable mean, String name, CudaRows x, int rows, int mostBytes) {
    String kernel = (mean == null ? "rms_" : "layer_").concat(name);
    return RowGrid.of(cuda, kernel, x.type(), rows, x.type().bytes(x.cols()) > mostBytes);
  }
}
