package dev.javelin.nn.family;

import dev.javelin.nn.TransformerConfig;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.SequencedMap;

/**
 * Named shapes for training from scratch; tied heads, no dropout. Vocabulary and positions are
 * defaults: a run sets them from its tokenizer and its sequence length.
 */
public final class Presets {
  private static final SequencedMap<String, TransformerConfig> ALL = new LinkedHashMap<>();

  static {
    ALL.put("llama-small", Llama.config(1024, 4, 4, 4, 192, 512, 128));
    ALL.put("gpt2-124m", Gpt2.config(50304, 12, 12, 768, 1024));
    ALL.put("llama-124m", Llama.config(50304, 12, 12, 12, 768, 2048, 1024));
    ALL.put("llama-350m", Llama.config(32000, 24, 16, 16, 1024, 2816, 2048));
    ALL.put("llama-1b", Llama.config(32000, 22, 32, 4, 2048, 5632, 2048));
    ALL.put("gpt2-shakespeare-cpu", Gpt2.config(65, 4, 4, 128, 64));
    ALL.put("llama-shakespeare-cpu", Llama.config(65, 4, 4, 4, 128, 352, 64));
    ALL.put("gpt2-shakespeare", Gpt2.config(65, 6, 6, 384, 256));
    ALL.put("llama-shakespeare", Llama.config(65, 6, 6, 6, 384, 1024, 256));
  }

  private Presets() {}

  /** All presets by name. */
  public static SequencedMap<String, TransformerConfig> all() {
    return Collections.unmodifiableSequencedMap(ALL);
  }

  /**
   * The preset of that name.
   *
   * @throws IllegalArgumentException naming all presets where there is none
   */
  public static TransformerConfig named(String name) {
    TransformerConfig config = ALL.get(name);
    if (config == null) {
      throw new IllegalArgumentException(
          "no preset is named " + name + ": there are " + String.join(", ", ALL.keySet()));
    }
    return config;
  }
}
