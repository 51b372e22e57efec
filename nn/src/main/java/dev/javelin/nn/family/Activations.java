package dev.javelin.nn.family;

import dev.javelin.kernels.Activation;
import dev.javelin.nn.ConfigReader;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** The words of transformers for the nonlinearity of an MLP. */
final class Activations {
  /** The first of several words for one is that which is written. */
  private static final Map<String, Activation> WORDS = new LinkedHashMap<>();

  static {
    WORDS.put("silu", Activation.SILU);
    WORDS.put("swish", Activation.SILU);
    WORDS.put("gelu", Activation.GELU);
    WORDS.put("gelu_python", Activation.GELU);
    WORDS.put("gelu_pytorch_tanh", Activation.GELU_TANH);
    WORDS.put("gelu_new", Activation.GELU_TANH);
    WORDS.put("gelu_fast", Activation.GELU_TANH);
    WORDS.put("gelu_accurate", Activation.GELU_TANH);
    WORDS.put("relu", Activation.RELU);
    WORDS.put("relu2", Activation.RELU_SQUARED);
    WORDS.put("sigmoid", Activation.SIGMOID);
    WORDS.put("tanh", Activation.TANH);
  }

  private Activations() {}

  static Activation read(ConfigReader json, String key, String absent) {
    String word = json.text(key, absent);
    Activation f = WORDS.get(word);
    if (f == null) {
      throw json.error(
          key, "must be one of %s, got \"%s\"".formatted(String.join(", ", WORDS.keySet()), word));
    }
    return f;
  }

  /**
   * @throws IllegalArgumentException where no file has a word for it
   */
  static String word(Activation f) {
    return List.copyOf(WORDS.keySet()).stream()
        .filter(w -> WORDS.get(w) == f)
        .findFirst()
        .orElseThrow(() -> new IllegalArgumentException("config.json has no word for " + f));
  }
}
