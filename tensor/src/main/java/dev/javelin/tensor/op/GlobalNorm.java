package dev.javelin.tensor.op;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;

import dev.javelin.device.Cpu;
import dev.javelin.device.Cuda;
import dev.javelin.device.DType;
import dev.javelin.kernels.VectorNorm;
import dev.javelin.kernels.cpu.GlobalNormCpu;
import dev.javelin.kernels.cuda.GlobalNormCuda;
import dev.javelin.tensor.Check;
import dev.javelin.tensor.Tensor;
import dev.javelin.tensor.step.LossScaling;
import dev.javelin.tensor.step.StepState;
import java.util.List;

/**
 * The norm of the whole gradient, and with it everything that a step decides: clip factor,
 * overflow, skip, the next loss scale. No gradient flows through it.
 */
public final class GlobalNorm {
  private GlobalNorm() {}

  /** {@link #run(StepState, Tensor, VectorNorm, float, LossScaling)} with the Euclidean norm. */
  public static void run(StepState state, Tensor grads, float maxNorm, LossScaling scaling) {
    run(state, grads, VectorNorm.L2, maxNorm, scaling);
  }

  /**
   * {@code norm = ‖g‖ / lossScale}, in double over a partition that depends on the length alone,
   * then {@link StepState#decide}. Reads 4·n bytes, writes into {@code state}.
   *
   * @param grads fp32, contiguous: the flat gradient buffer
   * @param maxNorm the norm beyond which the gradient is scaled down to it; infinity for never
   */
  public static void run(
      StepState state, Tensor grads, VectorNorm kind, float maxNorm, LossScaling scaling) {
    check("globalNorm", grads)
        .is(
            maxNorm > 0,
            () -> "maxNorm must be positive (infinity for no clipping), got " + maxNorm);
    switch (grads.device()) {
      case Cpu cpu ->
          state.decide(
              GlobalNormCpu.norm(cpu, kind, grads.segment(), grads.elements()), maxNorm, scaling);
      case Cuda cuda ->
          GlobalNormCuda.run(
              cuda,
              state,
              grads,
              grads.elements(),
              kind,
              maxNorm,
              new GlobalNormCuda.Scaling(
                  scaling.growthFactor(),
                  scaling.backoffFactor(),
                  scaling.growthInterval(),
                  scaling.minScale()));
    }
  }

  /**
   * Notes in {@code state} whether all of an optimizer's numbers are finite, before {@link #run}: a
   * step is skipped where one is not. Reads 4 bytes an element.
   *
   * @param numbers fp32, contiguous, of one device
   */
  public static void watch(StepState state, List<Tensor> numbers) {
    boolean spoiled = false;
    for (int i = 0; i < numbers.size(); i++) {
      Tensor t = numbers.get(i);
      check("watch", t);
      switch (t.device()) {
        case Cpu cpu -> {
          double norm = GlobalNormCpu.norm(cpu, VectorNorm.L2, t.segment(), t.elements());
          spoiled |= !Double.isFinite(norm);
          state.spoiled(spoiled);
        }
        case Cuda cuda -> GlobalNormCuda.spoil(cuda, state, t, t.elements(), i == 0);
      }
    }
  }

  /**
   * {@code to = ‖g‖₂ / lossScale}, for who looks on: nothing is decided, the gradient stays as it
   * is. Reads 4·n bytes. Not finite where a gradient is not.
   *
   * @param to F32, one element
   * @param grads fp32, contiguous: a flat gradient buffer, of a step or of its first micro-batches
   */
  public static void measure(Tensor to, StepState state, Tensor grads) {
    check("measure", grads)
        .dtype("to", to, DType.F32)
        .is(to.elements() == 1, () -> "to must have one element, got " + to.form());
    switch (grads.device()) {
      case Cpu cpu -> {
        double norm = GlobalNormCpu.norm(cpu, VectorNorm.L2, grads.segment(), grads.elements());
        to.segment().set(JAVA_FLOAT, 0, (float) (norm / state.lossScale()));
      }
      case Cuda cuda -> GlobalNormCuda.measure(cuda, to, state, grads, grads.elements());
    }
  }

  /**
   * {@code g = min(max(g, −v), v)} with {@code v = maxValue / gradScale}, after {@link #run}: no
   * element of the gradient that the update sees is larger than maxValue. A skipped step stays as
   * it is. Reads and writes 4·n bytes.
   *
   * @param grads fp32, contiguous: the flat gradient buffer
   */
  public static void clipValues(StepState state, Tensor grads, float maxValue) {
    check("clipValues", grads).is(maxValue > 0, () -> "maxValue must be positive, got " + maxValue);
    long n = grads.elements();
    switch (grads.device()) {
      case Cpu cpu -> {
        if (!state.overflow()) {
          GlobalNormCpu.clamp(cpu, grads.segment(), n, maxValue / state.gradScale());
        }
      }
      case Cuda cuda -> GlobalNormCuda.clipValues(cuda, state, grads, n, maxValue);
    }
  }

  private static Check check(String op, Tensor grads) {
    return Check.that(op).dtype("grads", grads, DType.F32).contiguous("grads", grads);
  }
}
