package dev.javelin.nn;

import dev.javelin.device.DType;
import dev.javelin.kernels.Activation;
import dev.javelin.tensor.io.AtomicFile;
import dev.javelin.tensor.io.FileFormatException;
import dev.javelin.tensor.io.Json;
import java.nio.file.Path;
import java.util.Map;
import java.util.Set;
import java.util.function.Consumer;
import java.util.function.UnaryOperator;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/**
 * The features of a decoder: everything that its mathematics depends on. A {@link Family} says them
 * in the keys of its {@code config.json}.
 *
 * <pre>{@code
 * TransformerConfig small = Llama.config(1024, 4, 4, 4, 192, 512, 128);
 * TransformerConfig biased = small.with(b -> b.biases(new Biases(true, false, false)));
 * }</pre>
 *
 * @param family whose files it is read from and written to
 * @param vocab V, the number of tokens
 * @param hidden C, the width of the residual stream
 * @param positions the longest sequence; dynamic scaling of the rotary positions included
 * @param tied whether the head is the token embedding
 * @param logitCap logits become {@code logitCap·tanh(logits/logitCap)}; 0 for none
 * @param extras keys of {@code config.json} that do not touch the mathematics, such as {@code
 *     eos_token_id}, written back as they were
 */
public record TransformerConfig(
    Family family,
    int vocab,
    int layers,
    int hidden,
    Entry entry,
    Form form,
    Attention attention,
    Mlp mlp,
    Norm norm,
    Biases biases,
    Encoding encoding,
    int positions,
    boolean tied,
    double logitCap,
    Dropout dropout,
    Map<String, Object> extras) {

  private static final int WIDEST = 1 << 26;
  private static final long MOST_ELEMENTS = 1L << 42;

  /**
   * What becomes of a token's embedding before the first block.
   *
   * @param scale what it is multiplied by
   * @param norm whether it is normalised
   */
  public record Entry(double scale, boolean norm) {
    public static final Entry PLAIN = new Entry(1, false);

    public Entry {
      require(scale > 0 && scale < 1e9, "the embedding's scale must be > 0, got " + scale);
    }
  }

  /** Where a block's norms stand, and whether its halves read one another. See {@link Block}. */
  public enum Form {
    /** {@code x += attn(norm(x)); x += mlp(norm(x))}. */
    SEQUENTIAL,
    /** {@code x += attn(norm(x)) + mlp(norm'(x))}. */
    PARALLEL,
    /** {@code n = norm(x); x += attn(n) + mlp(n)}. */
    PARALLEL_ONE_NORM,
    /** {@code x += norm(attn(x)); x += norm(mlp(x))}. */
    NORM_AFTER,
    /** {@code x += norm(attn(norm(x))); x += norm(mlp(norm(x)))}. */
    SANDWICH
  }

  /** RMS normalisation of queries and keys, before they are turned. */
  public enum QkNorm {
    NONE,
    /** Of each head by itself, with one weight for all. */
    HEADS,
    /** Of all heads together. */
    WHOLE
  }

  /**
   * Attention with grouped queries.
   *
   * @param heads H, query heads
   * @param kvHeads heads of keys and values, a divisor of it
   * @param headDim D, the width of a head; {@code heads·headDim} may differ from {@code hidden}
   * @param window keys that a query sees, itself included; 0 for all before it
   * @param wide layers, from 0, whose queries see all keys despite the window
   * @param divisor scores are divided by its root; {@code headDim} as a rule
   * @param scoreCap scores become {@code scoreCap·tanh(scores/scoreCap)}; 0 for none
   */
  public record Attention(
      int heads,
      int kvHeads,
      int headDim,
      int window,
      Set<Integer> wide,
      QkNorm qkNorm,
      double divisor,
      double scoreCap) {
    /**
     * With a window of all layers, or none.
     *
     * @param qkNorm whether queries and keys are RMS-normalised, head by head
     */
    public Attention(int heads, int kvHeads, int headDim, int window, boolean qkNorm) {
      this(
          heads,
          kvHeads,
          headDim,
          window,
          Set.of(),
          qkNorm ? QkNorm.HEADS : QkNorm.NONE,
          headDim,
          0);
    }

    public Attention {
      require(divisor > 0 && divisor < 1e9, "what scores are divided by must be > 0");
      require(scoreCap >= 0 && scoreCap < 1e9, "a cap must not be negative, got " + scoreCap);
      require(heads > 0 && kvHeads > 0 && headDim > 0, "heads and their width must be > 0");
      require(
          heads % kvHeads == 0,
          "%d query heads cannot share %d key heads evenly".formatted(heads, kvHeads));
      require(
          (heads + 2L * kvHeads) * headDim <= WIDEST,
          "%d heads of width %d are too wide".formatted(heads, headDim));
      require(window >= 0, "the window must not be negative, got " + window);
      wide = Set.copyOf(wide);
    }

    /** The same, each layer's query seeing so many keys but those of {@code wide} layers. */
    public Attention windowed(int window, Set<Integer> wide) {
      return new Attention(heads, kvHeads, headDim, window, wide, qkNorm, divisor, scoreCap);
    }

    public Attention normed(QkNorm norm) {
      return new Attention(heads, kvHeads, headDim, window, wide, norm, divisor, scoreCap);
    }

    public Attention scored(double divisor, double scoreCap) {
      return new Attention(heads, kvHeads, headDim, window, wide, qkNorm, divisor, scoreCap);
    }
  }

  /**
   * A block's second half.
   *
   * @param inner F, its width inside
   * @param gated {@code down(f(gate(x)) · up(x))} or {@code down(f(up(x)))}
   */
  public record Mlp(int inner, boolean gated, Activation activation) {
    public Mlp {
      require(inner > 0, "sizes must be > 0");
    }
  }

  /**
   * The normalisation of a block's halves and in front of the head.
   *
   * @param offset what is added to an RMS norm's weights: 1 in Gemma, whose weights are stored as
   *     differences from 1; 0 as a rule
   */
  public record Norm(Kind kind, double eps, double offset) {
    /** {@link RmsNorm} or {@link LayerNorm}. */
    public enum Kind {
      RMS,
      LAYER
    }

    public Norm(Kind kind, double eps) {
      this(kind, eps, 0);
    }

    public Norm {
      require(offset == 0 || kind == Kind.RMS, "only RMS norms have an offset");
      require(eps > 0, "the norm's epsilon must be > 0, got " + eps);
    }
  }

  /**
   * Which projections add a bias: of queries, keys and values; of attention's output; the MLP's.
   */
  public record Biases(boolean qkv, boolean out, boolean mlp) {
    public static final Biases NONE = new Biases(false, false, false);
    public static final Biases ALL = new Biases(true, true, true);
  }

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
    require(vocab > 0 && layers > 0 && hidden > 0 && positions > 0, "sizes must be > 0");
    require(logitCap >= 0 && logitCap < 1e9, "a cap must not be negative, got " + logitCap);
    attention =
        attention.windowed(
            attention.window, attention.window == 0 ? Set.of() : below(layers, attention.wide));
    if (encoding instanceof Encoding.Rotary r) {
      r.check(attention.headDim);
      encoding = r.stillIn(below(layers, r.still()));
    }
    require(
        attention.qkNorm != QkNorm.HEADS
            || (encoding instanceof Encoding.Rotary r && r.still().isEmpty()),
        "norms of queries and keys need rotary positions");
    double width = 2.0 * (attention.heads + attention.kvHeads) * attention.headDim;
    double elements =
        layers * hidden * (width + (mlp.gated ? 3.0 : 2.0) * mlp.inner)
            + (tied ? 1.0 : 2.0) * vocab * hidden
            + perPosition(encoding, hidden, attention.headDim) * positions;
    require(
        elements <= MOST_ELEMENTS,
        "the sizes amount to %.0f numbers, at most %d are possible"
            .formatted(elements, MOST_ELEMENTS));
    extras = Map.copyOf(extras);
  }

  private static double perPosition(Encoding encoding, int hidden, int headDim) {
    return switch (encoding) {
      case Encoding.Learned() -> hidden;
      case Encoding.Rotary _ -> headDim;
      case Encoding.Alibi _ -> 0;
    };
  }

  private static Set<Integer> below(int layers, Set<Integer> set) {
    return set.stream().filter(i -> i >= 0 && i < layers).collect(Collectors.toUnmodifiableSet());
  }

  private static void require(boolean condition, String message) {
    if (!condition) {
      throw new IllegalArgumentException("transformer config: " + message);
    }
  }

  /**
   * Reads {@code config.json} of a Hugging Face directory.
   *
   * @throws FileFormatException if it is missing or damaged, names an unsupported model type, or
   *     sets a key that changes the mathematics to a value that this engine does not have
   */
  public static TransformerConfig read(Path directory) {
    return read(directory, note -> {});
  }

  /**
   * The same.
   *
   * @param notes takes a line for each key that is passed over and that transformers does not know
   */
  public static TransformerConfig read(Path directory, Consumer<String> notes) {
    return ConfigJson.read(Json.read(directory.resolve("config.json")), notes);
  }

  /** Writes {@code config.json} with the keys of transformers 4 and 5, for weights of that type. */
  public void write(Path directory, DType weights) {
    AtomicFile.write(
        directory.resolve("config.json"), Json.write(ConfigJson.write(this, weights)) + "\n");
  }

  public int heads() {
    return attention.heads;
  }

  public int kvHeads() {
    return attention.kvHeads;
  }

  public int headDim() {
    return attention.headDim;
  }

  /** Keys that a query of that layer sees, itself included; 0 for all before it. */
  public int window(int layer) {
    return attention.wide.contains(layer) ? 0 : attention.window;
  }

  /** How that layer turns queries and keys; {@code null} where it does not. */
  public @Nullable RopeConfig rope(int layer) {
    return encoding instanceof Encoding.Rotary r ? r.of(layer, window(layer) > 0) : null;
  }

  /** The width inside the MLP. */
  public int ffn() {
    return mlp.inner;
  }

  /** Columns of the packed projection of queries, keys and values. */
  public int qkvWidth() {
    return (attention.heads + 2 * attention.kvHeads) * attention.headDim;
  }

  /** The rotary positions, of layers without a window; {@code null} where there are none. */
  public @Nullable RopeConfig rope() {
    return encoding instanceof Encoding.Rotary r ? r.rope() : null;
  }

  /** This configuration with some features changed. */
  public TransformerConfig with(UnaryOperator<Builder> change) {
    return change.apply(new Builder(this)).build();
  }

  public TransformerConfig withVocab(int vocab) {
    return with(b -> b.vocab(vocab));
  }

  public TransformerConfig withLayers(int layers) {
    return with(b -> b.layers(layers));
  }

  public TransformerConfig withPositions(int positions) {
    return with(b -> b.positions(positions));
  }

  public TransformerConfig withDropout(Dropout dropout) {
    return with(b -> b.dropout(dropout));
  }

  /** Dropout of the embedding and of what blocks add to the residual stream, and no other. */
  public TransformerConfig withDropout(double p) {
    return withDropout(new Dropout(p, 0, p));
  }

  public TransformerConfig withExtras(Map<String, Object> extras) {
    return with(b -> b.extras(extras));
  }

  /** Of a family: the features, where not set those of a small Llama without biases. */
  public static Builder builder(Family family) {
    return new Builder(family);
  }

  /** Sets features by name. */
  public static final class Builder {
    private Family family;
    private int vocab = 1;
    private int layers = 1;
    private int hidden = 2;
    private Entry entry = Entry.PLAIN;
    private Form form = Form.SEQUENTIAL;
    private Attention attention = new Attention(1, 1, 2, 0, false);
    private Mlp mlp = new Mlp(2, true, Activation.SILU);
    private Norm norm = new Norm(Norm.Kind.RMS, 1e-5);
    private Biases biases = Biases.NONE;
    private Encoding encoding = new Encoding.Rotary(RopeConfig.of(10_000));
    private int positions = 1;
    private boolean tied;
    private double logitCap;
    private Dropout dropout = Dropout.NONE;
    private Map<String, Object> extras = Map.of();

    private Builder(Family family) {
      this.family = family;
    }

    private Builder(TransformerConfig c) {
      family = c.family;
      vocab = c.vocab;
      layers = c.layers;
      hidden = c.hidden;
      entry = c.entry;
      form = c.form;
      attention = c.attention;
      mlp = c.mlp;
      norm = c.norm;
      biases = c.biases;
      encoding = c.encoding;
      positions = c.positions;
      tied = c.tied;
      logitCap = c.logitCap;
      dropout = c.dropout;
      extras = c.extras;
    }

    public Builder family(Family value) {
      family = value;
      return this;
    }

    public Builder vocab(int value) {
      vocab = value;
      return this;
    }

    public Builder layers(int value) {
      layers = value;
      return this;
    }

    public Builder hidden(int value) {
      hidden = value;
      return this;
    }

    public Builder entry(Entry value) {
      entry = value;
      return this;
    }

    public Builder form(Form value) {
      form = value;
      return this;
    }

    public Builder attention(Attention value) {
      attention = value;
      return this;
    }

    public Builder mlp(Mlp value) {
      mlp = value;
      return this;
    }

    public Builder norm(Norm value) {
      norm = value;
      return this;
    }

    public Builder biases(Biases value) {
      biases = value;
      return this;
    }

    public Builder encoding(Encoding value) {
      encoding = value;
      return this;
    }

    public Builder rope(RopeConfig value) {
      return encoding(new Encoding.Rotary(value));
    }

    public Builder positions(int value) {
      positions = value;
      return this;
    }

    public Builder tied(boolean value) {
      tied = value;
      return this;
    }

    public Builder logitCap(double value) {
      logitCap = value;
      return this;
    }

    public Builder dropout(Dropout value) {
      dropout = value;
      return this;
    }

    public Builder extras(Map<String, Object> value) {
      extras = value;
      return this;
    }

    /**
     * @throws IllegalArgumentException for features that do not go together
     */
    public TransformerConfig build() {
      return new TransformerConfig(
          family, vocab, layers, hidden, entry, form, attention, mlp, norm, biases, encoding,
          positions, tied, logitCap, dropout, extras);
    }
  }
}
