package dev.javelin.nn;

import dev.javelin.kernels.Quantization;
import dev.javelin.tensor.Group;
import dev.javelin.tensor.Shape;

/** Says for each parameter, by name and shape, with which others it is updated alike. */
@FunctionalInterface
public interface Grouping {
  Group of(String name, Shape shape);

  /** The same for a model with names in files, by which it may group. */
  default Grouping in(NameTable table) {
    return this;
  }

  /** Weight decay on matrices and embeddings, none on biases and norms. */
  static Grouping decayMatrices(float weightDecay) {
    Group matrices = new Group("decay", 1, weightDecay, false);
    Group vectors = new Group("no-decay", 1, 0, false);
    return (name, shape) -> shape.rank() >= 2 ? matrices : vectors;
  }

  static Grouping decayAll(float weightDecay) {
    Group all = new Group("decay", 1, weightDecay, false);
    return (name, shape) -> all;
  }

  /**
   * No gradients, and the weights of linear layers in fewer bits: the base of adapters, and for
   * evaluation and generation. Embeddings, norms, biases and the head stay in the model's type.
   */
  static Grouping quantized(Quantization quantization) {
    return quantized(quantization, false);
  }

  /**
   * The same.
   *
   * @param int8Activations whether what those weights are multiplied with is rounded to 8 bits, for
   *     whole-number products: on CPUs, without a gradient, with other results
   */
  static Grouping quantized(Quantization quantization, boolean int8Activations) {
    Group few = new Group(quantization.label(), 0, 0, true, null, quantization, int8Activations);
    Group all = new Group("frozen", 0, 0, true);
    return (name, shape) ->
        shape.rank() == 2 && name.startsWith("blocks.") && name.endsWith(".weight") ? few : all;
  }

  /** No gradients: for evaluation and generation. */
  static Grouping frozen() {
    Group all = new Group("frozen", 0, 0, true);
    return (name, shape) -> all;
  }
}
