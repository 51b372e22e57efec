package dev.javelin.nn.family;

import dev.javelin.nn.ConfigReader;
import dev.javelin.nn.Family;
import dev.javelin.nn.NameTable;
import dev.javelin.nn.TransformerConfig;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** Llama with a sliding window. */
public record Mistral() implements Family {

  @Override
  public String modelType() {
    return "mistral";
  }

  @Override
  public String className() {
    return "MistralForCausalLM";
  }

  @Override
  public TransformerConfig read(ConfigReader json) {
    // without the key it is transformers' 4096; null means none
    int window =
        json.mentions("sliding_window")
            ? json.integer("sliding_window", 1, Integer.MAX_VALUE, 0)
            : 4096;
    TransformerConfig c = Rotary.read(json, this, Rotary.Absent.LLAMA.kvHeads(-1)).build();
    return Rotary.windowed(json, c, window, i -> false);
  }

  @Override
  public void write(TransformerConfig config, Map<String, @Nullable Object> json) {
    Rotary.write(config, json);
    int window = config.attention().window();
    json.put("sliding_window", window == 0 ? null : window);
    if (!config.attention().wide().isEmpty()) {
      Rotary.writeLayerTypes(config, json);
    }
  }

  @Override
  public NameTable names(TransformerConfig config) {
    return Rotary.names(config);
  }
}
