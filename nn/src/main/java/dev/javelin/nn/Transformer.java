package dev.javelin.nn;

import dev.javelin.tensor.Parameter;
import java.util.List;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/**
 * A decoder: token embedding, blocks, norm, head.
 *
 * @param tokens [V, C]
 * @param positions [P, C], or {@code null} where positions are rotary
 * @param head [V, C], or {@code null} where it is the token embedding
 */
public record Transformer(
    TransformerConfig config,
    Parameter tokens,
    @Nullable Parameter positions,
    List<Block> blocks,
    Norm norm,
    @Nullable Parameter head) {

  static Transformer declare(TransformerConfig c, Declare d) {
    return new Transformer(
        c,
        d.parameter(c.vocab(), c.hidden()),
        c.rope() == null ? d.parameter(c.positions(), c.hidden()) : null,
        IntStream.range(0, c.layers()).mapToObj(i -> Block.declare(d, c)).toList(),
        Norm.declare(d, c),
        c.tied() ? null : d.parameter(c.vocab(), c.hidden()));
  }

  /** Whether a parameter of that name projects onto the residual stream. */
  static boolean writesResidual(String name) {
    return name.endsWith(".attn.out.weight") || name.endsWith(".mlp.down.weight");
  }
}
