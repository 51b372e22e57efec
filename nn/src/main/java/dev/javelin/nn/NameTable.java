package dev.javelin.nn;

import dev.javelin.tensor.Parameter;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.SequencedMap;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * The names that files give a model's parameters: each is a range of rows of one of ours, perhaps
 * transposed. Loading, saving, optimizer state and patterns for groups go through it; users see no
 * other names.
 */
public final class NameTable {
  static final String OTHER_MODEL = "the weights do not belong to this config.json";

  private final String prefix;
  private final @Nullable Pattern buffers;
  private final @Nullable String head;
  private final SequencedMap<String, Place> places;
  private final SequencedMap<String, Place> copies;

  /**
   * Where a tensor stands in ours.
   *
   * @param parameter our name
   * @param fromRow first row; a vector's element is a row
   * @param rows number of rows
   * @param transposed whether the file holds {@code [in, out]}, as GPT-2's Conv1D does
   */
  public record Place(String parameter, int fromRow, int rows, boolean transposed) {}

  private NameTable(Builder b) {
    this.prefix = b.prefix;
    this.buffers = b.buffers;
    this.head = b.head;
    this.places = Collections.unmodifiableSequencedMap(b.places);
    this.copies = Collections.unmodifiableSequencedMap(b.copies);
  }

  /**
   * A table to be filled.
   *
   * @param prefix what stands before most names and is left out in some files, {@code "model."}
   */
  public static Builder builder(String prefix) {
    return new Builder(prefix);
  }

  /** Takes up names in the order of the layers, which is that of the files. */
  public static final class Builder {
    private final String prefix;
    private final SequencedMap<String, Place> places = new LinkedHashMap<>();
    private final SequencedMap<String, Place> copies = new LinkedHashMap<>();
    private @Nullable Pattern buffers;
    private @Nullable String head;

    private Builder(String prefix) {
      this.prefix = prefix;
    }

    /** A tensor that is one of our parameters, of so many rows; a vector's element is a row. */
    public Builder whole(String file, String ours, int rows) {
      return rows(file, ours, 0, rows);
    }

    /** A tensor that is some rows of one of our parameters. */
    public Builder rows(String file, String ours, int fromRow, int rows) {
      places.put(file, new Place(ours, fromRow, rows, false));
      return this;
    }

    /** A matrix that stands as [in, out] in the file. */
    public Builder transposed(String file, String ours, int rows) {
      places.put(file, new Place(ours, 0, rows, true));
      return this;
    }

    /**
     * The head [V, C]: a parameter of its own, or where it is tied a copy of the embedding that may
     * be there if it is equal.
     */
    public Builder head(String file, boolean tied, int rows) {
      head = file;
      (tied ? copies : places).put(file, new Place(tied ? "tokens" : "head", 0, rows, false));
      return this;
    }

    /** Tensors in published files that hold nothing to be learned, and are passed over. */
    public Builder buffers(String regex) {
      buffers = Pattern.compile(regex);
      return this;
    }

    public NameTable build() {
      return new NameTable(this);
    }
  }

  /** The table of a buffer's model: the one it brings, or its own names. */
  static NameTable of(ParameterBuffer<?> buffer) {
    if (buffer.model() instanceof NamedInFiles model) {
      return model.fileNames();
    }
    Builder own = builder("");
    for (Parameter p : buffer.named().values()) {
      own.whole(p.name(), p.name(), rows(p));
    }
    return own.build();
  }

  static int rows(Parameter p) {
    return p.value().rank() < 2 ? (int) p.value().elements() : p.value().rows();
  }

  static NameTable of(TransformerConfig config) {
    boolean gpt2 = config.architecture() == Architecture.GPT2;
    Builder b = builder(gpt2 ? "transformer." : "model.");
    if (gpt2) {
      gpt2(b, config);
    } else {
      llama(b, config);
    }
    b.buffers("(.*\\.)?(attn\\.(bias|masked_bias)|rotary_emb\\.inv_freq)");
    return b.head("lm_head.weight", config.tied(), config.vocab()).build();
  }

  private static void llama(Builder b, TransformerConfig c) {
    int q = c.heads() * c.headDim();
    int kv = c.kvHeads() * c.headDim();
    b.whole("model.embed_tokens.weight", "tokens", c.vocab());
    for (int i = 0; i < c.layers(); i++) {
      String hf = "model.layers." + i + ".";
      String ours = "blocks." + i + ".";
      b.whole(hf + "input_layernorm.weight", ours + "norm1.weight", c.hidden());
      for (String kind :
          c.architecture().qkvBias() ? List.of("weight", "bias") : List.of("weight")) {
        String packed = ours + "attn.qkv." + kind;
        b.rows(hf + "self_attn.q_proj." + kind, packed, 0, q);
        b.rows(hf + "self_attn.k_proj." + kind, packed, q, kv);
        b.rows(hf + "self_attn.v_proj." + kind, packed, q + kv, kv);
      }
      if (c.architecture().qkNorm()) {
        b.whole(hf + "self_attn.q_norm.weight", ours + "attn.qNorm.weight", c.headDim());
        b.whole(hf + "self_attn.k_norm.weight", ours + "attn.kNorm.weight", c.headDim());
      }
      b.whole(hf + "self_attn.o_proj.weight", ours + "attn.out.weight", c.hidden());
      b.whole(hf + "post_attention_layernorm.weight", ours + "norm2.weight", c.hidden());
      b.rows(hf + "mlp.gate_proj.weight", ours + "mlp.gateUp.weight", 0, c.ffn());
      b.rows(hf + "mlp.up_proj.weight", ours + "mlp.gateUp.weight", c.ffn(), c.ffn());
      b.whole(hf + "mlp.down_proj.weight", ours + "mlp.down.weight", c.hidden());
    }
    b.whole("model.norm.weight", "norm.weight", c.hidden());
  }

  private static void gpt2(Builder b, TransformerConfig c) {
    b.whole("transformer.wte.weight", "tokens", c.vocab());
    b.whole("transformer.wpe.weight", "positions", c.positions());
    for (int i = 0; i < c.layers(); i++) {
      String hf = "transformer.h." + i + ".";
      String ours = "blocks." + i + ".";
      norm(b, hf + "ln_1", ours + "norm1", c.hidden());
      conv1d(b, hf + "attn.c_attn", ours + "attn.qkv", c.qkvWidth());
      conv1d(b, hf + "attn.c_proj", ours + "attn.out", c.hidden());
      norm(b, hf + "ln_2", ours + "norm2", c.hidden());
      conv1d(b, hf + "mlp.c_fc", ours + "mlp.up", c.ffn());
      conv1d(b, hf + "mlp.c_proj", ours + "mlp.down", c.hidden());
    }
    norm(b, "transformer.ln_f", "norm", c.hidden());
  }

  private static void norm(Builder b, String hf, String ours, int rows) {
    b.whole(hf + ".weight", ours + ".weight", rows).whole(hf + ".bias", ours + ".bias", rows);
  }

  private static void conv1d(Builder b, String hf, String ours, int rows) {
    b.transposed(hf + ".weight", ours + ".weight", rows).whole(hf + ".bias", ours + ".bias", rows);
  }

  /** The name in files to the place in ours, in the order of the layers. */
  public SequencedMap<String, Place> places() {
    return places;
  }

  /** Tensors that may be there if they equal what {@link #places} has read. */
  SequencedMap<String, Place> copies() {
    return copies;
  }

  /** The names of the tensors that make up one of our parameters. */
  public List<String> namesOf(String parameter) {
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
  boolean isBuffer(String name) {
    return buffers != null && buffers.matcher(name).matches();
  }

  /** What to do where a tensor is missing. */
  String remedy(String name) {
    return name.equals(head)
        ? "set tie_word_embeddings to true in config.json if the head is the embedding"
        : OTHER_MODEL + ", or a shard is not there";
  }
}
