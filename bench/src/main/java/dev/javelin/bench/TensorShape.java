package dev.javelin.bench;

import dev.javelin.device.DType;

/** Work that tensor cores do for half types. */
sealed interface TensorShape permits MatmulShape, AttentionShape {
  Cost cost(DType type);

  /** What the mathematics asks for. */
  double flops();
}
