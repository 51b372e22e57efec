package dev.javelin.nn;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.SequencedMap;
import java.util.regex.Pattern;

/**
 * The names that Hugging Face gives a model's parameters: each is a range of rows of one of ours,
 * perhaps transposed. Loading, saving, optimizer state and patterns for groups go through it; users
 * see no other names.
 */
final class NameTable {
  /** Buffers in published files that hold nothing to be learned. */
  private static final Pattern BUFFER =
      Pattern.compile("(.*\\.)?(attn\\.(bias|masked_bias)|rotary_emb\\.inv_freq)");

  private final String prefix;
  private final SequencedMap<String, Place> places = new LinkedHashMap<>();

  /**
   * Where a tensor stands in ours.
   *
   * @param parameter our name
   * @param fromRow first row; a vector's element is a row
   * @param rows number of rows
   * @param transposed whether the file holds {@code [in, out]}, as GPT-2's Conv1D does
   */
  record Place(String parameter, int fromRow, int rows, boolean transposed) {}

  private NameTable(String prefix) {
    this.prefix = prefix;
  }

  static NameTable of(TransformerConfig config) {
    NameTable table =
        new NameTable(config.architecture() == Architecture.GPT2 ? "transformer." : "model.");
    if (config.architecture() == Architecture.GPT2) {
      table.gpt2(config);
    } else {
      table.llama(config);
    }
    if (!config.tied()) {
      table.whole("lm_head.weight", "head", config.vocab());
    }
    return table;
  }

  private void llama(TransformerConfig c) {
    int q = c.heads() * c.headDim();
    int kv = c.kvHeads() * c.headDim();
    whole("model.embed_tokens.weight", "tokens", c.vocab());
    for (int i = 0; i < c.layers(); i++) {
      String hf = "model.layers." + i + ".";
      String ours = "blocks." + i + ".";
      whole(hf + "input_layernorm.weight", ours + "norm1.weight", c.hidden());
      for (String kind :
          c.architecture().qkvBias() ? List.of("weight", "bias") : List.of("weight")) {
        String packed = ours + "attn.qkv." + kind;
        rows(hf + "self_attn.q_proj." + kind, packed, 0, q);
        rows(hf + "self_attn.k_proj." + kind, packed, q, kv);
        rows(hf + "self_attn.v_proj." + kind, packed, q + kv, kv);
      }
      if (c.architecture().qkNorm()) {
        whole(hf + "self_attn.q_norm.weight", ours + "attn.qNorm", c.headDim());
        whole(hf + "self_attn.k_norm.weight", ours + "attn.kNorm", c.headDim());
      }
      whole(hf + "self_attn.o_proj.weight", ours + "attn.out.weight", c.hidden());
      whole(hf + "post_attention_layernorm.weight", ours + "norm2.weight", c.hidden());
      rows(hf + "mlp.gate_proj.weight", ours + "mlp.gateUp.weight", 0, c.ffn());
      rows(hf + "mlp.up_proj.weight", ours + "mlp.gateUp.weight", c.ffn(), c.ffn());
      whole(hf + "mlp.down_proj.weight", ours + "mlp.down.weight", c.hidden());
    }
    whole("model.norm.weight", "norm.weight", c.hidden());
  }

  private void gpt2(TransformerConfig c) {
    whole("transformer.wte.weight", "tokens", c.vocab());
    whole("transformer.wpe.weight", "positions", c.positions());
    for (int i = 0; i < c.layers(); i++) {
      String hf = "transformer.h." + i + ".";
      String ours = "blocks." + i + ".";
      norm(hf + "ln_1", ours + "norm1", c.hidden());
      conv1d(hf + "attn.c_attn", ours + "attn.qkv", c.qkvWidth());
      conv1d(hf + "attn.c_proj", ours + "attn.out", c.hidden());
      norm(hf + "ln_2", ours + "norm2", c.hidden());
      conv1d(hf + "mlp.c_fc", ours + "mlp.up", c.ffn());
      conv1d(hf + "mlp.c_proj", ours + "mlp.down", c.hidden());
    }
    norm("transformer.ln_f", "norm", c.hidden());
  }

  private void norm(String hf, String ours, int rows) {
    whole(hf + ".weight", ours + ".weight", rows);
    whole(hf + ".bias", ours + ".bias", rows);
  }

  private void conv1d(String hf, String ours, int rows) {
    places.put(hf + ".weight", new Place(ours + ".weight", 0, rows, true));
    whole(hf + ".bias", ours + ".bias", rows);
  }

  private void whole(String hf, String ours, int rows) {
    rows(hf, ours, 0, rows);
  }

  private void rows(String hf, String ours, int fromRow, int rows) {
    places.put(hf, new Place(ours, fromRow, rows, false));
  }

  /** Hugging Face's name to the place in ours, in the order of the layers. */
  SequencedMap<String, Place> places() {
    return places;
  }

  /** The names of the tensors that make up one of our parameters. */
  List<String> namesOf(String parameter) {
    List<String> names = new ArrayList<>();
    places.forEach(
        (name, place) -> {
          if (place.parameter().equals(parameter)) {
            names.add(name);
          }
        });
    return names;
  }

  /** The full form of a name: published GPT-2 files leave the prefix out. */
  String canonical(String name) {
    return places.containsKey(name) || !places.containsKey(prefix + name) ? name : prefix + name;
  }

  /** Whether a tensor of that name may be there and is not read. */
  static boolean isBuffer(String name) {
    return BUFFER.matcher(name).matches();
  }
}
