package dev.javelin.kernels.cuda;

import dev.javelin.device.Addressable;
import dev.javelin.device.Cuda;
import dev.javelin.device.CudaKernel;
import dev.javelin.device.DType;
import dev.javelin.device.DeviceMemory;
import dev.javelin.device.Launch;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * The update rules of optimizers, which differ in their source alone ({@code update.cuh}). {@code
 * RULE_constants} does in one thread for each segment the arithmetic that all its elements share;
 * {@code RULE_step} goes over the elements:
 *
 * <pre>
 * RULE_constants   (constants, state, segments, count, read…, numbers…)
 * RULE_step_TYPE   (copy, w, grad, kept, kept, kept, constants, state, segments, first, stochastic)
 * </pre>
 */
public final class UpdateCuda {
  static final int MAX_SEGMENTS = 16;
  static final int MAX_KEPT = 3;
  static final int CONSTANTS_BYTES = 64; // of a segment, at most
  private static final long THREAD_ELEMENTS = 4;
  private static final long MAX_BLOCKS = 1 << 12; // each goes on with what others left

  private UpdateCuda() {}

  /** Elements {@code [from, to)} that are updated alike. */
  public record Part(long from, long to, float lrScale, float weightDecay) {}

  /**
   * The parts of a launch, which carries their table.
   *
   * @param words {@code Segments} of {@code segments.cuh}
   * @param longest elements of the longest
   */
  record Table(long[] words, int count, long longest) {
    static List<Table> of(List<Part> parts) {
      List<Table> tables = new ArrayList<>();
      for (int i = 0; i < parts.size(); i += MAX_SEGMENTS) {
        List<Part> some = parts.subList(i, Math.min(i + MAX_SEGMENTS, parts.size()));
        long[] words = new long[4 * MAX_SEGMENTS];
        long longest = 0;
        for (int j = 0; j < some.size(); j++) {
          Part p = some.get(j);
          words[j] = p.from;
          words[MAX_SEGMENTS + j] = p.to;
          words[2 * MAX_SEGMENTS + j] = Double.doubleToRawLongBits(p.lrScale);
          words[3 * MAX_SEGMENTS + j] = Double.doubleToRawLongBits(p.weightDecay);
          longest = Math.max(longest, p.to - p.from);
        }
        tables.add(new Table(words, some.size(), longest));
      }
      return tables;
    }
  }

  /**
   * What is updated.
   *
   * @param copy the weights in {@code type}, written only; {@code null} where {@code w} are they
   * @param w the weights that are updated, F32; {@code null} where {@code copy} are they
   * @param grad F32
   * @param first number of the first element
   * @param stochastic whether {@code copy} is rounded by chance, where {@code w} is not there
   */
  public record Weights(
      @Nullable Addressable copy,
      DType type,
      @Nullable Addressable w,
      Addressable grad,
      long first,
      boolean stochastic) {}

  /**
   * One update of all parts.
   *
   * @param rule the name that its kernels begin with
   * @param kept F32, what the rule keeps, as its formula has them; {@code null} for what it does
   *     without
   * @param state the step's
   * @param read what the rule's kernel of constants reads besides
   * @param numbers the rule's own
   */
  public static void step(
      Cuda cuda,
      String rule,
      Weights weights,
      List<? extends @Nullable Addressable> kept,
      List<Part> parts,
      Addressable state,
      List<? extends @Nullable Addressable> read,
      float... numbers) {
    for (Table table : Table.of(parts)) {
      DeviceMemory constants = constants(cuda, rule, table, state, 0, read, numbers);
      elements(cuda, rule, weights, kept, table, constants, state);
    }
  }

  /** A rule's pass over the elements of a table's segments. */
  static void elements(
      Cuda cuda,
      String rule,
      Weights weights,
      List<? extends @Nullable Addressable> kept,
      Table table,
      Addressable constants,
      Addressable state) {
    Launch launch =
        elements(cuda.kernel(rule.concat("_step"), weights.type), table.longest, table.count);
    launch.ptr(weights.copy).ptr(weights.w).ptr(weights.grad);
    for (int k = 0; k < MAX_KEPT; k++) {
      launch.ptr(k < kept.size() ? kept.get(k) : null);
    }
    launch.ptr(constants).ptr(state).words(table.words);
    launch.i64(weights.first).i32(weights.stochastic ? 1 : 0).run();
  }

  /**
   * What a rule computes for each segment before it goes over the elements.
   *
   * @param further bytes of scratch behind the constants, {@link #CONSTANTS_BYTES} for each of
   *     {@link #MAX_SEGMENTS}
   * @return the constants, in scratch memory
   */
  static DeviceMemory constants(
      Cuda cuda,
      String rule,
      Table table,
      Addressable state,
      long further,
      List<? extends @Nullable Addressable> read,
      float... numbers) {
    DeviceMemory constants = cuda.scratch(MAX_SEGMENTS * CONSTANTS_BYTES + further);
    Launch launch =
        cuda.kernel(rule.concat("_constants"))
            .grid(1)
            .ptr(constants)
            .ptr(state)
            .words(table.words)
            .i32(table.count);
    read.forEach(launch::ptr);
    for (float number : numbers) {
      launch.f32(number);
    }
    launch.run();
    return constants;
  }

  /** A launch over all elements of some segments, a row of blocks for each. */
  static Launch elements(CudaKernel kernel, long longest, int segments) {
    return kernel.grid(Math.min(blocks(kernel, longest), MAX_BLOCKS), segments);
  }

  /** As many as give each thread elements once. */
  static long blocks(CudaKernel kernel, long longest) {
    return Math.ceilDiv(longest, THREAD_ELEMENTS * kernel.blockSize());
  }
}
