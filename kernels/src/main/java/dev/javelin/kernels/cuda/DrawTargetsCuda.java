package dev.javelin.kernels.cuda;

import dev.javelin.device.Addressable;
import dev.javelin.device.Cuda;
import dev.javelin.device.CudaKernel;

/** {@code draw_targets.cu}: classes drawn from the softmax of rows of logits. */
public final class DrawTargetsCuda {
  private DrawTargetsCuda() {}

  /**
   * ids and targets I32, one element for each row of the logits.
   *
   * @param first number of the first row in the micro-batch
   * @param length rows of a sequence
   */
  public static void run(
      Cuda cuda,
      Addressable ids,
      CudaRows logits,
      Addressable targets,
      Addressable state,
      int first,
      int length,
      int ignored,
      float softCap) {
    CudaKernel kernel = cuda.kernel("draw_targets", logits.type());
    kernel
        .grid(RowGrid.blocks(kernel, logits.count()))
        .ptr(ids)
        .ptr(logits)
        .i64(logits.stride())
        .ptr(targets)
        .ptr(state)
        .i64(logits.count())
        .i32(logits.cols())
        .i32(first)
        .i32(length)
        .i32(ignored)
        .f32(softCap)
        .run();
  }
}
