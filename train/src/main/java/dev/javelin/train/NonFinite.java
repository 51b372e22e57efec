package dev.javelin.train;

import dev.javelin.device.DType;
import dev.javelin.nn.ParameterBuffer;
import dev.javelin.tensor.Tensor;
import dev.javelin.train.optim.FlatState;
import dev.javelin.train.optim.Optimizer;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import org.jspecify.annotations.Nullable;

/** Looks for NaN and infinity in all that a checkpoint is made of. */
final class NonFinite {
  private static final int ROWS = 1 << 14; // looked at together; 128 elements each in flat buffers

  private NonFinite() {}

  /** What is not finite: "weights", "master weights", or a state of the optimizer's. */
  static @Nullable String find(ParameterBuffer<?> parameters, Optimizer optimizer) {
    if (isIn(parameters.weights())) {
      return "weights";
    }
    Tensor master = parameters.master();
    if (master != null && isIn(master)) {
      return "master weights";
    }
    for (FlatState state : optimizer.state()) {
      if (isIn(state.buffer())) {
        return state.name() + " of the optimizer";
      }
    }
    return null;
  }

  private static boolean isIn(Tensor t) {
    if (t.rank() == 0) {
      return isIn(t.toHost(), t.dtype(), 1);
    }
    int rows = t.dim(0);
    for (int from = 0; from < rows; from += ROWS) {
      Tensor some = t.slice(0, from, Math.min(rows, from + ROWS));
      if (isIn(some.toHost(), t.dtype(), some.elements())) {
        return true;
      }
    }
    return false;
  }

  /** An exponent of ones is infinity or NaN in every float type. */
  private static boolean isIn(MemorySegment s, DType type, long elements) {
    boolean found = false;
    switch (type) {
      case F32 -> {
        for (long i = 0; i < elements; i++) {
          found |= (s.getAtIndex(ValueLayout.JAVA_INT, i) & 0x7f800000) == 0x7f800000;
        }
      }
      case BF16, F16 -> {
        int exponent = type == DType.BF16 ? 0x7f80 : 0x7c00;
        for (long i = 0; i < elements; i++) {
          found |= (s.getAtIndex(ValueLayout.JAVA_SHORT, i) & exponent) == exponent;
        }
      }
      case I32, I64, U8 -> {}
    }
    return found;
  }
}
