package dev.javelin.nn.family;

import dev.javelin.nn.ConfigReader;
import dev.javelin.nn.Family;
import dev.javelin.nn.NameTable;
import dev.javelin.nn.TransformerConfig;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** Llama with RMSNorm on each head of q and k. */
public record Qwen3() implements Family {

  @Override
  public String modelType() {
    return "qwen3";
  }

  @Override
  public String className() {
    return "Qwen3ForCausalLM";
  }

  @Override
  public TransformerConfig read(ConfigReader json) {
    json.ignore("sliding_window", "max_window_layers"); // of use_sliding_window, which is false
    return Rotary.read(json, this, 0, 128, 0, true).build();
  }

  @Override
  public void write(TransformerConfig config, Map<String, @Nullable Object> json) {
    Rotary.write(config, json);
    json.put("attention_bias", false);
    Rotary.writeNoWindow(config, json);
  }

  @Override
  public NameTable names(TransformerConfig config) {
    return Rotary.names(config);
  }
}
