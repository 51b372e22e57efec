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
    return Rotary.qwenWindows(
        json,
        Rotary.read(json, this, Rotary.Absent.LLAMA.kvHeads(-1))
            .biases(new Biases(true, false, false))
            .build());
  }

  @Override
  public void write(TransformerConfig config, Map<String, @Nullable Object> json) {
    Rotary.write(config, json);
    if (config.headDim() * config.heads() == config.hidden()) {
      json.remove("head_dim");
    }
    Rotary.writeQwenWindows(config, json);
  }

  @Override
  public NameTable names(TransformerConfig config) {
    return Rotary.names(config);
  }
}
