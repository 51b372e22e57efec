package dev.javelin.nn.family;

import dev.javelin.nn.ConfigReader;
import dev.javelin.nn.Family;
import dev.javelin.nn.NameTable;
import dev.javelin.nn.RopeConfig;
import dev.javelin.nn.RopeJson;
import dev.javelin.nn.TransformerConfig;
import dev.javelin.nn.TransformerConfig.Dropout;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** Llama with packed q/k/v and gate/up, part of a head turned where asked, and LongRoPE. */
public record Phi3() implements Family {
  private static final Rotary.Names NAMES =
      new Rotary.Names("qkv_proj", "gate_up_proj", Rotary.Names.LLAMA.norms());

  @Override
  public String modelType() {
    return "phi3";
  }

  @Override
  public String className() {
    return "Phi3ForCausalLM";
  }

  @Override
  public TransformerConfig read(ConfigReader json) {
    json.ignore("original_max_position_embeddings"); // of the rotary positions
    int window = json.integer("sliding_window", 1, Integer.MAX_VALUE, 0);
    TransformerConfig c =
        Rotary.read(json, this, Rotary.Absent.LLAMA.eps(1e-5).share(1))
            .dropout(
                new Dropout(
                    json.number("embd_pdrop", 0),
                    json.number("attention_dropout", 0),
                    json.number("resid_pdrop", 0)))
            .build();
    return Rotary.windowed(json, c, window, i -> false);
  }

  @Override
  public void write(TransformerConfig config, Map<String, @Nullable Object> json) {
    Rotary.write(config, json);
    RopeJson.write(json, config, true);
    if (config.headDim() * config.heads() == config.hidden()) {
      json.remove("head_dim");
    }
    int window = config.attention().window();
    json.put("sliding_window", window == 0 ? null : window);
    json.put("embd_pdrop", config.dropout().embedding());
    json.put("resid_pdrop", config.dropout().residual());
    RopeConfig rope = config.rope();
    json.put(
        "original_max_position_embeddings",
        rope != null && rope.scaling() instanceof RopeConfig.LongRope s
            ? s.originalPositions()
            : config.positions());
  }

  @Override
  public NameTable names(TransformerConfig config) {
    return Rotary.names(config, NAMES);
  }
}
