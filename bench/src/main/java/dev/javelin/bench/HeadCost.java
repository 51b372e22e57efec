package dev.javelin.bench;

import dev.javelin.device.DType;
import dev.javelin.tensor.op.LinearCrossEntropy;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * What {@link LinearCrossEntropy} costs on a GPU, loss and both gradients: four kernels for each
 * chunk of rows. x [R, C] and w [V, C] have s bytes an element, logits and dw 4.
 */
final class HeadCost {
  private HeadCost() {}

  /** Kernel by kernel, one after the other. */
  static List<StepCost.Part> of(DType type, int rows, int cols, int vocabulary) {
    int chunks = Math.ceilDiv(rows, LinearCrossEntropy.gpuRows(rows, vocabulary));
    double s = type.bytes(1);
    double x = (double) rows * cols * s; // bytes, all rows together
    double logits = (double) rows * vocabulary;
    double w = (double) chunks * vocabulary * cols; // elements, once for each chunk
    double flops = 2.0 * rows * cols * vocabulary;
    int some = Math.ceilDiv(rows, chunks);
    return List.of(
        part(
            "head",
            chunks,
            product(type, x + w * s + 4 * logits, flops),
            new MatmulShape(some, vocabulary, cols, false, true)),
        part(
            "cross-entropy, both ways",
            chunks,
            Cost.elementwise((4 + s) * logits, 20 * logits),
            null),
        part(
            "head, dx",
            chunks,
            product(type, s * logits + w * s + x, flops),
            new MatmulShape(some, cols, vocabulary, false, false)),
        part(
            "head, dw",
            chunks,
            product(type, s * logits + x + 2 * 4 * w, flops),
            new MatmulShape(vocabulary, cols, some, true, false)));
  }

  private static StepCost.Part part(
      String what, int chunks, Cost all, @Nullable TensorShape shape) {
    return new StepCost.Part(what, chunks, all.times(1.0 / chunks), shape);
  }

  private static Cost product(DType type, double bytes, double flops) {
    return type == DType.F32 ? new Cost(bytes, 0, flops) : new Cost(bytes, flops, 0);
  }
}
