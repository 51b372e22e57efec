package dev.javelin.tensor.op;

import dev.javelin.device.Cpu;
import dev.javelin.device.Cuda;
import dev.javelin.device.DType;
import dev.javelin.device.DeviceMemory;
import dev.javelin.kernels.cpu.GlobalNormCpu;
import dev.javelin.tensor.Check;
import dev.javelin.tensor.LossScaling;
import dev.javelin.tensor.StepState;
import dev.javelin.tensor.Tensor;

/**
 * The norm of the whole gradient, and with it everything that a step decides: clip factor,
 * overflow, skip, the next loss scale. No gradient flows through it.
 */
public final class GlobalNorm {
  private static final long MAX_PIECES = 1024; // a few blocks for each multiprocessor
  private static final long PIECE = 4096; // elements, or a multiple

  private GlobalNorm() {}

  /**
   * {@code norm = sqrt(Σ g²) / lossScale}, summed in double over a partition that depends on the
   * length alone, then {@link StepState#decide}. Reads 4·n bytes, writes into {@code state}.
   *
   * @param grads fp32, contiguous: the flat gradient buffer
   * @param maxNorm the norm beyond which the gradient is scaled down to it; infinity for never
   */
  public static void run(StepState state, Tensor grads, float maxNorm, LossScaling scaling) {
    Check.that("globalNorm")
        .dtype("grads", grads, DType.F32)
        .contiguous("grads", grads)
        .is(
            maxNorm > 0,
            () -> "maxNorm must be positive (infinity for no clipping), got " + maxNorm);
    switch (grads.device()) {
      case Cpu cpu ->
          state.decide(
              GlobalNormCpu.sumOfSquares(cpu, grads.segment(), grads.elements()), maxNorm, scaling);
      case Cuda cuda -> {
        long n = grads.elements();
        long piece = Math.ceilDiv(Math.ceilDiv(n, MAX_PIECES), PIECE) * PIECE;
        int pieces = n == 0 ? 0 : (int) Math.ceilDiv(n, piece);
        DeviceMemory partial = cuda.scratch((long) pieces * Double.BYTES);
        cuda.kernel("global_norm_partial")
            .grid(pieces)
            .ptr(partial)
            .ptr(grads)
            .i64(n)
            .i64(piece)
            .run();
        cuda.kernel("global_norm_decide")
            .grid(1)
            .ptr(state)
            .ptr(partial)
            .i32(pieces)
            .f32(maxNorm)
            .f32(scaling.growthFactor())
            .f32(scaling.backoffFactor())
            .i32(scaling.growthInterval())
            .f32(scaling.minScale())
            .run();
      }
    }
  }
}
