package dev.javelin.tensor;

import dev.javelin.device.DType;
import org.jspecify.annotations.Nullable;

/**
 * A tensor that training changes. Two parameters are the same only if they are the same object.
 *
 * @param grad the gradient, always F32 and always accumulated into; {@code null} when the group is
 *     frozen
 * @param quantized what {@code value} is the bytes of; {@code null} for a tensor of floats
 */
public record Parameter(
    String name,
    Tensor value,
    @Nullable Tensor grad,
    Group group,
    @Nullable QuantizedMatrix quantized) {
  public Parameter(String name, Tensor value, @Nullable Tensor grad, Group group) {
    this(name, value, grad, group, null);
  }

  public Parameter {
    if (grad != null && (grad.dtype() != DType.F32 || !grad.shape().equals(value.shape()))) {
      throw new IllegalArgumentException(
          "gradient of "
              + name
              + " must be F32"
              + value.shape()
              + ", got "
              + grad.dtype()
              + grad.shape());
    }
  }

  /** Of what it stands for: that of its elements, where {@code value} holds other bytes. */
  public Shape shape() {
    return quantized == null ? value.shape() : quantized.shape();
  }

  @Override
  public boolean equals(Object o) {
    return this == o;
  }

  @Override
  public int hashCode() {
    return System.identityHashCode(this);
  }
}
