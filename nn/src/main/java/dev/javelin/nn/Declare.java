package dev.javelin.nn;

import dev.javelin.tensor.Parameter;
import dev.javelin.tensor.Tensor;

/**
 * Hands a model its tensors while it is being built. The model is built twice: once to learn the
 * shapes, once with the memory there; it must ask for the same shapes in the same order.
 */
public interface Declare {
  Parameter parameter(int... dims);

  /** An F32 table that is computed and never trained, such as the angles of positions. */
  Tensor constant(int... dims);
}
