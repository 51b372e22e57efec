package dev.javelin.nn;

import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * What the backward pass computes again instead of finding it in memory; losses and gradients are
 * the same to the bit.
 *
 * @see <a href="https://arxiv.org/abs/1604.06174">Chen et al. 2016</a>
 * @see <a href="https://arxiv.org/abs/2205.05198">Korthikanti et al. 2022, selective</a>
 */
public sealed interface Recomputation {
  /** Nothing: all activations are kept. */
  Recomputation NONE = new None();

  /** Each block from its input. */
  Recomputation BLOCKS = new Blocks(1);

  /** See {@link #NONE}. */
  record None() implements Recomputation {}

  /**
   * Blocks from the input of the first of {@code every} that follow one another. Fewer inputs are
   * kept, and the activations of so many blocks live at once.
   */
  record Blocks(int every) implements Recomputation {
    public Blocks {
      if (every < 1) {
        throw new IllegalArgumentException("blocks must be at least 1, got " + every);
      }
    }
  }

  /** The attention of each block, with its projections, from its normalised input. */
  record OfAttention() implements Recomputation {}

  /** The MLP of each block from its normalised input. */
  record OfMlp() implements Recomputation {}

  /** {@link #BLOCKS} or {@link #NONE}. */
  static Recomputation of(boolean on) {
    return on ? BLOCKS : NONE;
  }

  /**
   * The one of that {@link #label}; {@code true} is {@code blocks}, {@code false} is {@code none}.
   *
   * @throws IllegalArgumentException for any other
   */
  static Recomputation named(String name) {
    Matcher several = Pattern.compile("blocks:([1-9]\\d{0,5})").matcher(name);
    if (several.matches()) {
      return new Blocks(Integer.parseInt(several.group(1)));
    }
    return switch (name) {
      case "none", "false" -> NONE;
      case "blocks", "true" -> BLOCKS;
      case "attention" -> new OfAttention();
      case "mlp" -> new OfMlp();
      default ->
          throw new IllegalArgumentException(
              "must be none, blocks, blocks:K, attention or mlp, got " + name);
    };
  }

  /** {@code none}, {@code blocks}, {@code blocks:K}, {@code attention} or {@code mlp}. */
  default String label() {
    return switch (this) {
      case None() -> "none";
      case Blocks(int every) -> every == 1 ? "blocks" : "blocks:" + every;
      case OfAttention() -> "attention";
      case OfMlp() -> "mlp";
    };
  }

  /** How many blocks are run again together. */
  default int group() {
    return this instanceof Blocks(int every) ? every : 1;
  }
}
