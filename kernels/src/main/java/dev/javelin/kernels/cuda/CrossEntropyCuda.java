package dev.javelin.kernels.cuda;

import dev.javelin.device.Addressable;
import dev.javelin.device.Cuda;
import dev.javelin.device.Launch;
import dev.javelin.kernels.CrossEntropyForm;

/** {@code cross_entropy.cu}: losses of rows of logits. */
public final class CrossEntropyCuda {
  private CrossEntropyCuda() {}

  /**
   * @param losses F32 [rows]
   * @param stats F32 [rows, 2]
   * @param targets I32 [rows]
   */
  public static void forward(
      Cuda cuda,
      Addressable losses,
      Addressable stats,
      CudaRows logits,
      Addressable targets,
      CrossEntropyForm form) {
    RowGrid grid = RowGrid.of(cuda, "cross_entropy_forward", logits.type(), logits);
    Launch launch =
        grid.kernel()
            .grid(grid.blocks())
            .ptr(losses)
            .ptr(stats)
            .ptr(logits)
            .i64(logits.stride())
            .ptr(targets)
            .i64(logits.count())
            .i32(logits.cols());
    form(launch, form).run();
  }

  /**
   * @param dy F32 [rows]
   */
  public static void backward(
      Cuda cuda,
      CudaRows dlogits,
      Addressable dy,
      CudaRows logits,
      Addressable targets,
      Addressable stats,
      CrossEntropyForm form) {
    RowGrid grid = RowGrid.of(cuda, "cross_entropy_backward", logits.type(), logits);
    Launch launch =
        grid.kernel()
            .grid(grid.blocks())
            .ptr(dlogits)
            .i64(dlogits.stride())
            .i32(CudaRows.adds(dlogits))
            .ptr(dy)
            .ptr(logits)
            .i64(logits.stride())
            .ptr(targets)
            .ptr(stats)
            .i64(logits.count())
            .i32(logits.cols());
    form(launch, form).run();
  }

  static Launch form(Launch launch, CrossEntropyForm form) {
    return launch
        .i32(form.ignoreIndex())
        .f32(form.labelSmoothing())
        .f32(form.zLoss())
        .f32(form.softCap());
  }
}
