package dev.javelin.train;

import dev.javelin.device.DType;
import dev.javelin.nn.ParameterBuffer;
import dev.javelin.tensor.Tensor;
import dev.javelin.tensor.op.Fill;
import dev.javelin.train.optim.FlatState;
import dev.javelin.train.optim.Optimizer;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Looks for NaN and infinity in all that a checkpoint is made of, and takes it out of an
 * optimizer's state.
 */
final class NonFinite {
  private static final int ROWS = 1 << 14; // looked at together; 128 elements each in flat buffers

  private NonFinite() {}

  /** What is not finite: "weights", "master weights", or a state of the optimizer's. */
  static @Nullable String find(ParameterBuffer<?> parameters, Optimizer optimizer) {
    String weights = find(parameters);
    return weights == null ? find(optimizer) : weights;
  }

  /** The same of the weights alone. */
  static @Nullable String find(ParameterBuffer<?> parameters) {
    for (ParameterBuffer.Flat flat : parameters.flats()) {
      if (isIn(flat.weights())) {
        return "weights";
      }
      if (flat.master() != null && isIn(flat.master())) {
        return "master weights";
      }
    }
    return null;
  }

  /** The same of the optimizer alone. */
  static @Nullable String find(Optimizer optimizer) {
    for (FlatState state : optimizer.state()) {
      if (isIn(state.buffer())) {
        return state.name() + " of the optimizer";
      }
    }
    return null;
  }

  /**
   * Sets to 0 what is not finite in an optimizer's state: the row of each such element in all
   * buffers that are laid out as the weights are; everything, where it is in one of another layout.
   */
  static void forget(Optimizer optimizer) {
    List<FlatState> alike = new ArrayList<>();
    boolean others = false;
    for (FlatState state : optimizer.state()) {
      if (state.layout() == FlatState.Layout.LIKE_WEIGHTS) {
        alike.add(state);
      } else {
        others |= isIn(state.buffer());
      }
    }
    if (others) {
      optimizer.state().forEach(state -> Fill.zero(state.buffer()));
      return;
    }
    for (FlatState state : alike) {
      for (int from = 0; from < state.buffer().dim(0); from += ROWS) {
        int to = Math.min(state.buffer().dim(0), from + ROWS);
        if (isIn(state.buffer().slice(0, from, to))) {
          forget(alike, state.buffer(), from, to);
        }
      }
    }
  }

  private static void forget(List<FlatState> alike, Tensor found, int from, int to) {
    for (int row = from; row < to; row++) {
      if (isIn(found.slice(0, row, row + 1))) {
        for (FlatState state : alike) {
          Fill.zero(state.buffer().slice(0, row, row + 1));
        }
      }
    }
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
