package dev.javelin.nn;

import dev.javelin.device.DType;
import dev.javelin.nn.TransformerConfig.Dropout;
import dev.javelin.tensor.io.FileFormatException;
import dev.javelin.tensor.io.JsonObject;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * {@code config.json} of Hugging Face, in the keys of transformers 4 ({@code rope_theta}, {@code
 * rope_scaling}, {@code torch_dtype}) and 5 ({@code rope_parameters}, {@code dtype}).
 *
 * <p>A key is either read, or known to leave the mathematics alone, or refused by name: a number,
 * an object or a true switch that nobody here knows may change what the model computes. An absent
 * key means what it means to transformers.
 */
final class ConfigJson {
  private static final int MANY = 1 << 24;

  /** Kept and written back. */
  private static final List<String> CARRIED =
      List.of("bos_token_id", "eos_token_id", "pad_token_id", "initializer_range");

  /** Of no effect on logits and loss. */
  private static final Set<String> INERT =
      Set.of(
          // where it comes from and how it is stored
          "architectures",
          "model_type",
          "transformers_version",
          "torch_dtype",
          "dtype",
          "name_or_path",
          "is_llama_config",
          "transformers.js_config",
          "model_max_length",
          // what it returns and remembers
          "use_cache",
          "output_attentions",
          "output_hidden_states",
          "output_scores",
          "return_dict",
          "return_dict_in_generate",
          "gradient_checkpointing",
          "chunk_size_feed_forward",
          "use_return_dict",
          "torchscript",
          "tf_legacy_loss",
          "use_bfloat16",
          "is_decoder",
          "cross_attention_hidden_size",
          // generation
          "sep_token_id",
          "decoder_start_token_id",
          "forced_bos_token_id",
          "forced_eos_token_id",
          "max_length",
          "min_length",
          "do_sample",
          "early_stopping",
          "num_beams",
          "num_beam_groups",
          "diversity_penalty",
          "temperature",
          "top_k",
          "top_p",
          "typical_p",
          "repetition_penalty",
          "length_penalty",
          "no_repeat_ngram_size",
          "encoder_no_repeat_ngram_size",
          "bad_words_ids",
          "num_return_sequences",
          "suppress_tokens",
          "begin_suppress_tokens",
          "max_new_tokens",
          "exponential_decay_length_penalty",
          "remove_invalid_values",
          "task_specific_params",
          // classification heads, which are not there
          "id2label",
          "label2id",
          "num_labels",
          "problem_type",
          "finetuning_task",
          "summary_type",
          "summary_use_proj",
          "summary_activation",
          "summary_proj_to_labels",
          "summary_first_dropout",
          "classifier_dropout",
          "tie_encoder_decoder",
          // GPT-2's second name for its positions
          "n_ctx");

  private static final Set<String> LLAMA_KEYS =
      Set.of(
          "vocab_size",
          "num_hidden_layers",
          "hidden_size",
          "num_attention_heads",
          "num_key_value_heads",
          "head_dim",
          "intermediate_size",
          "max_position_embeddings",
          "rms_norm_eps",
          "rope_theta",
          "rope_scaling",
          "rope_parameters",
          "sliding_window",
          "use_sliding_window",
          "max_window_layers",
          "layer_types",
          "tie_word_embeddings",
          "hidden_act",
          "attention_bias",
          "mlp_bias",
          "attention_dropout",
          "pretraining_tp",
          "partial_rotary_factor",
          "rope_interleaved");

  private static final Set<String> GPT2_KEYS =
      Set.of(
          "vocab_size",
          "n_layer",
          "n_embd",
          "n_head",
          "n_inner",
          "n_positions",
          "layer_norm_epsilon",
          "tie_word_embeddings",
          "activation_function",
          "embd_pdrop",
          "attn_pdrop",
          "resid_pdrop",
          "scale_attn_weights",
          "scale_attn_by_inverse_layer_idx",
          "reorder_and_upcast_attn",
          "add_cross_attention");

  private static final Set<String> TEXT_THAT_COUNTS =
      Set.of("position_embedding_type", "rope_type");

  private ConfigJson() {}

  static TransformerConfig read(JsonObject json) {
    Architecture architecture = architecture(json);
    refuseUnknownKeys(json, architecture == Architecture.GPT2 ? GPT2_KEYS : LLAMA_KEYS);
    try {
      return architecture == Architecture.GPT2 ? gpt2(json) : llama(json, architecture);
    } catch (IllegalArgumentException e) {
      throw new FileFormatException(
          json.file(), String.valueOf(e.getMessage()), "correct the sizes", e);
    }
  }

  private static Architecture architecture(JsonObject json) {
    String type = json.text("model_type");
    for (Architecture a : Architecture.values()) {
      if (a.modelType().equals(type)) {
        if (json.has("architectures") && !json.array("architectures").contains(a.className())) {
          throw json.error(
              "architectures",
              "must name "
                  + a.className()
                  + ", got "
                  + JsonObject.brief(json.array("architectures")));
        }
        return a;
      }
    }
    throw json.error(
        "model_type",
        Stream.of(Architecture.values())
            .map(Architecture::modelType)
            .collect(Collectors.joining(", ", "must be one of ", ", got \"" + type + "\"")));
  }

  private static void refuseUnknownKeys(JsonObject json, Set<String> known) {
    for (Map.Entry<String, @Nullable Object> member : json.members().entrySet()) {
      String key = member.getKey();
      Object value = member.getValue();
      boolean harmless =
          value == null
              || Boolean.FALSE.equals(value)
              || (value instanceof String && !TEXT_THAT_COUNTS.contains(key))
              || (value instanceof Map<?, ?> map && map.isEmpty())
              || (value instanceof List<?> list && list.isEmpty());
      if (!harmless
          && !known.contains(key)
          && !CARRIED.contains(key)
          && !INERT.contains(key)
          && !key.startsWith("_")) {
        throw new FileFormatException(
            json.file(),
            "the key "
                + key
                + " = "
                + JsonObject.brief(value)
                + " is not supported for "
                + json.text("model_type"),
            "remove it if it does not change what the model computes");
      }
    }
  }

  private static TransformerConfig gpt2(JsonObject json) {
    onlyIf(json, "scale_attn_weights", true);
    onlyIf(json, "scale_attn_by_inverse_layer_idx", false);
    onlyIf(json, "reorder_and_upcast_attn", false);
    onlyIf(json, "add_cross_attention", false);
    oneOf(json, "activation_function", "gelu_new", List.of("gelu_new", "gelu_pytorch_tanh"));
    int hidden = size(json, "n_embd");
    int heads = size(json, "n_head");
    return new TransformerConfig(
        Architecture.GPT2,
        size(json, "vocab_size"),
        json.integer("n_layer", 1, 1 << 12),
        hidden,
        heads,
        heads,
        headDim(json, "n_embd", hidden, heads),
        json.integer("n_inner", 1, MANY, Math.toIntExact(4L * hidden)),
        size(json, "n_positions"),
        epsilon(json, "layer_norm_epsilon", 1e-5),
        null,
        0,
        json.flag("tie_word_embeddings", true),
        new Dropout(
            json.number("embd_pdrop", 0.1),
            json.number("attn_pdrop", 0.1),
            json.number("resid_pdrop", 0.1)),
        extras(json));
  }

  private static TransformerConfig llama(JsonObject json, Architecture architecture) {
    onlyIf(json, "attention_bias", false);
    onlyIf(json, "mlp_bias", false);
    onlyIf(json, "use_sliding_window", false);
    onlyIf(json, "rope_interleaved", false);
    oneOf(json, "hidden_act", "silu", List.of("silu", "swish"));
    onlyOne(json, "pretraining_tp");
    onlyOne(json, "partial_rotary_factor");
    int layers = json.integer("num_hidden_layers", 1, 1 << 12);
    int hidden = size(json, "hidden_size");
    int heads = size(json, "num_attention_heads");
    int headDim =
        json.has("head_dim")
            ? size(json, "head_dim")
            : architecture == Architecture.QWEN3
                ? 128
                : headDim(json, "hidden_size", hidden, heads);
    int positions = size(json, "max_position_embeddings");
    RopeConfig rope = RopeJson.read(json, positions);
    int window = window(json, architecture);
    allLayers(json, layers, window > 0 ? "sliding_attention" : "full_attention");
    return new TransformerConfig(
        architecture,
        size(json, "vocab_size"),
        layers,
        hidden,
        heads,
        architecture == Architecture.LLAMA
            ? json.integer("num_key_value_heads", 1, MANY, heads)
            : size(json, "num_key_value_heads"),
        headDim,
        size(json, "intermediate_size"),
        RopeJson.longest(json, rope, positions),
        epsilon(json, "rms_norm_eps", 1e-6),
        rope,
        window,
        json.flag("tie_word_embeddings", false),
        new Dropout(0, json.number("attention_dropout", 0), 0),
        extras(json));
  }

  /** Only Mistral has one; without the key it is transformers' 4096, null means none. */
  private static int window(JsonObject json, Architecture architecture) {
    return switch (architecture) {
      case MISTRAL ->
          json.members().containsKey("sliding_window")
              ? json.integer("sliding_window", 1, Integer.MAX_VALUE, 0)
              : 4096;
      case QWEN2, QWEN3 -> 0; // use_sliding_window is false
      case LLAMA, GPT2 -> {
        if (json.has("sliding_window")) {
          throw json.error("sliding_window", "is not supported for " + architecture.modelType());
        }
        yield 0;
      }
    };
  }

  private static void allLayers(JsonObject json, int layers, String kind) {
    if (json.has("layer_types")) {
      List<@Nullable Object> kinds = json.array("layer_types");
      if (kinds.size() != layers || !kinds.stream().allMatch(kind::equals)) {
        throw json.error(
            "layer_types",
            "must be %d times \"%s\", got %s"
                .formatted(layers, kind, JsonObject.brief(new ArrayList<>(kinds))));
      }
    }
  }

  private static int size(JsonObject json, String key) {
    return json.integer(key, 1, MANY);
  }

  private static int headDim(JsonObject json, String key, int hidden, int heads) {
    if (hidden % heads != 0) {
      throw json.error(key, hidden + " cannot be split into " + heads + " heads");
    }
    return hidden / heads;
  }

  private static double epsilon(JsonObject json, String key, double absent) {
    double eps = json.number(key, absent);
    if (!(eps > 1e-30 && eps < 1)) {
      throw json.error(key, "must be between 0 and 1, got " + eps);
    }
    return eps;
  }

  private static void onlyIf(JsonObject json, String key, boolean supported) {
    if (json.flag(key, supported) != supported) {
      throw json.error(key, "is supported only as " + supported);
    }
  }

  private static void onlyOne(JsonObject json, String key) {
    if (json.number(key, 1) != 1) {
      throw json.error(key, "is supported only as 1, got " + json.number(key));
    }
  }

  private static void oneOf(JsonObject json, String key, String absent, List<String> supported) {
    String value = json.text(key, absent);
    if (!supported.contains(value)) {
      throw json.error(
          key, "must be " + String.join(" or ", supported) + ", got \"" + value + "\"");
    }
  }

  private static Map<String, Object> extras(JsonObject json) {
    Map<String, Object> extras = new LinkedHashMap<>();
    for (String key : CARRIED) {
      Object value = json.members().get(key);
      if (value != null) {
        extras.put(key, value);
      }
    }
    return extras;
  }

  static Map<String, @Nullable Object> write(TransformerConfig c, DType weights) {
    Map<String, @Nullable Object> json = new TreeMap<>(c.extras());
    json.put("architectures", List.of(c.architecture().className()));
    json.put("model_type", c.architecture().modelType());
    json.put("vocab_size", c.vocab());
    json.put("tie_word_embeddings", c.tied());
    json.put("use_cache", true);
    String dtype =
        switch (weights) {
          case F32 -> "float32";
          case BF16 -> "bfloat16";
          case F16 -> "float16";
          case I32, I64, U8 ->
              throw new IllegalArgumentException("weights must be of a float type, got " + weights);
        };
    json.put("torch_dtype", dtype);
    json.put("dtype", dtype);
    if (c.rope() == null) {
      writeGpt2(json, c);
    } else {
      writeLlama(json, c, c.rope());
    }
    return json;
  }

  private static void writeGpt2(Map<String, @Nullable Object> json, TransformerConfig c) {
    json.put("n_layer", c.layers());
    json.put("n_embd", c.hidden());
    json.put("n_head", c.heads());
    json.put("n_inner", c.ffn() == 4 * c.hidden() ? null : c.ffn());
    json.put("n_positions", c.positions());
    json.put("n_ctx", c.positions());
    json.put("layer_norm_epsilon", c.normEps());
    json.put("activation_function", "gelu_new");
    json.put("embd_pdrop", c.dropout().embedding());
    json.put("attn_pdrop", c.dropout().attention());
    json.put("resid_pdrop", c.dropout().residual());
    json.put("scale_attn_weights", true);
    json.put("scale_attn_by_inverse_layer_idx", false);
    json.put("reorder_and_upcast_attn", false);
  }

  private static void writeLlama(
      Map<String, @Nullable Object> json, TransformerConfig c, RopeConfig rope) {
    json.put("num_hidden_layers", c.layers());
    json.put("hidden_size", c.hidden());
    json.put("num_attention_heads", c.heads());
    json.put("num_key_value_heads", c.kvHeads());
    if (c.architecture() != Architecture.QWEN2 || c.headDim() * c.heads() != c.hidden()) {
      json.put("head_dim", c.headDim());
    }
    json.put("intermediate_size", c.ffn());
    json.put("max_position_embeddings", RopeJson.original(rope, c.positions()));
    json.put("rms_norm_eps", c.normEps());
    json.put("hidden_act", "silu");
    json.put("attention_dropout", c.dropout().attention());
    RopeJson.write(json, rope, c.positions());
    switch (c.architecture()) {
      case LLAMA -> {
        json.put("attention_bias", false);
        json.put("mlp_bias", false);
      }
      case MISTRAL -> json.put("sliding_window", c.window() == 0 ? null : c.window());
      case QWEN3 -> {
        json.put("attention_bias", false);
        noWindow(json, c);
      }
      case QWEN2 -> noWindow(json, c);
      case GPT2 -> throw new IllegalArgumentException("GPT-2 has no rotary positions");
    }
  }

  private static void noWindow(Map<String, @Nullable Object> json, TransformerConfig c) {
    json.put("use_sliding_window", false);
    json.put("sliding_window", null);
    json.put("max_window_layers", c.layers());
  }
}
