package dev.javelin.nn.family;

import dev.javelin.kernels.Activation;
import dev.javelin.nn.ConfigReader;
import dev.javelin.nn.Encoding;
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
import dev.javelin.nn.TransformerConfig.QkNorm;
import dev.javelin.tensor.op.Rotation.Pairing;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SequencedMap;
import java.util.Set;
import java.util.function.IntPredicate;
import java.util.stream.IntStream;
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
   * What an absent key means.
   *
   * @param kvHeads heads of keys; 0 for as many as of queries, -1 where the key must be there
   * @param headDim of a head; 0 for {@code hidden / heads}
   * @param share of a head's features that turn; 0 where no part of it is an option
   * @param localTheta the base of layers with a window; 0 where all have one
   * @param activation the key of the MLP's nonlinearity
   */
  record Absent(
      int kvHeads,
      int headDim,
      double eps,
      boolean tied,
      double theta,
      double share,
      double localTheta,
      String activation) {
    static final Absent LLAMA = new Absent(0, 0, 1e-6, false, 10_000, 0, 0, "hidden_act");

    Absent kvHeads(int n) {
      return new Absent(n, headDim, eps, tied, theta, share, localTheta, activation);
    }

    Absent headDim(int n) {
      return new Absent(kvHeads, n, eps, tied, theta, share, localTheta, activation);
    }

    Absent eps(double value) {
      return new Absent(kvHeads, headDim, value, tied, theta, share, localTheta, activation);
    }

    Absent tied(boolean on) {
      return new Absent(kvHeads, headDim, eps, on, theta, share, localTheta, activation);
    }

    Absent theta(double value) {
      return new Absent(kvHeads, headDim, eps, tied, value, share, localTheta, activation);
    }

    Absent share(double value) {
      return new Absent(kvHeads, headDim, eps, tied, theta, value, localTheta, activation);
    }
  }

  /** All but what families add: windows, norms of queries and keys, biases. */
  static Builder read(ConfigReader json, Family family, Absent absent) {
    json.onlyIf("rope_interleaved", false);
    if (absent.share == 0) {
      json.onlyOne("partial_rotary_factor");
    }
    if (json.integer("pretraining_tp", 1, 1 << 12, 1) > 1) {
      json.note(
          "pretraining_tp", "is ignored: it only splits a product that is computed at once here");
    }
    int hidden = json.size("hidden_size");
    int heads = json.size("num_attention_heads");
    int width =
        json.has("head_dim")
            ? json.size("head_dim")
            : absent.headDim > 0 ? absent.headDim : json.headDim("hidden_size", hidden, heads);
    int keys =
        absent.kvHeads < 0
            ? json.size("num_key_value_heads")
            : json.size("num_key_value_heads", absent.kvHeads == 0 ? heads : absent.kvHeads);
    int positions = json.size("max_position_embeddings");
    List<RopeConfig> ropes =
        absent.localTheta == 0
            ? List.of(json.rope(positions, absent.theta))
            : json.ropes(positions, absent.theta, absent.localTheta);
    RopeConfig rope = ropes.getFirst();
    RopeConfig local = ropes.size() == 2 ? ropes.getLast() : null;
    double share = absent.share == 0 ? json.rotaryShare(1) : json.rotaryShare(absent.share);
    if (absent.share == 0 && share != 1) {
      throw json.error(
          "rope_parameters", "has a partial_rotary_factor, which is supported only as 1");
    }
    return TransformerConfig.builder(family)
        .vocab(json.size("vocab_size"))
        .layers(json.integer("num_hidden_layers", 1, 1 << 12))
        .hidden(hidden)
        .attention(new Attention(heads, keys, width, 0, false))
        .mlp(
            new Mlp(
                json.size("intermediate_size"),
                true,
                Activations.read(
                    json,
                    absent.activation,
                    absent.activation.equals("hidden_act") ? "silu" : "gelu_pytorch_tanh")))
        .norm(new Norm(Norm.Kind.RMS, json.epsilon("rms_norm_eps", absent.eps)))
        .encoding(new Encoding.Rotary(rope, local, Set.of(), share, Pairing.HALVES))
        .positions(json.longest(rope, positions))
        .tied(json.flag("tie_word_embeddings", absent.tied))
        .dropout(new Dropout(0, json.number("attention_dropout", 0), 0));
  }

  /** A window of the layers that {@code layer_types} says, or else of all but {@code wide}. */
  static TransformerConfig windowed(
      ConfigReader json, TransformerConfig c, int window, IntPredicate wide) {
    Set<Integer> layers = json.wideLayers(c.layers(), window, wide);
    return c.with(b -> b.attention(c.attention().windowed(window, layers)));
  }

  static void write(TransformerConfig c, Map<String, @Nullable Object> json) {
    json.put("num_hidden_layers", c.layers());
    json.put("hidden_size", c.hidden());
    json.put("num_attention_heads", c.heads());
    json.put("num_key_value_heads", c.kvHeads());
    json.put("head_dim", c.headDim());
    json.put("intermediate_size", c.ffn());
    json.put("rms_norm_eps", c.norm().eps());
    json.put("hidden_act", Activations.word(c.mlp().activation()));
    json.put("attention_dropout", c.dropout().attention());
    RopeJson.write(json, c);
  }

  static void writeLayerTypes(TransformerConfig c, Map<String, @Nullable Object> json) {
    json.put(
        "layer_types",
        IntStream.range(0, c.layers())
            .mapToObj(i -> c.window(i) > 0 ? "sliding_attention" : "full_attention")
            .toList());
  }

  /** As Qwen says windows. */
  static TransformerConfig qwenWindows(ConfigReader json, TransformerConfig c) {
    boolean used = json.flag("use_sliding_window", false);
    int width = json.integer("sliding_window", 1, Integer.MAX_VALUE, used ? 4096 : 0);
    int wide = json.integer("max_window_layers", 0, Integer.MAX_VALUE, 28);
    return windowed(json, c, used ? width : 0, i -> i < wide);
  }

  static void writeQwenWindows(TransformerConfig c, Map<String, @Nullable Object> json) {
    int window = c.attention().window();
    json.put("use_sliding_window", window > 0);
    json.put("sliding_window", window > 0 ? window : null);
    int wide = 0;
    while (wide < c.layers() && c.window(wide) == 0) {
      wide++;
    }
    json.put("max_window_layers", wide);
    if (window > 0) {
      writeLayerTypes(c, json);
    }
  }

  /**
   * What tensors are called.
   *
   * @param qkv the packed projection; {@code null} for three
   * @param gateUp the packed projection; {@code null} for two
   * @param norms of a block, in front of and behind its halves, as it has them
   */
  record Names(@Nullable String qkv, @Nullable String gateUp, SequencedMap<String, String> norms) {
    static final Names LLAMA =
        new Names(null, null, norms("norm1 input_layernorm norm2 post_attention_layernorm"));

    /** Pairs of our name and theirs. */
    static SequencedMap<String, String> norms(String pairs) {
      String[] words = pairs.split(" ");
      SequencedMap<String, String> map = new LinkedHashMap<>();
      for (int i = 0; i < words.length; i += 2) {
        map.put(words[i], words[i + 1]);
      }
      return map;
    }
  }

  static NameTable names(TransformerConfig c) {
    return names(c, Names.LLAMA);
  }

  static NameTable names(TransformerConfig c, Names n) {
    int q = c.heads() * c.headDim();
    int kv = c.kvHeads() * c.headDim();
    boolean heads = c.attention().qkNorm() == QkNorm.HEADS;
    NameTable.Builder names =
        NameTable.builder("model.").whole("model.embed_tokens.weight", "tokens", c.vocab());
    for (int i = 0; i < c.layers(); i++) {
      String file = "model.layers." + i + ".";
      String ours = "blocks." + i + ".";
      norm(names, n, "norm1", file, ours, c);
      for (String kind : kinds(c.biases().qkv())) {
        String packed = ours + "attn.qkv." + kind;
        if (n.qkv != null) {
          names.whole(file + "self_attn." + n.qkv + "." + kind, packed, q + 2 * kv);
          continue;
        }
        names
            .rows(file + "self_attn.q_proj." + kind, packed, 0, q)
            .rows(file + "self_attn.k_proj." + kind, packed, q, kv)
            .rows(file + "self_attn.v_proj." + kind, packed, q + kv, kv);
      }
      if (c.attention().qkNorm() != QkNorm.NONE) {
        names
            .whole(
                file + "self_attn.q_norm.weight",
                ours + "attn.qNorm.weight",
                heads ? c.headDim() : q)
            .whole(
                file + "self_attn.k_norm.weight",
                ours + "attn.kNorm.weight",
                heads ? c.headDim() : kv);
      }
      for (String kind : kinds(c.biases().out())) {
        names.whole(file + "self_attn.o_proj." + kind, ours + "attn.out." + kind, c.hidden());
      }
      norm(names, n, "after1", file, ours, c);
      norm(names, n, "norm2", file, ours, c);
      for (String kind : kinds(c.biases().mlp())) {
        String packed = ours + "mlp.gateUp." + kind;
        if (n.gateUp != null) {
          names.whole(file + "mlp." + n.gateUp + "." + kind, packed, 2 * c.ffn());
        } else {
          names
              .rows(file + "mlp.gate_proj." + kind, packed, 0, c.ffn())
              .rows(file + "mlp.up_proj." + kind, packed, c.ffn(), c.ffn());
        }
        names.whole(file + "mlp.down_proj." + kind, ours + "mlp.down." + kind, c.hidden());
      }
      norm(names, n, "after2", file, ours, c);
    }
    return names
        .whole("model.norm.weight", "norm.weight", c.hidden())
        .buffers("(.*\\.)?rotary_emb\\.inv_freq")
        .head("lm_head.weight", c.tied(), c.vocab())
        .build();
  }

  private static List<String> kinds(boolean bias) {
    return bias ? List.of("weight", "bias") : List.of("weight");
  }

  private static void norm(
      NameTable.Builder names,
      Names n,
      String which,
      String file,
      String ours,
      TransformerConfig c) {
    String name = n.norms.get(which);
    if (name != null) {
      names.whole(file + name + ".weight", ours + which + ".weight", c.hidden());
    }
  }
}
