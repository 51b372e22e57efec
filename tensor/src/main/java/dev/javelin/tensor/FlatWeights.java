package dev.javelin.tensor;

import dev.javelin.device.DType;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Weights as an update sees them: flat, with their gradients. All are contiguous and of one shape,
 * [n] or anything of n elements.
 *
 * @param weights F32, or bf16/f16 copies of {@code master} that are written only, or half weights
 *     without masters
 * @param master F32, the weights that are updated; {@code null} where {@code weights} are
 * @param grads F32
 * @param segments what is updated alike; elements outside of all are left alone
 * @param rounding how half weights take an update
 */
public record FlatWeights(
    Tensor weights,
    @Nullable Tensor master,
    Tensor grads,
    List<Segment> segments,
    WeightUpdate rounding) {
  public FlatWeights {
    Tensor w = master == null ? weights : master;
    Check check =
        Check.that("update")
            .floats("weights", weights)
            .dtype("grads", grads, DType.F32)
            .sameShape("master", w, "weights", weights)
            .sameShape("grads", grads, "weights", weights)
            .contiguous("weights", weights)
            .contiguous("master", w)
            .contiguous("grads", grads);
    if (master != null || rounding == WeightUpdate.MASTERS) {
      check.dtype(master == null ? "weights (without master)" : "master", w, DType.F32);
    } else if (rounding == WeightUpdate.STOCHASTIC && weights.dtype() != DType.F32) {
      check.dtype("weights (rounded stochastically)", weights, DType.BF16);
    }
    long n = weights.elements();
    for (Segment s : segments) {
      check.is(
          0 <= s.from() && s.from() <= s.to() && s.to() <= n,
          () -> s + " does not lie within " + n + " elements");
    }
  }

  /** Weights that are F32, or have masters. */
  public FlatWeights(
      Tensor weights, @Nullable Tensor master, Tensor grads, List<Segment> segments) {
    this(weights, master, grads, segments, WeightUpdate.MASTERS);
  }

  /** Number of the first weight among all of its memory. */
  public long first() {
    return weights.offset() / weights.dtype().bytes(1);
  }

  /** What an update moves: the masters where there are any. */
  public Tensor precise() {
    return master == null ? weights : master;
  }
}
