package dev.javelin.nn.family;

import dev.javelin.nn.ConfigReader;
import dev.javelin.nn.Family;
import dev.javelin.nn.NameTable;
import dev.javelin.nn.TransformerConfig;
import dev.javelin.nn.TransformerConfig.Biases;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** Llama with biases on q, k and v. */
public record Qwen2() implements Family {

  @Override
  public String modelType() {
    return "qwen2";
  }

  @Override
  public String className() {
    return "Qwen2ForCausalLM";
  }

  @Override
  public TransformerConfig read(ConfigReader json) {
    json.ignore("sliding_window", "max_window_layers"); // of use_sliding_window, which is false
    return Rotary.read(json, this, 0, 0, 0, false).biases(new Biases(true, false, false)).build();
  }

  @Override
  public void write(TransformerConfig config, Map<String, @Nullable Object> json) {
    Rotary.write(config, json);
    if (config.headDim() * config.heads() == config.hidden()) {
      json.remove("head_dim");
    }
    Rotary.writeNoWindow(config, json);
  }

  @Override
  public NameTable names(TransformerConfig config) {
    return Rotary.names(config);
  }
}
