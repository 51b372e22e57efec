package dev.javelin.tensor.op;

import dev.javelin.kernels.cpu.Rows;
import dev.javelin.tensor.Grad;
import dev.javelin.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/** Tensors in host memory as the CPU kernels want them. */
final class Operands {
  private Operands() {}

  /** All but the last dimension as rows. */
  static Rows rows(Tensor t) {
    return rows(t, false);
  }

  static @Nullable Rows rowsOrNull(@Nullable Tensor t) {
    return t == null ? null : rows(t, false);
  }

  /** A gradient's destination. */
  static Rows rows(Grad g) {
    return rows(g.tensor(), g.accumulate());
  }

  static @Nullable Rows rowsOrNull(@Nullable Grad g) {
    return g == null ? null : rows(g);
  }

  private static Rows rows(Tensor t, boolean accumulate) {
    return new Rows(t.segment(), t.dtype(), t.rows(), t.last(), t.rowStride(), accumulate);
  }
}
