package dev.javelin.tensor;

import dev.javelin.device.DType;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Weights as an update sees them: flat, with their gradients. All are contiguous and of one shape,
 * [n] or anything of n elements.
 *
 * @param weights F32, or bf16/f16 copies of {@code master} that are written only
 * @param master F32, the weights that are updated; {@code null} where {@code weights} are F32
 *     themselves
 * @param grads F32
 * @param segments what is updated alike; elements outside of all are left alone
 */
public record FlatWeights(
    Tensor weights, @Nullable Tensor master, Tensor grads, List<Segment> segments) {
  public FlatWeights {
    Tensor w = master == null ? weights : master;
    Check check =
        Check.that("update")
            .floats("weights", weights)
            .dtype(master == null ? "weights (without master)" : "master", w, DType.F32)
            .dtype("grads", grads, DType.F32)
            .sameShape("master", w, "weights", weights)
            .sameShape("grads", grads, "weights", weights)
            .contiguous("weights", weights)
            .contiguous("master", w)
            .contiguous("grads", grads);
    long n = weights.elements();
    for (Segment s : segments) {
      check.is(
          0 <= s.from() && s.from() <= s.to() && s.to() <= n,
          () -> s + " does not lie within " + n + " elements");
    }
  }

  /** What an update moves: the masters where there are any. */
  public Tensor precise() {
    return master == null ? weights : master;
  }
}
