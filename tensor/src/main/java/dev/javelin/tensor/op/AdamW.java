package dev.javelin.tensor.op;

import dev.javelin.device.Cpu;
import dev.javelin.device.Cuda;
import dev.javelin.device.DType;
import dev.javelin.kernels.cpu.AdamWCpu;
import dev.javelin.kernels.cuda.UpdateCuda;
import dev.javelin.tensor.Check;
import dev.javelin.tensor.Segment;
import dev.javelin.tensor.Tensor;
import dev.javelin.tensor.step.StepState;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Adam with decoupled weight decay over the flat buffers of a model.
 *
 * @see <a href="https://arxiv.org/abs/1711.05101">Decoupled weight decay regularization</a>
 */
public final class AdamW {
  private AdamW() {}

  /**
   * One update, where {@link GlobalNorm} has decided the step. With {@code t} the applied steps,
   * {@code g = grads · gradScale} and {@code lr} the learning rate times the segment's scale:
   *
   * <pre>
   * m ← beta1·m + (1-beta1)·g        v ← beta2·v + (1-beta2)·g²
   * w ← w·(1 - lr·weightDecay) - lr · m/(1-beta1^t) / (sqrt(v/(1-beta2^t)) + eps)
   * grads ← 0
   * </pre>
   *
   * A skipped step clears the gradients and changes nothing else.
   *
   * @param weights fp32 [n], or bf16/fp16 copies that are written only
   * @param master fp32 [n], the weights that are updated; {@code null} where {@code weights} are
   *     fp32 themselves
   * @param m first moment, fp32 [n]
   * @param v second moment, fp32 [n]
   * @param grads fp32 [n]
   */
  public static void step(
      Tensor weights,
      @Nullable Tensor master,
      Tensor m,
      Tensor v,
      Tensor grads,
      List<Segment> segments,
      StepState state,
      float beta1,
      float beta2,
      float eps) {
    Tensor w = master == null ? weights : master;
    Check.that("adamW")
        .floats("weights", weights)
        .dtype(master == null ? "weights (without master)" : "master", w, DType.F32)
        .dtype("m", m, DType.F32)
        .dtype("v", v, DType.F32)
        .dtype("grads", grads, DType.F32)
        .sameShape("master", w, "weights", weights)
        .sameShape("m", m, "weights", weights)
        .sameShape("v", v, "weights", weights)
        .sameShape("grads", grads, "weights", weights)
        .contiguous("weights", weights)
        .contiguous("master", w)
        .contiguous("m", m)
        .contiguous("v", v)
        .contiguous("grads", grads);
    for (Segment s : segments) {
      Check.that("adamW")
          .is(
              0 <= s.from() && s.from() <= s.to() && s.to() <= weights.elements(),
              () -> s + " does not lie within " + weights.elements() + " elements");
    }
    switch (weights.device()) {
      case Cpu cpu -> {
        for (Segment s : segments) {
          if (state.overflow()) {
            clear(grads, s);
          } else {
            AdamWCpu.step(
                cpu,
                weights.segment(),
                weights.dtype(),
                w.segment(),
                m.segment(),
                v.segment(),
                grads.segment(),
                constants(s, state, beta1, beta2, eps),
                s.from(),
                s.to());
          }
        }
      }
      case Cuda cuda ->
          UpdateCuda.step(
              cuda,
              "adam_w",
              master == null ? null : weights,
              weights.dtype(),
              List.of(w, m, v, grads),
              segments.stream()
                  .map(s -> new UpdateCuda.Part(s.from(), s.to(), s.lrScale(), s.weightDecay()))
                  .toList(),
              state,
              beta1,
              beta2,
              eps);
    }
  }

  private static void clear(Tensor grads, Segment s) {
    grads
        .segment()
        .asSlice(DType.F32.bytes(s.from()), DType.F32.bytes(s.to() - s.from()))
        .fill((byte) 0);
  }

  private static AdamWCpu.Constants constants(
      Segment s, StepState state, float beta1, float beta2, float eps) {
    double lr = (double) state.learningRate() * s.lrScale();
    // StrictMath: Math.pow may differ in the last bit between machines.
    double bias1 = 1 - StrictMath.pow(beta1, state.appliedSteps());
    double bias2 = 1 - StrictMath.pow(beta2, state.appliedSteps());
    return new AdamWCpu.Constants(
        state.gradScale(),
        beta1,
        beta2,
        (float) (1 - lr * s.weightDecay()),
        (float) (lr / bias1),
        (float) (1 / Math.sqrt(bias2)),
        eps);
  }
}
