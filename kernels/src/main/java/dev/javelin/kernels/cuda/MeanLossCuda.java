package dev.javelin.kernels.cuda;

import dev.javelin.device.Addressable;
import dev.javelin.device.Cuda;
import org.jspecify.annotations.Nullable;

/** {@code mean_loss.cu}; loss, losses and weight are F32. */
public final class MeanLossCuda {
  private MeanLossCuda() {}

  /** {@code weight = 1 / (number of targets other than ignoreIndex)}, or 0. */
  public static void weightOfValid(
      Cuda cuda, Addressable weight, Addressable targets, long count, int ignoreIndex) {
    cuda.kernel("mean_loss_weight")
        .grid(1)
        .ptr(weight)
        .ptr(targets)
        .i64(count)
        .i32(ignoreIndex)
        .run();
  }

  /** {@code loss = weight · Σ losses}; {@code state} gets it added to its sum of the step. */
  public static void forward(
      Cuda cuda,
      Addressable loss,
      Addressable losses,
      long count,
      Addressable weight,
      @Nullable Addressable state) {
    cuda.kernel("mean_loss_forward")
        .grid(1)
        .ptr(loss)
        .ptr(state)
        .ptr(losses)
        .ptr(weight)
        .i64(count)
        .run();
  }

  /** {@code dlosses[i] (+)= weight · dy}. */
  public static void backward(
      Cuda cuda,
      Addressable dlosses,
      long count,
      boolean accumulate,
      Addressable dy,
      Addressable weight) {
    cuda.kernel("mean_loss_backward")
        .threads(count)
        .ptr(dlosses)
        .i32(CudaRows.flag(accumulate))
        .ptr(dy)
        .ptr(weight)
        .i64(count)
        .run();
  }
}
