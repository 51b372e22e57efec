package dev.javelin.train.optim;

import dev.javelin.device.DType;
import dev.javelin.device.Device;
import dev.javelin.tensor.Shape;
import dev.javelin.tensor.Tensor;
import dev.javelin.tensor.op.Fill;

/**
 * A factor on Adam's ε that may be changed between steps, 1 at first. It lies in the memory of the
 * device, where a recorded step reads it. It is no part of a checkpoint: whoever changes it sets it
 * again after a restart.
 *
 * <pre>{@code
 * if (optimizer instanceof EpsilonScale.Scaled adam) {
 *   adam.epsilonScale().set(0.1f);
 * }
 * }</pre>
 */
public final class EpsilonScale implements AutoCloseable {
  private final Tensor tensor;
  private float value;

  EpsilonScale(Device device) {
    this.tensor = Tensor.of(device.allocate(DType.F32.bytes(1)), 0, DType.F32, Shape.of(1));
    set(1);
  }

  /** A rule that has one. */
  public interface Scaled {
    EpsilonScale epsilonScale();
  }

  /**
   * For the steps that are started after this call; nobody waits for it.
   *
   * @throws IllegalArgumentException where it is not more than 0 and finite
   */
  public void set(float factor) {
    if (!(factor > 0 && factor < Float.POSITIVE_INFINITY)) {
      throw new IllegalArgumentException("the factor must be more than 0, got " + factor);
    }
    Fill.constant(tensor, factor);
    value = factor;
  }

  public float value() {
    return value;
  }

  /** Where the rule reads it: F32 [1]. */
  Tensor tensor() {
    return tensor;
  }

  @Override
  public void close() {
    tensor.memory().close();
  }
}
