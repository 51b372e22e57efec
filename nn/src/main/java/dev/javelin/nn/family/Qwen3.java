package dev.javelin.nn.family;

import dev.javelin.nn.ConfigReader;
import dev.javelin.nn.Family;
import dev.javelin.nn.NameTable;
import dev.javelin.nn.TransformerConfig;
import dev.javelin.nn.TransformerConfig.Biases;
import dev.javelin.nn.TransformerConfig.QkNorm;
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
    boolean bias = json.flag("attention_bias", false);
    TransformerConfig c =
        Rotary.read(json, this, Rotary.Absent.LLAMA.kvHeads(-1).headDim(128))
            .biases(new Biases(bias, bias, false))
            .build();
    return Rotary.qwenWindows(json, c.with(b -> b.attention(c.attention().normed(QkNorm.HEADS))));
  }

  @Override
  public void write(TransformerConfig config, Map<String, @Nullable Object> json) {
    Rotary.write(config, json);
    json.put("attention_bias", config.biases().qkv());
    Rotary.writeQwenWindows(config, json);
  }

  @Override
  public NameTable names(TransformerConfig config) {
    return Rotary.names(config);
  }
}
