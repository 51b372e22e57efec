package dev.javelin.nn;

import dev.javelin.device.Turn;
import dev.javelin.tensor.Tensor;
import dev.javelin.tensor.op.AttentionMask;
import java.lang.foreign.MemorySegment;

/** What ALiBi adds to scores for each key further: F32 [H], computed at its first use. */
public final class AlibiSlopes {
  private final Tensor slopes;
  private final double factor;
  private boolean ready;

  private AlibiSlopes(Tensor slopes, double factor) {
    this.slopes = slopes;
    this.factor = factor;
  }

  /** Of so many heads: {@link AttentionMask#alibiSlopes} times {@code factor}. */
  public static AlibiSlopes declare(Declare d, int heads, double factor) {
    return new AlibiSlopes(d.constant(heads), factor);
  }

  public Tensor get() {
    try (Turn _ = slopes.device().turn()) {
      if (!ready) {
        float[] values = AttentionMask.alibiSlopes(slopes.dim(0));
        for (int h = 0; h < values.length; h++) {
          values[h] = (float) (values[h] * factor);
        }
        slopes.fromHost(MemorySegment.ofArray(values));
        ready = true;
      }
      return slopes;
    }
  }
}
