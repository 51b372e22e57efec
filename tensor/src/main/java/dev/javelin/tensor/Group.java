package dev.javelin.tensor;

import dev.javelin.device.DType;
import dev.javelin.kernels.Quantization;
import org.jspecify.annotations.Nullable;

/**
 * Parameters that are updated alike.
 *
 * @param lrScale factor on the step's learning rate
 * @param weightDecay decoupled weight decay, per unit of learning rate
 * @param frozen without gradient: left as it is
 * @param type element type of the weights; {@code null} for that of the model's precision
 * @param quantization how matrices are kept in fewer bits, where they are frozen weights of linear
 *     layers; {@code null} for as they are
 * @param int8Activations whether what those are multiplied with is rounded to 8 bits first: on
 *     CPUs, in inference
 */
public record Group(
    String name,
    float lrScale,
    float weightDecay,
    boolean frozen,
    @Nullable DType type,
    @Nullable Quantization quantization,
    boolean int8Activations) {

  public Group {
    if (int8Activations && quantization == null) {
      throw new IllegalArgumentException(
          "group %s: activations of 8 bits need weights in int8 or nf4".formatted(name));
    }
    if (quantization != null && !frozen) {
      throw new IllegalArgumentException(
          "group %s is %s, which cannot be trained: freeze it".formatted(name, quantization));
    }
  }

  /** With activations of the model's type. */
  public Group(
      String name,
      float lrScale,
      float weightDecay,
      boolean frozen,
      @Nullable DType type,
      @Nullable Quantization quantization) {
    this(name, lrScale, weightDecay, frozen, type, quantization, false);
  }

  public Group(
      String name, float lrScale, float weightDecay, boolean frozen, @Nullable DType type) {
    this(name, lrScale, weightDecay, frozen, type, null);
  }

  /** A group of the type that the model's precision says. */
  public Group(String name, float lrScale, float weightDecay, boolean frozen) {
    this(name, lrScale, weightDecay, frozen, null);
  }
}
