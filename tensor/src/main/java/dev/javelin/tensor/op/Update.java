package dev.javelin.tensor.op;

import dev.javelin.device.Addressable;
import dev.javelin.device.Cpu;
import dev.javelin.device.Cuda;
import dev.javelin.device.DType;
import dev.javelin.kernels.cpu.StochasticRounding;
import dev.javelin.kernels.cpu.UpdateCpu;
import dev.javelin.kernels.cuda.UpdateCuda;
import dev.javelin.tensor.Check;
import dev.javelin.tensor.FlatWeights;
import dev.javelin.tensor.Segment;
import dev.javelin.tensor.Tensor;
import dev.javelin.tensor.WeightUpdate;
import dev.javelin.tensor.step.StepState;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/**
 * What all update rules share, so that a rule is its formula: the checks of the flat buffers, the
 * walk over segments and devices, skipped steps, which clear the gradients and change nothing else.
 */
final class Update {
  private final String rule;
  private final FlatWeights flat;
  private final List<@Nullable Tensor> kept = new ArrayList<>();
  private final List<@Nullable Tensor> read = new ArrayList<>();

  private Launching launch = UpdateCuda::step;

  /** Its launches on a GPU. */
  interface Launching {
    void step(
        Cuda cuda,
        String rule,
        UpdateCuda.Weights weights,
        List<? extends @Nullable Addressable> kept,
        List<UpdateCuda.Part> parts,
        Addressable state,
        List<? extends @Nullable Addressable> read,
        float... numbers);
  }

  private Update(String rule, FlatWeights flat) {
    this.rule = rule;
    this.flat = flat;
  }

  /**
   * @param rule the name that its kernels begin with, {@code adam_w}
   */
  static Update of(String rule, FlatWeights flat) {
    return new Update(rule, flat);
  }

  /**
   * A buffer that the rule keeps from step to step, F32 and shaped as the weights; at most three,
   * {@code null} for one that these constants do without.
   */
  Update keeping(String name, @Nullable Tensor t) {
    if (t != null) {
      Check.that(rule)
          .dtype(name, t, DType.F32)
          .sameShape(name, t, "weights", flat.weights())
          .contiguous(name, t);
    }
    kept.add(t);
    return this;
  }

  /** What the rule keeps otherwise, and has checked; for rules with loops of their own on a GPU. */
  Update beside(List<Tensor> buffers) {
    kept.addAll(buffers);
    return this;
  }

  /** For a rule with more passes than one. */
  Update launchedBy(Launching launching) {
    launch = launching;
    return this;
  }

  /**
   * What the rule's kernel of constants reads on a GPU besides the step's state, before its
   * numbers: scalars of the step that are known to the device alone.
   */
  Update reading(@Nullable Tensor t) {
    read.add(t);
    return this;
  }

  /**
   * One update, where {@link GlobalNorm} has decided the step; the gradients are zero afterwards.
   *
   * @param cpu a segment's formula on the CPU
   * @param numbers what the rule's kernel of constants takes on a GPU
   */
  void step(StepState state, Function<Segment, UpdateCpu.Rule> cpu, float... numbers) {
    switch (flat.weights().device()) {
      case Cpu device -> {
        UpdateCpu.Buffers buffers = buffers(state);
        boolean skip = state.overflow();
        for (Segment s : flat.segments()) {
          if (skip) {
            UpdateCpu.skip(buffers, s.from(), s.to());
          } else {
            UpdateCpu.step(device, buffers, cpu.apply(s), s.from(), s.to());
          }
        }
      }
      case Cuda device ->
          launch.step(device, rule, weights(flat), kept, parts(flat), state, read, numbers);
    }
  }

  /** What the rule works on, on the CPU. */
  UpdateCpu.Buffers buffers(StepState state) {
    return new UpdateCpu.Buffers(
        flat.weights().segment(),
        flat.weights().dtype(),
        isCopied(flat) ? flat.precise().segment() : null,
        flat.grads().segment(),
        kept.stream().map(t -> t == null ? null : t.segment()).toList(),
        rounding(flat, state));
  }

  /** Whether fp32 weights are there. */
  private static boolean isCopied(FlatWeights flat) {
    return flat.precise().dtype() == DType.F32;
  }

  private static UpdateCpu.Rounding rounding(FlatWeights flat, StepState state) {
    return new UpdateCpu.Rounding(
        flat.first(),
        flat.rounding() == WeightUpdate.STOCHASTIC
            ? new StochasticRounding.Key(state.seed(), state.step())
            : null);
  }

  static UpdateCuda.Weights weights(FlatWeights flat) {
    boolean copied = isCopied(flat);
    return new UpdateCuda.Weights(
        copied && flat.master() == null ? null : flat.weights(),
        flat.weights().dtype(),
        copied ? flat.precise() : null,
        flat.grads(),
        flat.first(),
        flat.rounding() == WeightUpdate.STOCHASTIC);
  }

  static List<UpdateCuda.Part> parts(FlatWeights flat) {
    return flat.segments().stream()
        .map(s -> new UpdateCuda.Part(s.from(), s.to(), s.lrScale(), s.weightDecay()))
        .toList();
  }
}
