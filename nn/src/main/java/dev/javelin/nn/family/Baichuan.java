package dev.javelin.nn.family;

import dev.javelin.nn.ConfigReader;
import dev.javelin.nn.Encoding;
import dev.javelin.nn.Family;
import dev.javelin.nn.NameTable;
import dev.javelin.nn.RopeConfig;
import dev.javelin.nn.TransformerConfig;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * Llama with packed q/k/v: the 7B form with rotary positions, the 13B form, whose file bounds no
 * positions, with ALiBi. Baichuan 2 normalises its head and is refused by {@code z_loss_weight}.
 */
public record Baichuan() implements Family {
  private static final Rotary.Names NAMES =
      new Rotary.Names("W_pack", null, Rotary.Names.LLAMA.norms());
  private static final String ROTARY_CLASS = "BaiChuanForCausalLM";

  @Override
  public String modelType() {
    return "baichuan";
  }

  @Override
  public String className() {
    return "BaichuanForCausalLM";
  }

  @Override
  public List<String> classNames() {
    return List.of(className(), ROTARY_CLASS);
  }

  @Override
  public TransformerConfig read(ConfigReader json) {
    boolean alibi = !json.has("max_position_embeddings");
    if (alibi) {
      json.alias("max_position_embeddings", "model_max_length");
    }
    TransformerConfig c = Rotary.read(json, this, Rotary.Absent.LLAMA).build();
    return alibi ? c.with(b -> b.encoding(new Encoding.Alibi(false))) : c;
  }

  @Override
  public void write(TransformerConfig config, Map<String, @Nullable Object> json) {
    if (config.encoding() instanceof Encoding.Alibi) {
      Rotary.write(config.with(b -> b.rope(RopeConfig.of(10_000))), json);
      json.keySet().removeAll(Set.of("rope_theta", "rope_scaling", "rope_parameters"));
      json.put("model_max_length", json.remove("max_position_embeddings"));
    } else {
      Rotary.write(config, json);
      json.put("architectures", List.of(ROTARY_CLASS));
    }
    json.keySet().removeAll(Set.of("head_dim", "num_key_value_heads", "attention_dropout"));
  }

  @Override
  public NameTable names(TransformerConfig config) {
    return Rotary.names(config, NAMES);
  }
}
