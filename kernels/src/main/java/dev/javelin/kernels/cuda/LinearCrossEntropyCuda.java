package dev.javelin.kernels.cuda;

import dev.javelin.device.Addressable;
import dev.javelin.device.Cuda;
import dev.javelin.device.CudaKernel;
import dev.javelin.device.DType;
import dev.javelin.device.Launch;
import dev.javelin.kernels.CrossEntropyForm;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * Cross-entropy of {@code logits = x·wᵀ} on a GPU: for each chunk of rows a product, {@code
 * linear_cross_entropy.cu}, and two products. The logits' gradient takes the place of the logits,
 * in the type of x, so that all products of half types run on tensor cores. dw gets the chunks in
 * their order.
 */
public final class LinearCrossEntropyCuda {
  static final int UNIT = 8; // columns of a thread
  private static final int ALIGNMENT = 1024; // of a launch's shared memory

  private LinearCrossEntropyCuda() {}

  /**
   * Losses, gradients or both; lengths are x's rows.
   *
   * @param losses F32; {@code null}: stats are there already
   * @param stats F32 [rows, 2]
   * @param dw F32
   * @param dy F32; {@code null}: no gradients
   * @param targets I32
   * @param scratch F32, as many rows as there are in a chunk, of at least w's rows columns
   */
  public static void run(
      Cuda cuda,
      @Nullable Addressable losses,
      Addressable stats,
      @Nullable CudaRows dx,
      @Nullable CudaRows dw,
      @Nullable Addressable dy,
      CudaRows x,
      CudaRows w,
      Addressable targets,
      CrossEntropyForm form,
      CudaRows scratch) {
    if (LinearCrossEntropyHopper.fits(cuda, x, w, dx, scratch)) {
      LinearCrossEntropyHopper.run(cuda, losses, stats, dx, dw, dy, x, w, targets, form, scratch);
      return;
    }
    int vocabulary = w.count();
    for (int from = 0; from < x.count(); from += scratch.count()) {
      int n = Math.min(scratch.count(), x.count() - from);
      CudaRows xs = x.from(from, n);
      Addressable ts = targets.plus(DType.I32.bytes(from));
      Addressable ss = stats.plus(DType.F32.bytes(2L * from));
      CudaRows logits =
          new CudaRows(scratch.data(), DType.F32, n, vocabulary, scratch.stride(), false);
      product(cuda, logits, xs.matrix(false), w.matrix(true), x.cols(), false);
      Addressable ls = losses == null ? null : losses.plus(DType.F32.bytes(from));
      if (dy == null) {
        CrossEntropyCuda.forward(cuda, Objects.requireNonNull(ls), ss, logits, ts, form);
        continue;
      }
      CudaRows dlogits =
          gradient(cuda, logits, dy.plus(DType.F32.bytes(from)), x.type(), ts, ls, ss, form);
      if (dx != null) {
        CudaRows d = dx.from(from, n);
        product(cuda, d, dlogits.matrix(false), w.matrix(false), vocabulary, dx.accumulate());
      }
      if (dw != null) {
        boolean add = dw.accumulate() || from > 0;
        product(cuda, dw, dlogits.matrix(true), xs.matrix(false), n, add);
      }
    }
  }

  /** {@code c (+)= op(a) · op(b)} with the sum over k. */
  static void product(
      Cuda cuda, CudaRows c, CudaMatrix a, CudaMatrix b, int k, boolean accumulate) {
    MatmulCuda.run(cuda, c.matrix(false), a, b, c.count(), c.cols(), k, 1, accumulate);
  }

  /** The gradient of the logits, over them, in the type of the products to come; and losses. */
  private static CudaRows gradient(
      Cuda cuda,
      CudaRows logits,
      Addressable dy,
      DType type,
      Addressable targets,
      @Nullable Addressable losses,
      Addressable stats,
      CrossEntropyForm form) {
    RowGrid grid = RowGrid.of(cuda, "linear_cross_entropy", type, logits);
    int kept = grid.isLong() && losses != null ? kept(cuda, grid.kernel(), logits.cols()) : 0;
    Launch launch =
        grid.kernel()
            .grid(grid.blocks())
            .shared((int) DType.F32.bytes(kept))
            .ptr(logits)
            .i64(logits.stride())
            .ptr(dy)
            .ptr(targets)
            .ptr(losses)
            .ptr(stats)
            .i64(logits.count())
            .i32(logits.cols())
            .i32(kept);
    CrossEntropyCuda.form(launch, form).run();
    long stride = logits.stride() * DType.F32.bytes(1) / type.bytes(1);
    return new CudaRows(logits.data(), type, logits.count(), logits.cols(), stride, false);
  }

  /** Columns of a row that shared memory takes, in whole units: one block has a multiprocessor. */
  private static int kept(Cuda cuda, CudaKernel kernel, int cols) {
    int bytes = cuda.properties().sharedMemory() - kernel.staticShared() - ALIGNMENT;
    return Math.min(cols, (int) (bytes / DType.F32.bytes(1))) / UNIT * UNIT;
  }
}
