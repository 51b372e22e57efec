package dev.javelin.nn.family;

import dev.javelin.nn.ConfigReader;
import dev.javelin.nn.Family;
import dev.javelin.nn.NameTable;
import dev.javelin.nn.TransformerConfig;
import dev.javelin.nn.TransformerConfig.Biases;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** RMSNorm, rotary positions, grouped queries, SwiGLU; Llama 2, 3, 3.1 and the many like it. */
public record Llama() implements Family {

  /** A Llama with tied head. */
  public static TransformerConfig config(
      int vocab, int layers, int heads, int kvHeads, int hidden, int inner, int positions) {
    return Rotary.config(new Llama(), vocab, layers, heads, kvHeads, hidden, inner, positions);
  }

  @Override
  public String modelType() {
    return "llama";
  }

  @Override
  public String className() {
    return "LlamaForCausalLM";
  }

  @Override
  public TransformerConfig read(ConfigReader json) {
    if (json.has("sliding_window")) {
      throw json.error("sliding_window", "is not supported for llama");
    }
    boolean attention = json.flag("attention_bias", false);
    Biases biases = new Biases(attention, attention, json.flag("mlp_bias", false));
    TransformerConfig c = Rotary.read(json, this, Rotary.Absent.LLAMA).biases(biases).build();
    return Rotary.windowed(json, c, 0, i -> true);
  }

  @Override
  public void write(TransformerConfig config, Map<String, @Nullable Object> json) {
    Rotary.write(config, json);
    json.put("attention_bias", config.biases().qkv());
    json.put("mlp_bias", config.biases().mlp());
  }

  @Override
  public NameTable names(TransformerConfig config) {
    return Rotary.names(config);
  }
}
