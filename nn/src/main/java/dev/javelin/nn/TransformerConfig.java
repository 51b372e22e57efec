package dev.javelin.nn;

import dev.javelin.device.DType;
import dev.javelin.tensor.io.AtomicFile;
import dev.javelin.tensor.io.FileFormatException;
import dev.javelin.tensor.io.Json;
import java.nio.file.Path;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * The shape of a decoder: everything that its mathematics depends on.
 *
 * @param vocab V, the number of tokens
 * @param hidden C, the width of the residual stream
 * @param heads H, query heads; {@code kvHeads} of keys and values, a divisor of it
 * @param headDim D, the width of a head; {@code heads·headDim} may differ from {@code hidden}
 * @param ffn F, the width inside the MLP
 * @param positions the longest sequence; dynamic scaling of the rotary positions included
 * @param rope rotary positions; {@code null} for learned ones
 * @param window keys that a query sees, itself included; 0 for all before it
 * @param tied whether the head is the token embedding
 * @param extras keys of {@code config.json} that do not touch the mathematics, such as {@code
 *     eos_token_id}, written back as they were
 */
public record TransformerConfig(
    Architecture architecture,
    int vocab,
    int layers,
    int hidden,
    int heads,
    int kvHeads,
    int headDim,
    int ffn,
    int positions,
    double normEps,
    @Nullable RopeConfig rope,
    int window,
    boolean tied,
    Dropout dropout,
    Map<String, Object> extras) {

  private static final int WIDEST = 1 << 26;

  /**
   * Probabilities, in training, of dropping an element of the embedding, of an attention weight,
   * and of what a block adds to the residual stream.
   */
  public record Dropout(double embedding, double attention, double residual) {
    public static final Dropout NONE = new Dropout(0, 0, 0);

    public Dropout {
      for (double p : new double[] {embedding, attention, residual}) {
        require(p >= 0 && p < 1, "dropout must be in [0, 1), got " + p);
      }
    }
  }

  public TransformerConfig {
    require(vocab > 0 && layers > 0 && hidden > 0 && ffn > 0 && positions > 0, "sizes must be > 0");
    require(heads > 0 && kvHeads > 0 && headDim > 0, "heads and their width must be > 0");
    require(
        heads % kvHeads == 0,
        "%d query heads cannot share %d key heads evenly".formatted(heads, kvHeads));
    require(
        (long) (heads + 2 * kvHeads) * headDim <= WIDEST,
        "%d heads of width %d are too wide".formatted(heads, headDim));
    if (rope != null) {
      rope.check(headDim);
    }
    require(
        (rope == null) == (architecture == Architecture.GPT2),
        "GPT-2 has learned positions, the others rotary ones");
    require(normEps > 0, "the norm's epsilon must be > 0, got " + normEps);
    require(window >= 0, "the window must not be negative, got " + window);
    extras = Map.copyOf(extras);
  }

  private static void require(boolean condition, String message) {
    if (!condition) {
      throw new IllegalArgumentException("transformer config: " + message);
    }
  }

  /** A GPT-2 with tied head and without dropout. */
  public static TransformerConfig gpt2(
      int vocab, int layers, int heads, int hidden, int positions) {
    return new TransformerConfig(
        Architecture.GPT2,
        vocab,
        layers,
        hidden,
        heads,
        heads,
        hidden / heads,
        4 * hidden,
        positions,
        1e-5,
        null,
        0,
        true,
        Dropout.NONE,
        Map.of());
  }

  /** A Llama with tied head. */
  public static TransformerConfig llama(
      int vocab, int layers, int heads, int kvHeads, int hidden, int ffn, int positions) {
    return new TransformerConfig(
        Architecture.LLAMA,
        vocab,
        layers,
        hidden,
        heads,
        kvHeads,
        hidden / heads,
        ffn,
        positions,
        1e-5,
        RopeConfig.of(10_000),
        0,
        true,
        Dropout.NONE,
        Map.of());
  }

  /**
   * Reads {@code config.json} of a Hugging Face directory.
   *
   * @throws FileFormatException if it is missing or damaged, names an unsupported architecture, or
   *     sets a key that changes the mathematics to a value that this engine does not have
   */
  public static TransformerConfig read(Path directory) {
    return ConfigJson.read(Json.read(directory.resolve("config.json")));
  }

  /** Writes {@code config.json} with the keys of transformers 4 and 5, for weights of that type. */
  public void write(Path directory, DType weights) {
    AtomicFile.write(
        directory.resolve("config.json"), Json.write(ConfigJson.write(this, weights)) + "\n");
  }

  /** Columns of the packed projection of queries, keys and values. */
  int qkvWidth() {
    return (heads + 2 * kvHeads) * headDim;
  }

  public TransformerConfig withVocab(int vocab) {
    return new TransformerConfig(
        architecture,
        vocab,
        layers,
        hidden,
        heads,
        kvHeads,
        headDim,
        ffn,
        positions,
        normEps,
        rope,
        window,
        tied,
        dropout,
        extras);
  }

  public TransformerConfig withLayers(int layers) {
    return new TransformerConfig(
        architecture,
        vocab,
        layers,
        hidden,
        heads,
        kvHeads,
        headDim,
        ffn,
        positions,
        normEps,
        rope,
        window,
        tied,
        dropout,
        extras);
  }

  public TransformerConfig withPositions(int positions) {
    return new TransformerConfig(
        architecture,
        vocab,
        layers,
        hidden,
        heads,
        kvHeads,
        headDim,
        ffn,
        positions,
        normEps,
        rope,
        window,
        tied,
        dropout,
        extras);
  }

  public TransformerConfig withDropout(Dropout dropout) {
    return new TransformerConfig(
        architecture,
        vocab,
        layers,
        hidden,
        heads,
        kvHeads,
        headDim,
        ffn,
        positions,
        normEps,
        rope,
        window,
        tied,
        dropout,
        extras);
  }

  /**
   * Dropout of the embedding and of what blocks add to the residual stream; none of attention
   * weights, which training does not support.
   */
  public TransformerConfig withDropout(double p) {
    return withDropout(new Dropout(p, 0, p));
  }

  public TransformerConfig withExtras(Map<String, Object> extras) {
    return new TransformerConfig(
        architecture,
        vocab,
        layers,
        hidden,
        heads,
        kvHeads,
        headDim,
        ffn,
        positions,
        normEps,
        rope,
        window,
        tied,
        dropout,
        extras);
  }
}
