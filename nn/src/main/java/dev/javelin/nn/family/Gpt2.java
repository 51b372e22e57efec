package dev.javelin.nn.family;

import dev.javelin.kernels.Activation;
import dev.javelin.nn.ConfigReader;
import dev.javelin.nn.Encoding;
import dev.javelin.nn.Family;
import dev.javelin.nn.NameTable;
import dev.javelin.nn.TransformerConfig;
import dev.javelin.nn.TransformerConfig.Attention;
import dev.javelin.nn.TransformerConfig.Biases;
import dev.javelin.nn.TransformerConfig.Builder;
import dev.javelin.nn.TransformerConfig.Dropout;
import dev.javelin.nn.TransformerConfig.Mlp;
import dev.javelin.nn.TransformerConfig.Norm;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** LayerNorm, learned positions, GELU, biases everywhere but in the head. */
public record Gpt2() implements Family {

  /** A GPT-2 with tied head and without dropout. */
  public static TransformerConfig config(
      int vocab, int layers, int heads, int hidden, int positions) {
    return features()
        .vocab(vocab)
        .layers(layers)
        .hidden(hidden)
        .attention(new Attention(heads, heads, hidden / heads, 0, false))
        .mlp(new Mlp(4 * hidden, false, Activation.GELU_TANH))
        .norm(new Norm(Norm.Kind.LAYER, 1e-5))
        .positions(positions)
        .tied(true)
        .build();
  }

  private static Builder features() {
    return TransformerConfig.builder(new Gpt2())
        .encoding(new Encoding.Learned())
        .biases(Biases.ALL);
  }

  @Override
  public String modelType() {
    return "gpt2";
  }

  @Override
  public String className() {
    return "GPT2LMHeadModel";
  }

  @Override
  public TransformerConfig read(ConfigReader json) {
    json.onlyIf("scale_attn_weights", true);
    json.onlyIf("scale_attn_by_inverse_layer_idx", false);
    json.onlyIf("reorder_and_upcast_attn", false);
    json.onlyIf("add_cross_attention", false);
    json.ignore("n_ctx"); // a second name for n_positions
    int hidden = json.size("n_embd");
    int heads = json.size("n_head");
    int headDim = json.headDim("n_embd", hidden, heads);
    int inner = json.size("n_inner", Math.toIntExact(4L * hidden));
    return features()
        .vocab(json.size("vocab_size"))
        .layers(json.integer("n_layer", 1, 1 << 12))
        .hidden(hidden)
        .attention(new Attention(heads, heads, headDim, 0, false))
        .mlp(new Mlp(inner, false, Activations.read(json, "activation_function", "gelu_new")))
        .norm(new Norm(Norm.Kind.LAYER, json.epsilon("layer_norm_epsilon", 1e-5)))
        .positions(json.size("n_positions"))
        .tied(json.flag("tie_word_embeddings", true))
        .dropout(
            new Dropout(
                json.number("embd_pdrop", 0.1),
                json.number("attn_pdrop", 0.1),
                json.number("resid_pdrop", 0.1)))
        .build();
  }

  @Override
  public void write(TransformerConfig c, Map<String, @Nullable Object> json) {
    json.put("n_layer", c.layers());
    json.put("n_embd", c.hidden());
    json.put("n_head", c.heads());
    json.put("n_inner", c.ffn() == 4 * c.hidden() ? null : c.ffn());
    json.put("n_positions", c.positions());
    json.put("n_ctx", c.positions());
    json.put("layer_norm_epsilon", c.norm().eps());
    Activation f = c.mlp().activation();
    json.put("activation_function", f == Activation.GELU_TANH ? "gelu_new" : Activations.word(f));
    json.put("embd_pdrop", c.dropout().embedding());
    json.put("attn_pdrop", c.dropout().attention());
    json.put("resid_pdrop", c.dropout().residual());
    json.put("scale_attn_weights", true);
    json.put("scale_attn_by_inverse_layer_idx", false);
    json.put("reorder_and_upcast_attn", false);
  }

  @Override
  public NameTable names(TransformerConfig c) {
    NameTable.Builder names =
        NameTable.builder("transformer.")
            .whole("transformer.wte.weight", "tokens", c.vocab())
            .whole("transformer.wpe.weight", "positions", c.positions());
    for (int i = 0; i < c.layers(); i++) {
      String file = "transformer.h." + i + ".";
      String ours = "blocks." + i + ".";
      norm(names, file + "ln_1", ours + "norm1", c.hidden());
      conv1d(names, file + "attn.c_attn", ours + "attn.qkv", c.qkvWidth());
      conv1d(names, file + "attn.c_proj", ours + "attn.out", c.hidden());
      norm(names, file + "ln_2", ours + "norm2", c.hidden());
      conv1d(names, file + "mlp.c_fc", ours + "mlp.up", c.ffn());
      conv1d(names, file + "mlp.c_proj", ours + "mlp.down", c.hidden());
    }
    norm(names, "transformer.ln_f", "norm", c.hidden());
    return names
        .buffers("(.*\\.)?attn\\.(bias|masked_bias)")
        .head("lm_head.weight", c.tied(), c.vocab())
        .build();
  }

  private static void norm(NameTable.Builder names, String file, String ours, int rows) {
    names.whole(file + ".weight", ours + ".weight", rows);
    names.whole(file + ".bias", ours + ".bias", rows);
  }

  /** Stands as [in, out] in files. */
  private static void conv1d(NameTable.Builder names, String file, String ours, int rows) {
    names.transposed(file + ".weight", ours + ".weight", rows);
    names.whole(file + ".bias", ours + ".bias", rows);
  }
}
