package dev.javelin.kernels.cuda;

import dev.javelin.device.Addressable;
import dev.javelin.device.Cuda;
import dev.javelin.device.CudaKernel;
import dev.javelin.device.DType;
import dev.javelin.device.DeviceMemory;
import dev.javelin.device.Launch;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * The update rules of optimizers, {@code adam_w.cu} and those after it, which differ in their
 * source alone. {@code RULE_constants} does in one thread for each segment the arithmetic that all
 * its elements share; {@code RULE_step} goes over the elements:
 *
 * <pre>
 * RULE_constants   (constants, state, segments, count, numbers…)
 * RULE_step_TYPE   (copy, buffers…, constants, state, segments, numbers…)
 * </pre>
 */
public final class UpdateCuda {
  static final int MAX_SEGMENTS = 16;
  static final int CONSTANTS_BYTES = 64; // of a segment, at most
  private static final long THREAD_ELEMENTS = 4;
  private static final long MAX_BLOCKS = 1 << 12; // each goes on with what others left

  private UpdateCuda() {}

  /** Elements {@code [from, to)} that are updated alike. */
  public record Part(long from, long to, float lrScale, float weightDecay) {}

  /**
   * One update of all parts.
   *
   * @param rule the name that its kernels begin with
   * @param copy the weights in {@code type}, written only; {@code null} where the first buffer is
   *     they
   * @param buffers F32, weights, what the rule remembers, gradients, as its kernel has them
   * @param state the step's
   * @param numbers the rule's own
   */
  public static void step(
      Cuda cuda,
      String rule,
      @Nullable Addressable copy,
      DType type,
      List<? extends Addressable> buffers,
      List<Part> parts,
      Addressable state,
      float... numbers) {
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
      Launch first =
          cuda.kernel(rule.concat("_constants"))
              .grid(1)
              .ptr(constants)
              .ptr(state)
              .words(table)
              .i32(some.size());
      with(first, numbers).run();
      CudaKernel kernel = cuda.kernel(rule.concat("_step"), type);
      long blocks = Math.ceilDiv(longest, THREAD_ELEMENTS * kernel.blockSize());
      Launch second = kernel.grid(Math.min(blocks, MAX_BLOCKS), some.size()).ptr(copy);
      buffers.forEach(second::ptr);
      with(second.ptr(constants).ptr(state).words(table), numbers).run();
    }
  }

  private static Launch with(Launch launch, float... numbers) {
    for (float number : numbers) {
      launch.f32(number);
    }
    return launch;
  }
}
