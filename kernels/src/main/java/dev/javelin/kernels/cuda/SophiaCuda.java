package dev.javelin.kernels.cuda;

import dev.javelin.device.Addressable;
import dev.javelin.device.Cuda;

/** The estimate of {@code sophia.cu}; the update itself is {@link UpdateCuda}'s. */
public final class SophiaCuda {
  private SophiaCuda() {}

  /** {@code h = beta2·h + (1-beta2)·(grad/lossScale)²; grad = 0} for n elements. */
  public static void estimate(
      Cuda cuda, Addressable h, Addressable grad, Addressable state, float beta2, long n) {
    UpdateCuda.elements(cuda.kernel("sophia_estimate"), n, 1)
        .ptr(h)
        .ptr(grad)
        .ptr(state)
        .i64(n)
        .f32(beta2)
        .run();
  }
}
