package dev.javelin.nn.family;

import dev.javelin.kernels.Activation;
import dev.javelin.nn.ConfigReader;
import dev.javelin.nn.Encoding;
import dev.javelin.nn.Family;
import dev.javelin.nn.NameTable;
import dev.javelin.nn.NameTable.GroupedHeads;
import dev.javelin.nn.TransformerConfig;
import dev.javelin.nn.TransformerConfig.Attention;
import dev.javelin.nn.TransformerConfig.Biases;
import dev.javelin.nn.TransformerConfig.Dropout;
import dev.javelin.nn.TransformerConfig.Entry;
import dev.javelin.nn.TransformerConfig.Mlp;
import dev.javelin.nn.TransformerConfig.Norm;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** LayerNorm, ALiBi, a norm of the embedding, GELU, biases everywhere but in the head. */
public record Bloom() implements Family {
  private static final int TRAINED = 2048; // tokens of a sequence; ALiBi sets no bound

  @Override
  public String modelType() {
    return "bloom";
  }

  @Override
  public String className() {
    return "BloomForCausalLM";
  }

  @Override
  public TransformerConfig read(ConfigReader json) {
    json.onlyIf("apply_residual_connection_post_layernorm", false);
    json.onlyIf("skip_bias_add_qkv", false);
    json.ignore(
        "slow_but_exact",
        "pretraining_tp",
        "attention_softmax_in_fp32",
        "masked_softmax_fusion",
        "offset_alibi",
        "skip_bias_add",
        "n_inner"); // how products are split and rounded; the width inside is four times the other
    int hidden = json.size(json.has("n_embed") ? "n_embed" : "hidden_size");
    int heads = json.size(json.has("n_head") ? "n_head" : "num_attention_heads");
    json.ignore("n_embed", "hidden_size", "n_head", "num_attention_heads");
    int headDim = json.headDim("hidden_size", hidden, heads);
    String layers = json.has("n_layer") ? "n_layer" : "num_hidden_layers";
    json.ignore("n_layer", "num_hidden_layers");
    double dropout = json.number("hidden_dropout", 0);
    return TransformerConfig.builder(this)
        .vocab(json.size("vocab_size"))
        .layers(json.integer(layers, 1, 1 << 12))
        .hidden(hidden)
        .entry(new Entry(1, true))
        .attention(new Attention(heads, heads, headDim, 0, false))
        .mlp(new Mlp(Math.toIntExact(4L * hidden), false, Activation.GELU_TANH))
        .norm(new Norm(Norm.Kind.LAYER, json.epsilon("layer_norm_epsilon", 1e-5)))
        .biases(Biases.ALL)
        .encoding(new Encoding.Alibi(false))
        .positions(json.size("seq_length", TRAINED))
        .tied(json.flag("tie_word_embeddings", true))
        .dropout(new Dropout(0, json.number("attention_dropout", 0), dropout))
        .build();
  }

  @Override
  public void write(TransformerConfig c, Map<String, @Nullable Object> json) {
    json.put("n_layer", c.layers());
    json.put("hidden_size", c.hidden());
    json.put("n_head", c.heads());
    json.put("layer_norm_epsilon", c.norm().eps());
    json.put("hidden_dropout", c.dropout().residual());
    json.put("attention_dropout", c.dropout().attention());
    json.put("apply_residual_connection_post_layernorm", false);
    json.put("slow_but_exact", false);
    json.put("pretraining_tp", 1);
    if (c.positions() != TRAINED) {
      json.put("seq_length", c.positions());
    }
  }

  @Override
  public NameTable names(TransformerConfig c) {
    GroupedHeads order = new GroupedHeads(c.heads(), c.kvHeads(), c.headDim());
    Fused fused = new Fused("transformer.", "h", "self_attention", order);
    NameTable.Builder names = fused.names(c, "word_embeddings");
    fused.norm(names, "transformer.ln_f", "norm", c);
    return names.head("lm_head.weight", c.tied(), c.vocab()).build();
  }
}
