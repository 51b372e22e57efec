package dev.javelin.train.summary;

import dev.javelin.nn.ParameterBuffer;
import dev.javelin.nn.Transformer;
import dev.javelin.nn.TransformerConfig;
import dev.javelin.tensor.Parameter;
import dev.javelin.tensor.Shape;
import org.jspecify.annotations.Nullable;

/**
 * The arithmetic that training a token takes by the model's shape, in floating-point operations, 2
 * per multiply-add:
 *
 * <pre>
 * 6·N_trained + 4·N_frozen + 12·L·H·D·T
 * </pre>
 *
 * with N the weights of matrix products (blocks and head; of the embeddings only a head that shares
 * them), L layers of H heads of D features, and T tokens a row: forward 2 a weight, the gradient of
 * inputs 2, that of weights 2 where they are trained. Attention counts as if every token saw the
 * whole row, as is the custom; what is computed twice (recomputation) counts once.
 *
 * @see <a href="https://arxiv.org/abs/2204.02311">PaLM, appendix B</a>
 */
public final class Flops {
  private Flops() {}

  /**
   * For a model whose weights lie in {@code base}, with adapters or without.
   *
   * @param adapters {@code null} where the base itself is trained
   * @param seqLen T
   */
  public static double perToken(
      ParameterBuffer<Transformer> base, @Nullable ParameterBuffer<?> adapters, int seqLen) {
    Transformer model = base.model();
    TransformerConfig c = model.config();
    double flops = 12.0 * c.layers() * c.heads() * c.headDim() * seqLen;
    for (Parameter p : base.named().values()) {
      boolean lookedUp = p == model.positions() || p == model.tokens() && model.head() != null;
      flops += lookedUp ? 0 : perToken(p);
    }
    if (adapters != null) {
      for (Parameter p : adapters.named().values()) {
        flops += perToken(p);
      }
    }
    return flops;
  }

  private static double perToken(Parameter p) {
    Shape shape = p.shape();
    return shape.rank() < 2 ? 0 : (p.group().frozen() ? 4.0 : 6.0) * shape.elements();
  }
}
