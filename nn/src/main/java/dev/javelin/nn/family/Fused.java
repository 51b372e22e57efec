package dev.javelin.nn.family;

import dev.javelin.nn.NameTable;
import dev.javelin.nn.NameTable.GroupedHeads;
import dev.javelin.nn.TransformerConfig;
import dev.javelin.nn.TransformerConfig.Form;
import java.util.List;

/**
 * The names of Megatron's descendants, BLOOM, Falcon and GPT-NeoX: {@code query_key_value} holds
 * each key head with its queries.
 *
 * @param model what stands before all but the head
 * @param layers {@code "h"} or {@code "layers"}
 * @param attention of a block
 * @param order of the rows of {@code query_key_value}
 */
record Fused(String model, String layers, String attention, GroupedHeads order) {

  NameTable.Builder names(TransformerConfig c, String embedding) {
    NameTable.Builder names =
        NameTable.builder(model).whole(model + embedding + ".weight", "tokens", c.vocab());
    if (c.entry().norm()) {
      norm(names, model + embedding + "_layernorm", "tokenNorm", c);
    }
    for (int i = 0; i < c.layers(); i++) {
      String file = model + layers + "." + i + ".";
      String ours = "blocks." + i + ".";
      boolean two = c.form() == Form.PARALLEL && attention.equals("self_attention");
      norm(names, file + (two ? "ln_attn" : "input_layernorm"), ours + "norm1", c);
      for (String kind : kinds(c.biases().qkv())) {
        names.grouped(
            file + attention + ".query_key_value." + kind, ours + "attn.qkv." + kind, order);
      }
      whole(names, c.biases().out(), file + attention + ".dense", ours + "attn.out", c.hidden());
      if (c.form() != Form.PARALLEL_ONE_NORM) {
        norm(names, file + (two ? "ln_mlp" : "post_attention_layernorm"), ours + "norm2", c);
      }
      whole(names, c.biases().mlp(), file + "mlp.dense_h_to_4h", ours + "mlp.up", c.ffn());
      whole(names, c.biases().mlp(), file + "mlp.dense_4h_to_h", ours + "mlp.down", c.hidden());
    }
    return names.buffers("(.*\\.)?(attention\\.(bias|masked_bias)|rotary_emb\\.inv_freq)");
  }

  void norm(NameTable.Builder names, String file, String ours, TransformerConfig c) {
    whole(names, true, file, ours, c.hidden());
  }

  private static void whole(
      NameTable.Builder names, boolean bias, String file, String ours, int rows) {
    for (String kind : kinds(bias)) {
      names.whole(file + "." + kind, ours + "." + kind, rows);
    }
  }

  private static List<String> kinds(boolean bias) {
    return bias ? List.of("weight", "bias") : List.of("weight");
  }
}
