package dev.javelin.tensor.op;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT_UNALIGNED;
import static java.lang.foreign.ValueLayout.JAVA_INT_UNALIGNED;

import dev.javelin.device.Cpu;
import dev.javelin.device.Cuda;
import dev.javelin.device.DType;
import dev.javelin.kernels.cpu.CrossEntropyCpu;
import dev.javelin.kernels.cuda.MeanLossCuda;
import dev.javelin.tensor.Check;
import dev.javelin.tensor.Grad;
import dev.javelin.tensor.Tensor;
import dev.javelin.tensor.step.StepState;
import java.lang.foreign.MemorySegment;
import org.jspecify.annotations.Nullable;

/** The losses of rows, made one number by a weight that lies in device memory. */
public final class MeanLoss {
  private MeanLoss() {}

  /**
   * {@code weight = 1 / (number of targets other than ignoreIndex)}, 0 where there is none; F32,
   * one element.
   */
  public static void weightOfValid(Tensor weight, Tensor targets, int ignoreIndex) {
    Check.that("meanLoss")
        .dtype("weight", weight, DType.F32)
        .dtype("targets", targets, DType.I32)
        .contiguous("targets", targets);
    switch (targets.device()) {
      case Cpu cpu -> {
        MemorySegment t = targets.segment();
        long valid = 0;
        for (long i = 0; i < targets.elements(); i++) {
          valid += t.getAtIndex(JAVA_INT_UNALIGNED, i) == ignoreIndex ? 0 : 1;
        }
        Fill.constant(weight, valid == 0 ? 0 : (float) (1.0 / valid));
      }
      case Cuda cuda ->
          MeanLossCuda.weightOfValid(cuda, weight, targets, targets.elements(), ignoreIndex);
    }
  }

  /**
   * {@code loss = weight · Σ losses}, added up in double in order.
   *
   * @param loss F32, one element
   * @param losses F32, any shape, contiguous
   * @param weight F32, one element, such as {@link StepState#inverseTargetsTensor}
   * @param state gets the loss added to its sum of the step; {@code null} for none
   */
  public static void forward(Tensor loss, Tensor losses, Tensor weight, @Nullable StepState state) {
    Check.that("meanLoss")
        .dtype("loss", loss, DType.F32)
        .dtype("losses", losses, DType.F32)
        .dtype("weight", weight, DType.F32)
        .is(loss.elements() == 1, () -> "loss must have one element, got " + loss.shape())
        .is(weight.elements() == 1, () -> "weight must have one element, got " + weight.shape())
        .contiguous("losses", losses);
    switch (losses.device()) {
      case Cpu cpu -> {
        double total = CrossEntropyCpu.total(losses.segment(), weight.segment(), losses.elements());
        loss.segment().set(JAVA_FLOAT_UNALIGNED, 0, (float) total);
        if (state != null) {
          state.addLoss(total);
        }
      }
      case Cuda cuda -> MeanLossCuda.forward(cuda, loss, losses, losses.elements(), weight, state);
    }
  }

  /** {@code dlosses[i] = weight · dy}; dy F32, one element. */
  public static void backward(@Nullable Grad dlosses, Tensor dy, Tensor weight) {
    if (dlosses == null) {
      return;
    }
    Tensor d = dlosses.tensor();
    Check.that("meanLoss backward").dtype("dlosses", d, DType.F32).contiguous("dlosses", d);
    switch (d.device()) {
      case Cpu cpu -> {
        MemorySegment s = d.segment();
        float g =
            dy.segment().get(JAVA_FLOAT_UNALIGNED, 0)
                * weight.segment().get(JAVA_FLOAT_UNALIGNED, 0);
        for (long i = 0; i < d.elements(); i++) {
          float before = dlosses.accumulate() ? s.getAtIndex(JAVA_FLOAT_UNALIGNED, i) : 0;
          s.setAtIndex(JAVA_FLOAT_UNALIGNED, i, before + g);
        }
      }
      case Cuda cuda ->
          MeanLossCuda.backward(cuda, d, d.elements(), dlosses.accumulate(), dy, weight);
    }
  }
}
