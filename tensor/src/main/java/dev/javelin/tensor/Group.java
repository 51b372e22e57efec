package dev.javelin.tensor;

import dev.javelin.device.DType;
import org.jspecify.annotations.Nullable;

/**
 * Parameters that are updated alike.
 *
 * @param lrScale factor on the step's learning rate
 * @param weightDecay decoupled weight decay, per unit of learning rate
 * @param frozen without gradient: left as it is
 * @param type element type of the weights; {@code null} for that of the model's precision
 */
public record Group(
    String name, float lrScale, float weightDecay, boolean frozen, @Nullable DType type) {

  /** A group of the type that the model's precision says. */
  public Group(String name, float lrScale, float weightDecay, boolean frozen) {
    this(name, lrScale, weightDecay, frozen, null);
  }
}
