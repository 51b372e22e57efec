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
import dev.javelin.nn.TransformerConfig.Form;
import dev.javelin.nn.TransformerConfig.Mlp;
import dev.javelin.nn.TransformerConfig.Norm;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Falcon: LayerNorm, rotary positions or ALiBi, one head of keys (7B), or several (40B, {@code
 * new_decoder_architecture}), attention beside the MLP.
 */
public record Falcon() implements Family {
  @Override
  public String modelType() {
    return "falcon";
  }

  @Override
  public String className() {
    return "FalconForCausalLM";
  }

  @Override
  public TransformerConfig read(ConfigReader json) {
    json.onlyIf("apply_residual_connection_post_layernorm", false);
    json.noDropout("hidden_dropout"); // of the sum of both halves, or by another key's rate
    json.noDropout("attention_dropout");
    int hidden = json.size(json.has("n_embed") ? "n_embed" : "hidden_size");
    json.ignore("n_embed", "hidden_size");
    int heads = json.size("num_attention_heads");
    int headDim = json.headDim("hidden_size", hidden, heads);
    int positions = json.size("max_position_embeddings", 2048);
    RopeConfig rope = json.rope(positions);
    boolean alibi = json.flag("alibi", false);
    boolean bias = json.flag("bias", false);
    Activation f = Activations.read(json, "activation", "gelu");
    int inner = json.size("ffn_hidden_size", Math.toIntExact(4L * hidden));
    return TransformerConfig.builder(this)
        .vocab(json.size("vocab_size"))
        .layers(json.integer("num_hidden_layers", 1, 1 << 12))
        .hidden(hidden)
        .form(form(json))
        .attention(new Attention(heads, kvHeads(json, heads), headDim, 0, false))
        .mlp(new Mlp(inner, false, f))
        .norm(new Norm(Norm.Kind.LAYER, json.epsilon("layer_norm_epsilon", 1e-5)))
        .biases(bias ? Biases.ALL : Biases.NONE)
        .encoding(alibi ? new Encoding.Alibi(true) : new Encoding.Rotary(rope))
        .positions(json.longest(rope, positions))
        .tied(json.flag("tie_word_embeddings", true))
        .build();
  }

  private static Form form(ConfigReader json) {
    boolean parallel = json.flag("parallel_attn", true);
    if (!json.flag("new_decoder_architecture", false)) {
      json.ignore("num_ln_in_parallel_attn");
      return parallel ? Form.PARALLEL_ONE_NORM : Form.SEQUENTIAL;
    }
    json.onlyIf("parallel_attn", true);
    int norms = json.integer("num_ln_in_parallel_attn", 1, 2, 2);
    return norms == 2 ? Form.PARALLEL : Form.PARALLEL_ONE_NORM;
  }

  /** {@code num_kv_heads} counts in the new form alone. */
  private static int kvHeads(ConfigReader json, int heads) {
    int keys = json.size("num_kv_heads", heads);
    if (json.flag("multi_query", true) && !json.flag("new_decoder_architecture", false)) {
      return 1;
    }
    if (!json.flag("new_decoder_architecture", false) && keys != heads) {
      throw json.error("num_kv_heads", "must be num_attention_heads here, got " + keys);
    }
    return keys;
  }

  /** Whether the file's {@code query_key_value} groups heads, as both but the 7B form do. */
  private static boolean isNew(TransformerConfig c) {
    return c.form() == Form.PARALLEL || (c.kvHeads() > 1 && c.kvHeads() < c.heads());
  }

  @Override
  public void write(TransformerConfig c, Map<String, @Nullable Object> json) {
    boolean isNew = isNew(c);
    json.put("num_hidden_layers", c.layers());
    json.put("hidden_size", c.hidden());
    json.put("num_attention_heads", c.heads());
    json.put("num_kv_heads", isNew ? c.kvHeads() : c.heads());
    json.put("multi_query", isNew || c.kvHeads() == 1);
    json.put("new_decoder_architecture", isNew);
    json.put("parallel_attn", c.form() != Form.SEQUENTIAL);
    json.put("num_ln_in_parallel_attn", isNew ? (c.form() == Form.PARALLEL ? 2 : 1) : null);
    json.put("ffn_hidden_size", c.ffn());
    json.put("layer_norm_epsilon", c.norm().eps());
    json.put("activation", Activations.word(c.mlp().activation()));
    json.put("bias", c.biases().qkv());
    json.put("hidden_dropout", 0.0);
    json.put("attention_dropout", 0.0);
    json.put("alibi", c.encoding() instanceof Encoding.Alibi);
    if (c.encoding() instanceof Encoding.Alibi) {
      json.put("max_position_embeddings", c.positions());
    } else {
      RopeJson.write(json, c);
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
