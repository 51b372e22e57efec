package dev.javelin.kernels.cuda;

import dev.javelin.device.Addressable;
import dev.javelin.device.Cuda;
import dev.javelin.device.CudaKernel;
import dev.javelin.device.DeviceMemory;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** {@code lamb.cu}: the moments and the norms of each segment, before {@link UpdateCuda}'s pass. */
public final class LambCuda {
  private static final int NORMS = 2; // of weights and direction
  private static final int MAX_BLOCKS = 256; // of a segment: what a block adds at once

  private LambCuda() {}

  /**
   * One update of all parts, each of which is one parameter; arguments as {@link UpdateCuda#step}
   * has them.
   */
  public static void step(
      Cuda cuda,
      String rule,
      UpdateCuda.Weights weights,
      List<? extends @Nullable Addressable> kept,
      List<UpdateCuda.Part> parts,
      Addressable state,
      List<? extends @Nullable Addressable> read,
      float... numbers) {
    for (UpdateCuda.Table table : UpdateCuda.Table.of(parts)) {
      CudaKernel moments = cuda.kernel("lamb_moments", weights.type());
      int blocks = (int) Math.min(MAX_BLOCKS, UpdateCuda.blocks(moments, table.longest()));
      long bytes = (long) Double.BYTES * NORMS * blocks * table.count();
      DeviceMemory constants = UpdateCuda.constants(cuda, rule, table, state, bytes, read, numbers);
      Addressable partial = constants.plus(UpdateCuda.MAX_SEGMENTS * UpdateCuda.CONSTANTS_BYTES);
      moments
          .grid(blocks, table.count())
          .ptr(weights.copy())
          .ptr(weights.w())
          .ptr(weights.grad())
          .ptr(kept.get(0))
          .ptr(kept.get(1))
          .ptr(constants)
          .ptr(state)
          .words(table.words())
          .ptr(partial)
          .run();
      cuda.kernel("lamb_trust")
          .grid(table.count())
          .ptr(constants)
          .ptr(state)
          .ptr(partial)
          .i32(blocks)
          .run();
      UpdateCuda.elements(cuda, rule, weights, kept, table, constants, state);
    }
  }
}
