package dev.javelin.nn.family;

import dev.javelin.nn.ConfigReader;
import dev.javelin.nn.Family;
import dev.javelin.nn.NameTable;
import dev.javelin.nn.TransformerConfig;
import dev.javelin.nn.TransformerConfig.Biases;
import dev.javelin.nn.TransformerConfig.Form;
import dev.javelin.nn.TransformerConfig.QkNorm;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** Llama with norms behind a block's halves, and of all of q and k. */
public record Olmo2() implements Family {
  private static final Rotary.Names NAMES =
      new Rotary.Names(
          null,
          null,
          Rotary.Names.norms("after1 post_attention_layernorm after2 post_feedforward_layernorm"));

  @Override
  public String modelType() {
    return "olmo2";
  }

  @Override
  public String className() {
    return "Olmo2ForCausalLM";
  }

  @Override
  public TransformerConfig read(ConfigReader json) {
    boolean bias = json.flag("attention_bias", false);
    TransformerConfig c =
        Rotary.read(json, this, Rotary.Absent.LLAMA.eps(1e-5))
            .biases(new Biases(bias, bias, false))
            .form(Form.NORM_AFTER)
            .build();
    return Rotary.windowed(
        json, c.with(b -> b.attention(c.attention().normed(QkNorm.WHOLE))), 0, i -> true);
  }

  @Override
  public void write(TransformerConfig config, Map<String, @Nullable Object> json) {
    Rotary.write(config, json);
    if (config.headDim() * config.heads() == config.hidden()) {
      json.remove("head_dim");
    }
    json.put("attention_bias", config.biases().qkv());
  }

  @Override
  public NameTable names(TransformerConfig config) {
    return Rotary.names(config, NAMES);
  }
}
