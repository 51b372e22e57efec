package dev.javelin.nn;

import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/** Which keys of a {@code config.json} leave alone what a model computes, if no family asked. */
final class ConfigKeys {
  private ConfigKeys() {}

  enum Verdict {
    /** Of no effect, and commonly so. */
    INERT,
    /** Of no effect by its name, but not a key of transformers: worth a note. */
    NOTED,
    MAY_MATTER
  }

  /** About this very file, written anew with each. */
  private static final Set<String> OF_THE_FILE =
      Set.of(
          "architectures",
          "model_type",
          "transformers_version",
          "torch_dtype",
          "dtype",
          "auto_map");

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
          "output_past",
          "return_dict",
          "return_dict_in_generate",
          "keys_to_ignore_at_inference",
          "gradient_checkpointing",
          "chunk_size_feed_forward",
          "use_return_dict",
          "torchscript",
          "tf_legacy_loss",
          "use_bfloat16",
          "is_decoder",
          "is_causal",
          "cross_attention_hidden_size",
          // how weights were drawn
          "initializer_range",
          "initializer_factor",
          // generation
          "bos_token_id",
          "eos_token_id",
          "pad_token_id",
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
          "predict_special_tokens",
          "n_special",
          "tie_encoder_decoder");

  /** A word that stands for something computed, where other words are names and notes. */
  private static final Set<String> TEXT_THAT_COUNTS =
      Set.of("position_embedding_type", "rope_type", "norm_type", "attention_type");

  /** Switches that are on where they are absent. */
  private static final Set<String> FALSE_THAT_COUNTS =
      Set.of("is_causal", "causal", "use_rope", "rotary", "use_rotary", "use_rms_norm");

  /**
   * Names that speak of history, tools, storage, lengths that others set, tokens, or which kernel
   * computes the same thing.
   */
  private static final Pattern NOTED =
      Pattern.compile(
          String.join(
              "|",
              "auto_map",
              "(unsloth|transformers|torch|tokenizer|train|training|trained|wandb|hf|onnx|gguf|mlx)_.*",
              "(fine_?tuned?|finetuning)(_.*)?",
              ".*_(version|name|path|dir|url|commit|hash|date|author|license|revision)",
              "(.*_)?token_(id|ids|index)",
              "(max_)?(seq|sequence)_(len|length)",
              "(embedding_)?(initializer|init)_.*",
              "(_?attn|attention)_implementation",
              "(use_)?_?(flash_?attn|flash_?attention|sdpa|xformers|fused_[a-z_]*)(_.*)?"));

  /** Rates of dropping: nothing is dropped at 0. */
  private static final Pattern DROPS = Pattern.compile(".*(dropout|_drop|pdrop)(_.*)?");

  /** Whether every file says this for itself, whatever the one that was read. */
  static boolean isWrittenAnew(String key, Object value) {
    return OF_THE_FILE.contains(key) || (key.equals("use_cache") && value.equals(true));
  }

  static Verdict judge(String key, @Nullable Object value) {
    String name = key.toLowerCase(Locale.ROOT);
    if (Boolean.FALSE.equals(value) && FALSE_THAT_COUNTS.contains(name)) {
      return Verdict.MAY_MATTER;
    }
    boolean nothing =
        value == null
            || Boolean.FALSE.equals(value)
            || (value instanceof String && !TEXT_THAT_COUNTS.contains(name))
            || (value instanceof Map<?, ?> map && map.isEmpty())
            || (value instanceof List<?> list && list.isEmpty())
            || (value instanceof Number n && n.doubleValue() == 0 && DROPS.matcher(name).matches());
    if (nothing || INERT.contains(key) || key.startsWith("_")) {
      return Verdict.INERT;
    }
    return NOTED.matcher(name).matches() ? Verdict.NOTED : Verdict.MAY_MATTER;
  }
}
