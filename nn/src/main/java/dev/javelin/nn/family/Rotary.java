package dev.javelin.nn.family;

import dev.javelin.kernels.Activation;
import dev.javelin.nn.ConfigReader;
import dev.javelin.nn.Family;
import dev.javelin.nn.NameTable;
import dev.javelin.nn.RopeConfig;
import dev.javelin.nn.RopeJson;
import dev.javelin.nn.TransformerConfig;
import dev.javelin.nn.TransformerConfig.Attention;
import dev.javelin.nn.TransformerConfig.Builder;
import dev.javelin.nn.TransformerConfig.Dropout;
import dev.javelin.nn.TransformerConfig.Mlp;
import dev.javelin.nn.TransformerConfig.Norm;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** What Llama and those that followed it have in common. */
final class Rotary {
  private Rotary() {}

  static TransformerConfig config(
      Family family,
      int vocab,
      int layers,
      int heads,
      int kvHeads,
      int hidden,
      int inner,
      int positions) {
    return TransformerConfig.builder(family)
        .vocab(vocab)
        .layers(layers)
        .hidden(hidden)
        .attention(new Attention(heads, kvHeads, hidden / heads, 0, false))
        .mlp(new Mlp(inner, true, Activation.SILU))
        .positions(positions)
        .tied(true)
        .build();
  }

  /**
   * @param kvHeads heads of keys where the file does not say; 0 where it must
   * @param headDim of a head where the file does not say; 0 for {@code hidden / heads}
   */
  static Builder read(
      ConfigReader json, Family family, int kvHeads, int headDim, int window, boolean qkNorm) {
    json.onlyIf("attention_bias", false);
    json.onlyIf("mlp_bias", false);
    json.onlyIf("use_sliding_window", false);
    json.onlyIf("rope_interleaved", false);
    json.oneOf("hidden_act", "silu", List.of("silu", "swish"));
    json.onlyOne("partial_rotary_factor");
    if (json.integer("pretraining_tp", 1, 1 << 12, 1) > 1) {
      json.note(
          "pretraining_tp", "is ignored: it only splits a product that is computed at once here");
    }
    int layers = json.integer("num_hidden_layers", 1, 1 << 12);
    int hidden = json.size("hidden_size");
    int heads = json.size("num_attention_heads");
    int width =
        json.has("head_dim")
            ? json.size("head_dim")
            : headDim > 0 ? headDim : json.headDim("hidden_size", hidden, heads);
    int keys =
        kvHeads > 0 ? json.size("num_key_value_heads", kvHeads) : json.size("num_key_value_heads");
    int positions = json.size("max_position_embeddings");
    RopeConfig rope = json.rope(positions);
    json.allLayers(layers, window > 0 ? "sliding_attention" : "full_attention");
    return TransformerConfig.builder(family)
        .vocab(json.size("vocab_size"))
        .layers(layers)
        .hidden(hidden)
        .attention(new Attention(heads, keys, width, window, qkNorm))
        .mlp(new Mlp(json.size("intermediate_size"), true, Activation.SILU))
        .norm(new Norm(Norm.Kind.RMS, json.epsilon("rms_norm_eps", 1e-6)))
        .rope(rope)
        .positions(json.longest(rope, positions))
        .tied(json.flag("tie_word_embeddings", false))
        .dropout(new Dropout(0, json.number("attention_dropout", 0), 0));
  }

  static void write(TransformerConfig c, Map<String, @Nullable Object> json) {
    json.put("num_hidden_layers", c.layers());
    json.put("hidden_size", c.hidden());
    json.put("num_attention_heads", c.heads());
    json.put("num_key_value_heads", c.kvHeads());
    json.put("head_dim", c.headDim());
    json.put("intermediate_size", c.ffn());
    json.put("rms_norm_eps", c.norm().eps());
    json.put("hidden_act", "silu");
    json.put("attention_dropout", c.dropout().attention());
    RopeJson.write(json, c);
  }

  static void writeNoWindow(TransformerConfig c, Map<String, @Nullable Object> json) {
    json.put("use_sliding_window", false);
    json.put("sliding_window", null);
    json.put("max_window_layers", c.layers());
  }

  static NameTable names(TransformerConfig c) {
    int q = c.heads() * c.headDim();
    int kv = c.kvHeads() * c.headDim();
    NameTable.Builder names =
        NameTable.builder("model.").whole("model.embed_tokens.weight", "tokens", c.vocab());
    for (int i = 0; i < c.layers(); i++) {
      String file = "model.layers." + i + ".";
      String ours = "blocks." + i + ".";
      names.whole(file + "input_layernorm.weight", ours + "norm1.weight", c.hidden());
      for (String kind : c.biases().qkv() ? List.of("weight", "bias") : List.of("weight")) {
        String packed = ours + "attn.qkv." + kind;
        names
            .rows(file + "self_attn.q_proj." + kind, packed, 0, q)
            .rows(file + "self_attn.k_proj." + kind, packed, q, kv)
            .rows(file + "self_attn.v_proj." + kind, packed, q + kv, kv);
      }
      if (c.attention().qkNorm()) {
        names
            .whole(file + "self_attn.q_norm.weight", ours + "attn.qNorm.weight", c.headDim())
            .whole(file + "self_attn.k_norm.weight", ours + "attn.kNorm.weight", c.headDim());
      }
      names
          .whole(file + "self_attn.o_proj.weight", ours + "attn.out.weight", c.hidden())
          .whole(file + "post_attention_layernorm.weight", ours + "norm2.weight", c.hidden())
          .rows(file + "mlp.gate_proj.weight", ours + "mlp.gateUp.weight", 0, c.ffn())
          .rows(file + "mlp.up_proj.weight", ours + "mlp.gateUp.weight", c.ffn(), c.ffn())
          .whole(file + "mlp.down_proj.weight", ours + "mlp.down.weight", c.hidden());
    }
    return names
        .whole("model.norm.weight", "norm.weight", c.hidden())
        .buffers("(.*\\.)?rotary_emb\\.inv_freq")
        .head("lm_head.weight", c.tied(), c.vocab())
        .build();
  }
}
