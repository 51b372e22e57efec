package dev.javelin.nn;

import dev.javelin.tensor.Parameter;

/**
 * Hands a model its parameters while it is being built. The model is built twice: once to learn the
 * shapes, once with the memory there; it must ask for the same shapes in the same order.
 */
@FunctionalInterface
public interface Declare {
  Parameter parameter(int... dims);
}
