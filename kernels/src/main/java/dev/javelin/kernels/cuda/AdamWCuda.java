package dev.javelin.kernels.cuda;

import dev.javelin.device.Addressable;
import dev.javelin.device.Cuda;
import dev.javelin.device.CudaKernel;
import dev.javelin.device.DType;
import dev.javelin.device.DeviceMemory;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** {@code adam_w.cu}. */
public final class AdamWCuda {
  static final int MAX_SEGMENTS = 16;
  private static final long CONSTANTS_BYTES = 12; // of a segment
  private static final long THREAD_ELEMENTS = 4;
  private static final long MAX_BLOCKS = 1 << 12; // each goes on with what others left

  private AdamWCuda() {}

  /** Elements {@code [from, to)} that are updated alike. */
  public record Part(long from, long to, float lrScale, float weightDecay) {}

  /**
   * One update of all parts.
   *
   * @param copy the weights in {@code type}, written only; {@code null} where {@code w} are they
   * @param w F32, as m, v and grads
   * @param state the step's
   */
  public static void step(
      Cuda cuda,
      @Nullable Addressable copy,
      DType type,
      Addressable w,
      Addressable m,
      Addressable v,
      Addressable grads,
      List<Part> parts,
      Addressable state,
      float beta1,
      float beta2,
      float eps) {
    for (int i = 0; i < parts.size(); i += MAX_SEGMENTS) { // a launch carries their table
      List<Part> some = parts.subList(i, Math.min(i + MAX_SEGMENTS, parts.size()));
      long[] table = new long[4 * MAX_SEGMENTS];
      long longest = 0;
      for (int j = 0; j < some.size(); j++) {
        Part p = some.get(j);
        table[j] = p.from;
        table[MAX_SEGMENTS + j] = p.to;
        table[2 * MAX_SEGMENTS + j] = Double.doubleToRawLongBits(p.lrScale);
        table[3 * MAX_SEGMENTS + j] = Double.doubleToRawLongBits(p.weightDecay);
        longest = Math.max(longest, p.to - p.from);
      }
      DeviceMemory constants = cuda.scratch(MAX_SEGMENTS * CONSTANTS_BYTES);
      cuda.kernel("adam_w_constants")
          .grid(1)
          .ptr(constants)
          .ptr(state)
          .words(table)
          .i32(some.size())
          .f32(beta1)
          .f32(beta2)
          .run();
      CudaKernel kernel = cuda.kernel("adam_w_step", type);
      long blocks = Math.ceilDiv(longest, THREAD_ELEMENTS * kernel.blockSize());
      kernel
          .grid(Math.min(blocks, MAX_BLOCKS), some.size())
          .ptr(copy)
          .ptr(w)
          .ptr(m)
          .ptr(v)
          .ptr(grads)
          .ptr(constants)
          .ptr(state)
          .words(table)
          .f32(beta1)
          .f32(beta2)
          .f32(eps)
          .run();
    }
  }
}
