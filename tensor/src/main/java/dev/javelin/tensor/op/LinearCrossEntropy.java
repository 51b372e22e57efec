package dev.javelin.tensor.op;

import static dev.javelin.tensor.op.Operands.cudaRows;
import static dev.javelin.tensor.op.Operands.cudaRowsOrNull;

import dev.javelin.device.Cpu;
import dev.javelin.device.Cuda;
import dev.javelin.device.DType;
import dev.javelin.device.Device;
import dev.javelin.kernels.cpu.LinearCrossEntropyCpu;
import dev.javelin.kernels.cpu.LinearCrossEntropyCpu.Matrix;
import dev.javelin.kernels.cuda.LinearCrossEntropyCuda;
import dev.javelin.tensor.Check;
import dev.javelin.tensor.Grad;
import dev.javelin.tensor.Shape;
import dev.javelin.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/**
 * {@link CrossEntropy} of {@code logits = x·wᵀ}, computed some rows at a time: the logits of all
 * rows never exist together. x [.., C] with dense rows; w [V, C] of the same type; targets I32 and
 * losses F32 of x's leading dimensions. The logits are F32; their gradient is rounded to x's type
 * on a GPU, as an operand of tensor cores, and to bf16 on a CPU where x is bf16. dw gets the chunks
 * of rows in their order.
 *
 * <p>With half types on compute capability 9.0 the logits stay in registers, where rows begin at
 * 16-byte boundaries and are not few. {@link #forwardBackward} in bf16, without label smoothing,
 * then rounds exponentials and x times a number of the row, and not dlogits: its bits are not those
 * of {@link #forward} and {@link #backward} in turn.
 *
 * <p>A scratch tensor is F32 [rows at a time, V in whole vectors], with any content: {@link
 * #scratch} has the shape that suits the device. Other numbers of rows change the rounding of sums
 * only.
 *
 * @see <a href="https://arxiv.org/abs/2411.09009">Cut your losses in large-vocabulary language
 *     models</a>
 */
public final class LinearCrossEntropy {
  private static final int GPU_ROWS = 4096;
  private static final int GPU_SMALL = 1 << 26; // logits, 256 MiB
  private static final int GPU_LIMIT = 1 << 28; // logits, 1 GiB
  private static final int GPU_TILE = 128; // rows of a product's result that a block computes

  private LinearCrossEntropy() {}

  /**
   * The shape of the scratch tensor. It depends on the sizes and on whether the device is a GPU,
   * nothing else, and so does every bit of the result.
   */
  public static Shape scratch(Device device, int rows, int vocabulary) {
    int chunk =
        switch (device) {
          case Cpu _ -> LinearCrossEntropyCpu.chunkRows(rows, vocabulary);
          case Cuda _ -> gpuRows(rows, vocabulary);
        };
    return scratch(chunk, vocabulary);
  }

  private static Shape scratch(int chunk, int vocabulary) {
    return Shape.of(chunk, LinearCrossEntropyCpu.logitStride(vocabulary));
  }

  /**
   * Rows at a time on a GPU. With s bytes an element, each chunk of n rows moves the weight twice
   * and its fp32 gradient in and out, {@code V·C·(2s + 8)} bytes, for products of {@code 6·n·V·C}
   * FLOPs. On a card of P FLOP/s and B bytes/s that traffic takes {@code (2s + 8)/6 · P/B / n} of
   * the products' time, whatever V and C are. P/B is 150 to 210 with tensor cores (A100, H100,
   * H200, RTX 4090), so of half types it is {@code 300/n … 420/n}: more than all of it with a CPU's
   * 256 rows, 7 to 10 % with the 4096 taken here, and hidden behind the products, which are not
   * memory bound then.
   *
   * <p>Fewer where their logits would pass 1 GiB (V above 65536), more as long as they take no more
   * than 256 MiB (V below 16384). Chunks are as equal as whole tiles of the products allow.
   */
  public static int gpuRows(int rows, int vocabulary) {
    int wanted = Math.max(GPU_ROWS, GPU_SMALL / vocabulary);
    int most = tiles(Math.max(GPU_TILE, Math.min(wanted, GPU_LIMIT / vocabulary)));
    int chunks = Math.ceilDiv(Math.max(1, rows), most);
    return Math.clamp(tiles(Math.ceilDiv(rows, chunks) + GPU_TILE - 1), 1, Math.max(1, rows));
  }

  /** Rounded down to whole tiles. */
  private static int tiles(int rows) {
    return rows / GPU_TILE * GPU_TILE;
  }

  /**
   * The losses alone.
   *
   * @param stats F32 [R, 2], saved for {@link #backward}
   */
  public static void forward(
      Tensor losses,
      Tensor stats,
      Tensor x,
      Tensor w,
      Tensor targets,
      LossOptions options,
      Tensor scratch) {
    run(losses, stats, null, null, null, x, w, targets, options, scratch);
  }

  /**
   * {@code dx = dlogits·w} and {@code dw = dlogitsᵀ·x} with the logits computed again; dx of x's
   * type, dw F32, either may be {@code null}; dy F32, the shape of targets.
   */
  public static void backward(
      @Nullable Grad dx,
      @Nullable Grad dw,
      Tensor dy,
      Tensor x,
      Tensor w,
      Tensor targets,
      Tensor stats,
      LossOptions options,
      Tensor scratch) {
    if (dx != null || dw != null) {
      run(null, stats, dx, dw, dy, x, w, targets, options, scratch);
    }
  }

  /**
   * {@link #forward} and {@link #backward} at once, where the gradient of the losses is known
   * beforehand: a third less work.
   */
  public static void forwardBackward(
      Tensor losses,
      Tensor stats,
      @Nullable Grad dx,
      @Nullable Grad dw,
      Tensor dy,
      Tensor x,
      Tensor w,
      Tensor targets,
      LossOptions options,
      Tensor scratch) {
    run(losses, stats, dx, dw, dy, x, w, targets, options, scratch);
  }

  private static void run(
      @Nullable Tensor losses,
      Tensor stats,
      @Nullable Grad dx,
      @Nullable Grad dw,
      @Nullable Tensor dy,
      Tensor x,
      Tensor w,
      Tensor targets,
      LossOptions options,
      Tensor scratch) {
    check(losses, stats, dx, dw, dy, x, w, targets, options, scratch);
    switch (x.device()) {
      case Cpu cpu ->
          LinearCrossEntropyCpu.run(
              cpu,
              losses == null ? null : losses.segment(),
              stats.segment(),
              dx == null ? null : matrix(dx.tensor()),
              dx != null && dx.accumulate(),
              dw == null ? null : matrix(dw.tensor()),
              dw != null && dw.accumulate(),
              dy == null ? null : dy.segment(),
              matrix(x),
              matrix(w),
              targets.segment(),
              scratch.segment(),
              x.rows(),
              x.last(),
              w.dim(0),
              scratch.dim(0),
              options.form());
      case Cuda cuda ->
          LinearCrossEntropyCuda.run(
              cuda,
              losses,
              stats,
              cudaRowsOrNull(dx),
              cudaRowsOrNull(dw),
              dy,
              cudaRows(x),
              cudaRows(w),
              targets,
              options.form(),
              cudaRows(scratch));
    }
  }

  private static Matrix matrix(Tensor t) {
    return new Matrix(t.segment(), t.dtype(), t.rowStride());
  }

  private static void check(
      @Nullable Tensor losses,
      Tensor stats,
      @Nullable Grad dx,
      @Nullable Grad dw,
      @Nullable Tensor dy,
      Tensor x,
      Tensor w,
      Tensor targets,
      LossOptions options,
      Tensor scratch) {
    Check check =
        Check.that("linearCrossEntropy")
            .floats("x", x)
            .dtype("w", w, x.dtype())
            .rank("w", w, 2)
            .shape("w", w, Shape.of(w.dim(0), x.last()))
            .denseRows("x", x)
            .denseRows("w", w)
            .is(
                targets.elements() == x.rows(),
                () ->
                    "targets must have one element for each row of x "
                        + x.shape()
                        + ", got "
                        + targets.shape())
            .shape("stats", stats, Shape.of(x.rows(), 2))
            .dtype("stats", stats, DType.F32)
            .like("dx", dx, "x", x)
            .denseRows("dx", dx)
            .weightGrad("dw", dw, "w", w)
            .denseRows("dw", dw)
            .dtype("scratch", scratch, DType.F32)
            .rank("scratch", scratch, 2)
            .shape("scratch", scratch, scratch(Math.max(1, scratch.dim(0)), w.dim(0)))
            .contiguous("scratch", scratch);
    checkLosses(check, "losses", losses, targets);
    checkLosses(check, "dy", dy, targets);
    Ids.check(
        "linearCrossEntropy", "targets", targets, w.dim(0), "vocabulary", options.ignoreIndex());
  }

  private static void checkLosses(Check check, String name, @Nullable Tensor t, Tensor targets) {
    if (t != null) {
      check.sameShape(name, t, "targets", targets).dtype(name, t, DType.F32).contiguous(name, t);
    }
  }
}
