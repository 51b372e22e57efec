package dev.javelin.nn.family;

import dev.javelin.nn.ConfigReader;
import dev.javelin.nn.Family;
import dev.javelin.nn.NameTable;
import dev.javelin.nn.TransformerConfig;
import dev.javelin.nn.TransformerConfig.Form;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** GLM-4-0414: {@link Glm} with norms behind a block's halves too. */
public record Glm4() implements Family {
  private static final Rotary.Names NAMES =
      new Rotary.Names(
          null,
          "gate_up_proj",
          Rotary.Names.norms(
              "norm1 input_layernorm after1 post_self_attn_layernorm"
                  + " norm2 post_attention_layernorm after2 post_mlp_layernorm"));

  @Override
  public String modelType() {
    return "glm4";
  }

  @Override
  public String className() {
    return "Glm4ForCausalLM";
  }

  @Override
  public TransformerConfig read(ConfigReader json) {
    return Glm.read(json, this).form(Form.SANDWICH).build();
  }

  @Override
  public void write(TransformerConfig config, Map<String, @Nullable Object> json) {
    new Glm().write(config, json);
  }

  @Override
  public NameTable names(TransformerConfig config) {
    return Rotary.names(config, NAMES);
  }
}
