package dev.javelin.nn;

import dev.javelin.device.DType;
import dev.javelin.kernels.Activation;
import dev.javelin.tensor.io.AtomicFile;
import dev.javelin.tensor.io.FileFormatException;
import dev.javelin.tensor.io.Json;
import dev.javelin.tensor.io.JsonObject;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * The features of a {@link Bert}: {@code config.json} with the model type {@code bert}.
 *
 * @param head what stands on the encoder
 * @param vocab V, the number of tokens
 * @param hidden C, the width of the residual stream
 * @param heads H, a divisor of it
 * @param inner F, the width inside the MLP
 * @param activation of the MLP and of the head for masked words
 * @param eps of the norms
 * @param positions the longest sequence
 * @param types kinds of tokens: of the first sentence, of the second
 * @param labels the classes; those of models that classify nothing are of no use
 * @param extras keys of {@code config.json} that do not touch the mathematics, written back as they
 *     were
 */
public record BertConfig(
    Head head,
    int vocab,
    int layers,
    int hidden,
    int heads,
    int inner,
    Activation activation,
    double eps,
    int positions,
    int types,
    Dropout dropout,
    Labels labels,
    Map<String, Object> extras) {
  public static final String MODEL_TYPE = "bert";

  /** What the activations are called in files, ours first. */
  private static final Map<String, Activation> ACTIVATIONS =
      Map.of(
          "gelu", Activation.GELU,
          "gelu_new", Activation.GELU_TANH,
          "gelu_pytorch_tanh", Activation.GELU_TANH,
          "relu", Activation.RELU,
          "silu", Activation.SILU,
          "swish", Activation.SILU);

  /** What stands on the encoder; each is a class of transformers. */
  public enum Head {
    /** Nothing but the pooler. */
    NONE("BertModel"),
    /** Masked words, and whether the second sentence follows the first. */
    PRETRAINING("BertForPreTraining"),
    MASKED_WORDS("BertForMaskedLM"),
    NEXT_SENTENCE("BertForNextSentencePrediction"),
    CLASSIFIER("BertForSequenceClassification");

    private final String className;

    Head(String className) {
      this.className = className;
    }

    /** The one of {@code architectures} in {@code config.json}. */
    public String className() {
      return className;
    }

    /** Whether it reads what the pooler makes of the first token. */
    public boolean pools() {
      return this != MASKED_WORDS;
    }

    /** Whether it says what stands in the place of a masked word. */
    public boolean unmasks() {
      return this == PRETRAINING || this == MASKED_WORDS;
    }

    /** Whether it says if the second sentence follows the first. */
    public boolean comparesSentences() {
      return this == PRETRAINING || this == NEXT_SENTENCE;
    }
  }

  /**
   * Probabilities, in training, of dropping an element of the embedding or of what a block adds, an
   * attention weight, and an element of what the classifier reads.
   */
  public record Dropout(double hidden, double attention, double classifier) {
    public static final Dropout NONE = new Dropout(0, 0, 0);

    public Dropout {
      for (double p : new double[] {hidden, attention, classifier}) {
        require(p >= 0 && p < 1, "dropout must be in [0, 1), got " + p);
      }
    }
  }

  public BertConfig {
    require(vocab > 0 && layers > 0 && hidden > 0 && heads > 0 && inner > 0, "sizes must be > 0");
    require(positions > 0 && types > 0, "positions and token types must be > 0");
    require(hidden % heads == 0, hidden + " cannot be split into " + heads + " heads");
    require(eps > 0, "the norms' epsilon must be > 0, got " + eps);
    double elements =
        (double) layers * hidden * (4.0 * hidden + 2.0 * inner)
            + (double) hidden * ((double) vocab + positions + types + labels.count());
    require(
        elements <= 1L << 42 && 3L * hidden <= 1 << 26,
        "the sizes amount to %.0f numbers, which is too many".formatted(elements));
    extras = Map.copyOf(extras);
  }

  private static void require(boolean condition, String message) {
    if (!condition) {
      throw new IllegalArgumentException("bert config: " + message);
    }
  }

  /** A model without dropout, of GELU and 2 token types. */
  public static BertConfig of(
      Head head, int vocab, int layers, int heads, int hidden, int inner, int positions) {
    return new BertConfig(
        head,
        vocab,
        layers,
        hidden,
        heads,
        inner,
        Activation.GELU,
        1e-12,
        positions,
        2,
        Dropout.NONE,
        Labels.numbered(2),
        Map.of());
  }

  /** The same encoder under another head. */
  public BertConfig withHead(Head value) {
    return new BertConfig(
        value,
        vocab,
        layers,
        hidden,
        heads,
        inner,
        activation,
        eps,
        positions,
        types,
        dropout,
        labels,
        extras);
  }

  public BertConfig withLabels(Labels value) {
    return new BertConfig(
        head,
        vocab,
        layers,
        hidden,
        heads,
        inner,
        activation,
        eps,
        positions,
        types,
        dropout,
        value,
        extras);
  }

  public BertConfig withDropout(Dropout value) {
    return new BertConfig(
        head,
        vocab,
        layers,
        hidden,
        heads,
        inner,
        activation,
        eps,
        positions,
        types,
        value,
        labels,
        extras);
  }

  /** Whether a {@code config.json} is that of an encoder. */
  public static boolean isBert(JsonObject json) {
    return json.has("model_type") && json.text("model_type").equals(MODEL_TYPE);
  }

  /**
   * Reads {@code config.json} of a Hugging Face directory.
   *
   * @param notes takes a line for each key that is passed over and that transformers does not know
   * @throws FileFormatException if it is missing or damaged, is not a BERT's, or sets a key that
   *     changes the mathematics to a value that this engine does not have
   */
  public static BertConfig read(Path directory, Consumer<String> notes) {
    return read(Json.read(directory.resolve("config.json")), notes);
  }

  static BertConfig read(JsonObject json, Consumer<String> notes) {
    if (!json.text("model_type").equals(MODEL_TYPE)) {
      throw json.error("model_type", "must be " + MODEL_TYPE);
    }
    Head head = head(json);
    ConfigReader in = new ConfigReader(json, notes);
    in.oneOf("position_embedding_type", "absolute", List.of("absolute"));
    in.onlyIf("is_decoder", false);
    in.onlyIf("add_cross_attention", false);
    in.onlyIf("tie_word_embeddings", true);
    in.oneOf("hidden_act", "gelu", ACTIVATIONS.keySet().stream().sorted().toList());
    in.ignore("pooler_fc_size", "pooler_num_attention_heads", "pooler_num_fc_layers");
    in.ignore("pooler_size_per_head", "pooler_type", "directionality"); // of no class
    if (head == Head.CLASSIFIER) {
      in.ignore("id2label", "label2id", "num_labels");
      in.oneOf(
          "problem_type", "single_label_classification", List.of("single_label_classification"));
    }
    double hidden = in.number("hidden_dropout_prob", 0.1);
    try {
      return new BertConfig(
          head,
          in.size("vocab_size"),
          in.integer("num_hidden_layers", 1, 1 << 12),
          in.size("hidden_size"),
          in.size("num_attention_heads"),
          in.size("intermediate_size"),
          ACTIVATIONS.getOrDefault(in.text("hidden_act", "gelu"), Activation.GELU),
          in.epsilon("layer_norm_eps", 1e-12),
          in.size("max_position_embeddings"),
          in.integer("type_vocab_size", 1, 1 << 16, 2),
          new Dropout(
              hidden,
              in.number("attention_probs_dropout_prob", 0.1),
              in.has("classifier_dropout") ? in.number("classifier_dropout", 0) : hidden),
          head == Head.CLASSIFIER ? Labels.read(json) : Labels.numbered(2),
          in.rest());
    } catch (IllegalArgumentException e) {
      throw in.error(e);
    }
  }

  /** The one that {@code architectures} names; that of {@code BertModel} where it is silent. */
  private static Head head(JsonObject json) {
    if (!json.has("architectures")) {
      return Head.NONE;
    }
    for (Head head : Head.values()) {
      if (json.array("architectures").contains(head.className)) {
        return head;
      }
    }
    throw json.error(
        "architectures",
        "must name one of "
            + String.join(
                ", ", java.util.Arrays.stream(Head.values()).map(Head::className).toList())
            + ", got "
            + JsonObject.brief(json.array("architectures")));
  }

  /** Writes {@code config.json} with the keys of transformers 4 and 5, for weights of that type. */
  public void write(Path directory, DType weights) {
    Map<String, @Nullable Object> json = new TreeMap<>(extras);
    ConfigJson.writeShared(json, head.className, MODEL_TYPE, vocab, true, weights);
    json.put("num_hidden_layers", layers);
    json.put("hidden_size", hidden);
    json.put("num_attention_heads", heads);
    json.put("intermediate_size", inner);
    json.put("hidden_act", name(activation));
    json.put("layer_norm_eps", eps);
    json.put("max_position_embeddings", positions);
    json.put("type_vocab_size", types);
    json.put("hidden_dropout_prob", dropout.hidden);
    json.put("attention_probs_dropout_prob", dropout.attention);
    json.put(
        "classifier_dropout", dropout.classifier == dropout.hidden ? null : dropout.classifier);
    json.put("position_embedding_type", "absolute");
    json.put("is_decoder", false);
    json.put("add_cross_attention", false);
    if (head == Head.CLASSIFIER) {
      json.remove("num_labels");
      labels.write(json);
      json.put("problem_type", "single_label_classification");
    }
    AtomicFile.write(directory.resolve("config.json"), Json.write(json) + "\n");
  }

  private static String name(Activation f) {
    return switch (f) {
      case GELU -> "gelu";
      case GELU_TANH -> "gelu_new";
      case RELU -> "relu";
      case SILU -> "silu";
      case RELU_SQUARED, SIGMOID, TANH, SOFTPLUS ->
          throw new IllegalArgumentException("no BERT has the activation " + f);
    };
  }
}
