package dev.javelin.nn;

import dev.javelin.device.DType;
import dev.javelin.tensor.WeightUpdate;
import dev.javelin.tensor.step.LossScaling;

/**
 * In which numbers a model computes and is kept. Arithmetic, statistics, losses and gradients of
 * weights are fp32 under every policy; where weights are of a half type, fp32 masters take the
 * updates, or what {@code update} says.
 *
 * @param weights element type of weights, and so of activations and their gradients
 * @param lossScaling what keeps gradients of activations within the type's range
 * @param update how weights of a half type take updates
 */
public record Precision(String name, DType weights, LossScaling lossScaling, WeightUpdate update) {
  public static final Precision FP32 = new Precision("fp32", DType.F32, LossScaling.NONE);

  /** Has the range of fp32, so the loss needs no scaling. */
  public static final Precision BF16 = new Precision("bf16", DType.BF16, LossScaling.NONE);

  public static final Precision FP16 = new Precision("fp16", DType.F16, LossScaling.DYNAMIC);

  /** Half weights have masters. */
  public Precision(String name, DType weights, LossScaling lossScaling) {
    this(name, weights, lossScaling, WeightUpdate.MASTERS);
  }

  /** Whether fp32 masters stand beside the weights. */
  public boolean hasMaster() {
    return weights != DType.F32 && update == WeightUpdate.MASTERS;
  }

  /** The same numbers, updated otherwise. */
  public Precision withUpdate(WeightUpdate otherwise) {
    return new Precision(name, weights, lossScaling, otherwise);
  }

  /**
   * The policy called {@code fp32}, {@code bf16} or {@code fp16}.
   *
   * @throws IllegalArgumentException for any other name
   */
  public static Precision named(String name) {
    return switch (name) {
      case "fp32" -> FP32;
      case "bf16" -> BF16;
      case "fp16" -> FP16;
      default ->
          throw new IllegalArgumentException("precision must be fp32, bf16 or fp16, got " + name);
    };
  }
}
