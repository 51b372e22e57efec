package dev.javelin.nn.family;

import dev.javelin.kernels.Activation;
import dev.javelin.nn.ConfigReader;
import dev.javelin.nn.Encoding;
import dev.javelin.nn.Family;
import dev.javelin.nn.NameTable;
import dev.javelin.nn.NameTable.GroupedHeads;
import dev.javelin.nn.RopeConfig;
import dev.javelin.nn.RopeJson;
import dev.javelin.nn.TransformerConfig;
import dev.javelin.nn.TransformerConfig.Attention;
import dev.javelin.nn.TransformerConfig.Biases;
import dev.javelin.nn.TransformerConfig.Dropout;
import dev.javelin.nn.TransformerConfig.Form;
import dev.javelin.nn.TransformerConfig.Mlp;
import dev.javelin.nn.TransformerConfig.Norm;
import dev.javelin.tensor.op.Rotation.Pairing;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/** LayerNorm, rotary positions of part of a head, halves that read the same or one another. */
public record GptNeoX() implements Family {
  @Override
  public String modelType() {
    return "gpt_neox";
  }

  @Override
  public String className() {
    return "GPTNeoXForCausalLM";
  }

  @Override
  public TransformerConfig read(ConfigReader json) {
    json.alias("rope_theta", "rotary_emb_base").alias("partial_rotary_factor", "rotary_pct");
    int hidden = json.size("hidden_size");
    int heads = json.size("num_attention_heads");
    int headDim = json.headDim("hidden_size", hidden, heads);
    int positions = json.size("max_position_embeddings");
    RopeConfig rope = json.rope(positions);
    double share = json.rotaryShare(0.25);
    boolean bias = json.flag("attention_bias", true);
    double dropout = json.number("hidden_dropout", 0);
    Activation f = Activations.read(json, "hidden_act", "gelu");
    return TransformerConfig.builder(this)
        .vocab(json.size("vocab_size"))
        .layers(json.integer("num_hidden_layers", 1, 1 << 12))
        .hidden(hidden)
        .form(json.flag("use_parallel_residual", true) ? Form.PARALLEL : Form.SEQUENTIAL)
        .attention(new Attention(heads, heads, headDim, 0, false))
        .mlp(new Mlp(json.size("intermediate_size"), false, f))
        .norm(new Norm(Norm.Kind.LAYER, json.epsilon("layer_norm_eps", 1e-5)))
        .biases(new Biases(bias, bias, true))
        .encoding(new Encoding.Rotary(rope, null, Set.of(), share, Pairing.HALVES))
        .positions(json.longest(rope, positions))
        .tied(json.flag("tie_word_embeddings", false))
        .dropout(new Dropout(dropout, json.number("attention_dropout", 0), dropout))
        .build();
  }

  @Override
  public void write(TransformerConfig c, Map<String, @Nullable Object> json) {
    json.put("num_hidden_layers", c.layers());
    json.put("hidden_size", c.hidden());
    json.put("num_attention_heads", c.heads());
    json.put("intermediate_size", c.ffn());
    json.put("layer_norm_eps", c.norm().eps());
    json.put("hidden_act", Activations.word(c.mlp().activation()));
    json.put("hidden_dropout", c.dropout().residual());
    json.put("attention_dropout", c.dropout().attention());
    json.put("attention_bias", c.biases().qkv());
    json.put("use_parallel_residual", c.form() == Form.PARALLEL);
    RopeJson.write(json, c, true);
    json.put("rotary_emb_base", json.remove("rope_theta"));
    json.put("rotary_pct", json.remove("partial_rotary_factor"));
  }

  @Override
  public NameTable names(TransformerConfig c) {
    GroupedHeads order = new GroupedHeads(c.heads(), c.kvHeads(), c.headDim());
    Fused fused = new Fused("gpt_neox.", "layers", "attention", order);
    NameTable.Builder names = fused.names(c, "embed_in");
    fused.norm(names, "gpt_neox.final_layer_norm", "norm", c);
    return names.head("embed_out.weight", c.tied(), c.vocab()).build();
  }
}
