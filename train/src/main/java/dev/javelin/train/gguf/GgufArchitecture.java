package dev.javelin.train.gguf;

import dev.javelin.kernels.Activation;
import dev.javelin.nn.NameTable;
import dev.javelin.nn.RopeConfig;
import dev.javelin.nn.TransformerConfig;
import dev.javelin.train.data.InputException;
import java.util.LinkedHashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * How llama.cpp calls a family, its keys and its tensors.
 *
 * @param name {@code general.architecture}
 * @param interleaved whether the rotary pairs of queries and keys are neighbours there; in our
 *     layout they are halves of a head
 * @param layers what stands before a layer's number in our files
 * @param parts what tensors outside of layers are called there, by their names in our files
 * @param blocks those of a layer, behind {@code blk.N.}, by what stands behind the layer's number
 */
record GgufArchitecture(
    String name,
    boolean interleaved,
    String layers,
    Map<String, String> parts,
    Map<String, String> blocks) {

  private static final GgufArchitecture LLAMA = rotary("llama", true);
  private static final GgufArchitecture GPT2 =
      new GgufArchitecture(
          "gpt2",
          false,
          "transformer.h.",
          Map.of(
              "transformer.wte", "token_embd",
              "transformer.wpe", "position_embd",
              "transformer.ln_f", "output_norm",
              "lm_head", "output"),
          Map.of(
              "ln_1", "attn_norm",
              "attn.c_attn", "attn_qkv",
              "attn.c_proj", "attn_output",
              "ln_2", "ffn_norm",
              "mlp.c_fc", "ffn_up",
              "mlp.c_proj", "ffn_down"));

  private static final Map<String, GgufArchitecture> BY_FAMILY = families();

  private static Map<String, GgufArchitecture> families() {
    Map<String, GgufArchitecture> families = new LinkedHashMap<>();
    families.put("llama", LLAMA);
    families.put("mistral", LLAMA);
    families.put("qwen2", rotary("qwen2", false));
    families.put("qwen3", rotary("qwen3", false));
    families.put("gpt2", GPT2);
    return families;
  }

  private static GgufArchitecture rotary(String name, boolean interleaved) {
    return new GgufArchitecture(
        name,
        interleaved,
        "model.layers.",
        Map.of(
            "model.embed_tokens", "token_embd", "model.norm", "output_norm", "lm_head", "output"),
        Map.ofEntries(
            Map.entry("input_layernorm", "attn_norm"),
            Map.entry("self_attn.q_proj", "attn_q"),
            Map.entry("self_attn.k_proj", "attn_k"),
            Map.entry("self_attn.v_proj", "attn_v"),
            Map.entry("self_attn.q_norm", "attn_q_norm"),
            Map.entry("self_attn.k_norm", "attn_k_norm"),
            Map.entry("self_attn.o_proj", "attn_output"),
            Map.entry("post_attention_layernorm", "ffn_norm"),
            Map.entry("mlp.gate_proj", "ffn_gate"),
            Map.entry("mlp.up_proj", "ffn_up"),
            Map.entry("mlp.down_proj", "ffn_down")));
  }

  /**
   * The one of a model.
   *
   * @throws InputException where GGUF files cannot say what the model computes
   */
  static GgufArchitecture of(TransformerConfig c) {
    String family = c.family().modelType();
    GgufArchitecture found = BY_FAMILY.get(family);
    if (found == null) {
      throw new InputException(
          "--gguf is not supported for %s: it is for %s"
              .formatted(family, String.join(", ", BY_FAMILY.keySet())));
    }
    for (int i = 0; i < c.layers(); i++) {
      if (c.window(i) > 0) {
        throw new InputException(
            "--gguf is not supported for %s with a sliding window: GGUF's %s has none"
                .formatted(family, found.name));
      }
    }
    boolean biases = c.mlp().gated() && (c.biases().out() || c.biases().mlp());
    Activation usual = c.mlp().gated() ? Activation.SILU : Activation.GELU_TANH;
    boolean ramp =
        c.rope() != null && c.rope().scaling() instanceof RopeConfig.Yarn y && !y.truncate();
    if (biases || ramp || c.mlp().activation() != usual) {
      throw new InputException(
          "--gguf is not supported for %s with %s: GGUF's %s has none"
              .formatted(
                  family,
                  biases
                      ? "biases"
                      : ramp ? "truncate: false" : "the MLP's " + c.mlp().activation(),
                  found.name));
    }
    return found;
  }

  /** The keys that say the sizes. */
  void describe(TransformerConfig c, GgufFile file) {
    file.put(name + ".vocab_size", c.vocab());
    file.put(name + ".context_length", c.positions());
    file.put(name + ".embedding_length", c.hidden());
    file.put(name + ".block_count", c.layers());
    file.put(name + ".feed_forward_length", c.ffn());
    file.put(name + ".attention.head_count", c.heads());
    file.put(name + ".attention.head_count_kv", c.kvHeads());
    boolean rms = c.norm().kind() == TransformerConfig.Norm.Kind.RMS;
    file.put(
        name + (rms ? ".attention.layer_norm_rms_epsilon" : ".attention.layer_norm_epsilon"),
        (float) c.norm().eps());
    RopeConfig rope = c.rope();
    if (rope != null) {
      file.put(name + ".attention.key_length", c.headDim());
      file.put(name + ".attention.value_length", c.headDim());
      file.put(name + ".rope.dimension_count", c.headDim());
      file.put(name + ".rope.freq_base", (float) rope.theta());
      scaling(rope, file);
    }
  }

  private void scaling(RopeConfig rope, GgufFile file) {
    String key = name + ".rope.scaling.";
    switch (rope.scaling()) {
      case RopeConfig.None _, RopeConfig.Llama3 _ -> {}
      case RopeConfig.Linear(double factor) -> {
        file.put(key + "type", "linear");
        file.put(key + "factor", (float) factor);
      }
      case RopeConfig.Yarn yarn -> {
        file.put(key + "type", "yarn");
        file.put(key + "factor", (float) yarn.factor());
        file.put(key + "original_context_length", yarn.originalPositions());
      }
      case RopeConfig.Dynamic _, RopeConfig.LongRope _ ->
          throw new InputException(
              "--gguf cannot say the scaling %s of the rotary positions: linear, llama3 and yarn are supported"
                  .formatted(rope.scaling()));
    }
  }

  /**
   * By what each frequency is divided, for Llama 3.1's scaling: a tensor of its own; {@code null}
   * where there is none.
   */
  static float @Nullable [] frequencyFactors(TransformerConfig c) {
    RopeConfig rope = c.rope();
    if (rope == null || !(rope.scaling() instanceof RopeConfig.Llama3)) {
      return null;
    }
    double[] scaled = rope.frequencies(c.headDim(), c.positions());
    double[] plain = RopeConfig.of(rope.theta()).frequencies(c.headDim(), c.positions());
    float[] factors = new float[plain.length];
    for (int i = 0; i < plain.length; i++) {
      factors[i] = (float) (plain[i] / scaled[i]);
    }
    return factors;
  }

  /** What a tensor is called there. */
  String tensor(String inFile) {
    int dot = inFile.lastIndexOf('.');
    String module = inFile.substring(0, dot);
    String kind = inFile.substring(dot);
    if (!module.startsWith(layers)) {
      return known(parts.get(module), inFile) + kind;
    }
    String rest = module.substring(layers.length());
    int end = rest.indexOf('.');
    String part = known(blocks.get(rest.substring(end + 1)), inFile);
    return "blk." + rest.substring(0, end) + "." + part + kind;
  }

  private String known(@Nullable String part, String inFile) {
    if (part == null) {
      throw new InputException(
          "--gguf has no name for the tensor %s in its architecture %s".formatted(inFile, name));
    }
    return part;
  }

  /**
   * Where each row of a tensor stands in ours: the row of the parameter that is row {@code r}
   * there.
   */
  long row(String inFile, NameTable.Place place, int headDim, long r) {
    boolean turned = inFile.contains(".q_proj.") || inFile.contains(".k_proj.");
    if (!interleaved || !turned) {
      return place.fromRow() + r;
    }
    long head = r / headDim;
    int pair = (int) (r % headDim) / 2;
    int half = (int) (r % 2);
    return place.fromRow() + head * headDim + (long) half * (headDim / 2) + pair;
  }
}
