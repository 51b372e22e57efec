package dev.javelin.tensor;

import dev.javelin.device.DType;
import dev.javelin.kernels.Quantization;
import dev.javelin.kernels.cpu.QuantizedView;

/**
 * A matrix [out, in] in few bits, which is read and never written.
 *
 * @param bytes U8, laid out as {@link Quantization} says
 * @param int8Activations whether what it is multiplied with is rounded to 8 bits first: on CPUs,
 *     and without a gradient
 */
public record QuantizedMatrix(
    Tensor bytes, Quantization format, int out, int in, boolean int8Activations) {
  public QuantizedMatrix(Tensor bytes, Quantization format, int out, int in) {
    this(bytes, format, out, in, false);
  }

  public QuantizedMatrix {
    long needed = format.bytes(out, in);
    if (bytes.dtype() != DType.U8 || bytes.elements() != needed) {
      throw new IllegalArgumentException(
          "%s [%d, %d] is %d bytes, got %s%s"
              .formatted(format.label(), out, in, needed, bytes.dtype(), bytes.shape()));
    }
  }

  /** [out, in]. */
  public Shape shape() {
    return Shape.of(out, in);
  }

  /** Its elements, row by row: for tests and conversions. */
  public float[] toFloats() {
    float[] values = new float[Math.toIntExact((long) out * in)];
    new QuantizedView(bytes.toHost(), format, out, in).read(values);
    return values;
  }
}
