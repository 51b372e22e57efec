package dev.javelin.nn;

import dev.javelin.tensor.op.Rotation.Pairing;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/** How a token knows its position. */
public sealed interface Encoding {

  /** A learned vector for each position is added to the embedding. */
  record Learned() implements Encoding {}

  /**
   * Scores fall with the distance of query and key: {@code slope_h · (j − i)} is added to them.
   *
   * @param divided whether the slopes are divided by the root of {@link
   *     TransformerConfig.Attention#divisor}, as scores are
   * @see <a href="https://arxiv.org/abs/2108.12409">Press et al. 2021, ALiBi</a>
   */
  record Alibi(boolean divided) implements Encoding {}

  /**
   * Queries and keys are turned.
   *
   * @param local of layers with a window; {@code null} where they turn as the others do
   * @param still layers, from 0, that turn nothing
   * @param share of a head's features that turn, in (0, 1]; the first ones
   */
  record Rotary(
      RopeConfig rope,
      @Nullable RopeConfig local,
      Set<Integer> still,
      double share,
      Pairing pairing)
      implements Encoding {
    /** Whole heads of all layers. */
    public Rotary(RopeConfig rope) {
      this(rope, null, Set.of(), 1, Pairing.HALVES);
    }

    public Rotary {
      if (!(share > 0 && share <= 1)) {
        throw new IllegalArgumentException(
            "transformer config: the share that turns must be in (0, 1], got " + share);
      }
      still = Set.copyOf(still);
    }

    /** The same with other layers that turn nothing. */
    public Rotary stillIn(Set<Integer> layers) {
      return new Rotary(rope, local, layers, share, pairing);
    }

    /** Features of a head that turn. */
    int width(int headDim) {
      return (int) (headDim * share);
    }

    /** How a layer turns; {@code null} where it does not. */
    @Nullable RopeConfig of(int layer, boolean hasWindow) {
      return still.contains(layer) ? null : local != null && hasWindow ? local : rope;
    }

    /** Requires that it fits heads of that width. */
    void check(int headDim) {
      rope.check(width(headDim));
      if (local != null) {
        local.check(width(headDim));
      }
    }
  }
}
