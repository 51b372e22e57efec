package dev.javelin.train.optim;

import dev.javelin.device.DType;
import dev.javelin.nn.ParameterBuffer;
import dev.javelin.tensor.Shape;
import dev.javelin.tensor.Tensor;

/**
 * A buffer that an optimizer keeps from step to step: F32, contiguous, zero at first. It owns its
 * memory.
 *
 * @param name of it in files, such as {@code exp_avg}: lower case, without dots
 * @param layout what its elements belong to
 */
public record FlatState(String name, Layout layout, Tensor buffer) implements AutoCloseable {

  /** What the elements of a state belong to, and so how it is written. */
  public enum Layout {
    /**
     * Element for element the flat weights ({@link ParameterBuffer#flat}): each parameter's part is
     * a tensor of the file, {@code name.} followed by the parameter's name, shaped as the parameter
     * is there.
     */
    LIKE_WEIGHTS,

    /** The rule's own, such as factors of a matrix or one number a parameter: one tensor. */
    OWN
  }

  public FlatState {
    if (!name.matches("[a-z][a-z0-9_]*")) {
      throw new IllegalArgumentException(
          "the name of an optimizer's state must be of a-z, 0-9 and _, got " + name);
    }
    if (buffer.dtype() != DType.F32 || !buffer.isContiguous()) {
      throw new IllegalArgumentException(
          "an optimizer's state must be F32 and contiguous, " + name + " is " + buffer);
    }
  }

  /** An element for each trainable weight. */
  public static FlatState likeWeights(String name, ParameterBuffer<?> parameters) {
    return allocate(name, Layout.LIKE_WEIGHTS, parameters, parameters.flat());
  }

  /** A state of the rule's own shape, on the device of the parameters. */
  public static FlatState own(String name, ParameterBuffer<?> parameters, Shape shape) {
    return allocate(name, Layout.OWN, parameters, shape);
  }

  private static FlatState allocate(
      String name, Layout layout, ParameterBuffer<?> parameters, Shape shape) {
    var memory = parameters.weights().device().allocate(DType.F32.bytes(shape.elements()));
    return new FlatState(name, layout, Tensor.of(memory, 0, DType.F32, shape));
  }

  @Override
  public void close() {
    buffer.memory().close();
  }
}
