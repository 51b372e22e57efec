package dev.javelin.kernels.cuda;

import dev.javelin.device.Addressable;
import dev.javelin.device.Cuda;
import dev.javelin.device.CudaKernel;
import dev.javelin.device.DeviceMemory;
import dev.javelin.device.Launch;
import java.util.Collections;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** AdamW with moments in eight bits, {@code adam_w_8bit.cu}; its constants are AdamW's. */
public final class AdamW8bitCuda {
  private static final long BLOCK = 128;
  private static final long MAX_BLOCKS = 1 << 12; // each goes on with what others left

  private AdamW8bitCuda() {}

  /**
   * One update of all parts, which begin and end at blocks.
   *
   * @param moments codes of m, their scales, codes of the root of v, their scales
   * @param numbers of AdamW's kernel of constants
   */
  public static void step(
      Cuda cuda,
      UpdateCuda.Weights weights,
      List<? extends Addressable> moments,
      List<UpdateCuda.Part> parts,
      Addressable state,
      @Nullable Addressable epsScale,
      float... numbers) {
    List<@Nullable Addressable> read = Collections.singletonList(epsScale);
    for (UpdateCuda.Table table : UpdateCuda.Table.of(parts)) {
      DeviceMemory constants = UpdateCuda.constants(cuda, "adam_w", table, state, 0, read, numbers);
      CudaKernel kernel = cuda.kernel("adam_w_8bit_step", weights.type());
      long blocks = Math.ceilDiv(table.longest(), BLOCK * (kernel.blockSize() / 32));
      Launch launch = kernel.grid(Math.min(blocks, MAX_BLOCKS), table.count());
      launch.ptr(weights.copy()).ptr(weights.w()).ptr(weights.grad());
      moments.forEach(launch::ptr);
      launch.ptr(constants).ptr(state).words(table.words());
      launch.i64(weights.first()).i32(weights.stochastic() ? 1 : 0).run();
    }
  }
}
