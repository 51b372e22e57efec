package dev.javelin.kernels.cuda;

import dev.javelin.device.Addressable;
import dev.javelin.device.Cuda;
import dev.javelin.device.CudaKernel;
import dev.javelin.device.DeviceMemory;
import dev.javelin.kernels.VectorNorm;

/** {@code global_norm.cu}, over n contiguous F32 gradients; {@code state} is a step's. */
public final class GlobalNormCuda {
  private static final long MAX_PIECES = 1024; // a few blocks for each multiprocessor
  private static final long PIECE = 4096; // elements, or a multiple
  private static final long THREAD_ELEMENTS = 4;

  private GlobalNormCuda() {}

  /** What a step does with its loss scale. */
  public record Scaling(
      float growthFactor, float backoffFactor, int growthInterval, float minScale) {}

  /** The norm, and what the step decides by it. */
  public static void run(
      Cuda cuda,
      Addressable state,
      Addressable grads,
      long n,
      VectorNorm kind,
      float maxNorm,
      Scaling scaling) {
    long piece = piece(n);
    DeviceMemory partial = partial(cuda, grads, n, piece, kind);
    cuda.kernel("global_norm_decide")
        .grid(1)
        .ptr(state)
        .ptr(partial)
        .i32(pieces(n, piece))
        .i32(kind.ordinal())
        .f32(maxNorm)
        .f32(scaling.growthFactor)
        .f32(scaling.backoffFactor)
        .i32(scaling.growthInterval)
        .f32(scaling.minScale)
        .run();
  }

  /** {@code to = ‖g‖ / lossScale}, by the Euclidean norm; to one F32. */
  public static void measure(
      Cuda cuda, Addressable to, Addressable state, Addressable grads, long n) {
    long piece = piece(n);
    DeviceMemory partial = partial(cuda, grads, n, piece, VectorNorm.L2);
    cuda.kernel("global_norm_measure")
        .grid(1)
        .ptr(to)
        .ptr(state)
        .ptr(partial)
        .i32(pieces(n, piece))
        .run();
  }

  /** Notes in {@code state} whether one of n F32 is not finite, or was in an earlier buffer. */
  public static void spoil(Cuda cuda, Addressable state, Addressable x, long n, boolean first) {
    long piece = piece(n);
    DeviceMemory partial = partial(cuda, x, n, piece, VectorNorm.MAX);
    cuda.kernel("global_norm_spoil")
        .grid(1)
        .ptr(state)
        .ptr(partial)
        .i32(pieces(n, piece))
        .i32(first ? 1 : 0)
        .run();
  }

  private static long piece(long n) {
    return Math.ceilDiv(Math.ceilDiv(n, MAX_PIECES), PIECE) * PIECE;
  }

  private static int pieces(long n, long piece) {
    return n == 0 ? 0 : (int) Math.ceilDiv(n, piece);
  }

  /** A double for each piece. */
  private static DeviceMemory partial(
      Cuda cuda, Addressable grads, long n, long piece, VectorNorm kind) {
    int pieces = pieces(n, piece);
    DeviceMemory partial = cuda.scratch((long) pieces * Double.BYTES);
    cuda.kernel("global_norm_partial")
        .grid(pieces)
        .ptr(partial)
        .ptr(grads)
        .i64(n)
        .i64(piece)
        .i32(kind.ordinal())
        .run();
    return partial;
  }

  /** {@code g = min(max(g, −v), v)} with {@code v = maxValue / gradScale}. */
  public static void clipValues(
      Cuda cuda, Addressable state, Addressable grads, long n, float maxValue) {
    CudaKernel kernel = cuda.kernel("global_norm_clip_values");
    kernel
        .grid(Math.min(MAX_PIECES, Math.ceilDiv(n, THREAD_ELEMENTS * kernel.blockSize())))
        .ptr(grads)
        .i64(n)
        .ptr(state)
        .f32(maxValue)
        .run();
  }
}
