package dev.javelin.nn;

import static dev.javelin.nn.TransformerConfig.Norm.Kind.RMS;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.javelin.device.DType;
import dev.javelin.nn.TransformerConfig.Attention;
import dev.javelin.nn.TransformerConfig.Biases;
import dev.javelin.nn.family.Gpt2;
import dev.javelin.nn.family.Llama;
import dev.javelin.tensor.io.FileFormatException;
import dev.javelin.tensor.io.Json;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.FieldSource;
import org.junit.jupiter.params.provider.ValueSource;

class TransformerConfigTest {
  private static final String LLAMA =
      """
      {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": 320, "hidden_size": 64,
       "intermediate_size": 176, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
       "max_position_embeddings": 128, "rms_norm_eps": 1e-05, "hidden_act": "silu", "rope_theta": 500000.0,
       "tie_word_embeddings": false, "bos_token_id": 1, "eos_token_id": [2, 3], "torch_dtype": "bfloat16"}""";

  private static final String GPT2 =
      """
      {"activation_function": "gelu_new", "architectures": ["GPT2LMHeadModel"], "attn_pdrop": 0.1,
       "bos_token_id": 50256, "embd_pdrop": 0.1, "eos_token_id": 50256, "initializer_range": 0.02,
       "layer_norm_epsilon": 1e-05, "model_type": "gpt2", "n_ctx": 1024, "n_embd": 768, "n_head": 12,
       "n_layer": 12, "n_positions": 1024, "resid_pdrop": 0.1, "summary_activation": null,
       "summary_first_dropout": 0.1, "summary_proj_to_labels": true, "summary_type": "cls_index",
       "summary_use_proj": true, "task_specific_params": {"text-generation": {"do_sample": true, "max_length": 50}},
       "vocab_size": 50257}""";

  @TempDir Path dir;

  private static TransformerConfig read(String json) {
    return ConfigJson.read(
        Json.parse(Path.of("config.json"), ByteBuffer.wrap(json.getBytes(StandardCharsets.UTF_8))));
  }

  /** {@code LLAMA} with one more key, or another value for a key that is there. */
  private static String with(String json, String key, String value) {
    String without = json.replaceAll("\"" + key + "\": (\\[[^]]*]|[^,}]*),?", "");
    return without.replaceFirst("\\{", "{\"" + key + "\": " + value + ", ");
  }

  @Test
  void readsAPublishedGpt2() {
    TransformerConfig c = read(GPT2);
    assertThat(c.family()).isEqualTo(new Gpt2());
    assertThat(List.of(c.vocab(), c.layers(), c.hidden(), c.heads(), c.headDim(), c.ffn()))
        .containsExactly(50257, 12, 768, 12, 64, 3072);
    assertThat(c.positions()).isEqualTo(1024);
    assertThat(c.rope()).isNull();
    assertThat(c.tied()).isTrue();
    assertThat(c.dropout()).isEqualTo(new TransformerConfig.Dropout(0.1, 0.1, 0.1));
    assertThat(c.extras()).containsEntry("eos_token_id", 50256L);
  }

  @Test
  void readsLlamaWithBothSpellingsOfTheRotaryBase() {
    TransformerConfig classic = read(LLAMA);
    assertThat(classic.rope()).isEqualTo(RopeConfig.of(500_000));
    assertThat(classic.kvHeads()).isEqualTo(2);
    assertThat(classic.headDim()).isEqualTo(16);
    String current =
        with(LLAMA, "rope_theta", "null")
            .replace(
                "\"rope_theta\": null",
                "\"rope_parameters\": {\"rope_theta\": 500000.0, \"rope_type\": \"default\"}")
            .replace("torch_dtype", "dtype");
    assertThat(read(current)).isEqualTo(classic);
  }

  @Test
  void readsLlama31Scaling() {
    String scaling =
        """
        {"factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
         "original_max_position_embeddings": 8192, "rope_type": "llama3"}""";
    assertThat(read(with(LLAMA, "rope_scaling", scaling)).rope())
        .isEqualTo(new RopeConfig(500_000, new RopeConfig.Llama3(8, 1, 4, 8192)));
  }

  @Test
  void absentKeysMeanWhatTheyMeanToTransformers() {
    String llama =
        LLAMA.replace("\"num_key_value_heads\": 2,", "").replace("\"rms_norm_eps\": 1e-05,", "");
    assertThat(read(llama).kvHeads()).isEqualTo(4);
    assertThat(read(llama).norm().eps()).isEqualTo(1e-6);
    assertThat(read(llama.replace("\"rope_theta\": 500000.0,", "")).rope())
        .isEqualTo(RopeConfig.of(10_000));
    String mistral =
        LLAMA.replace("\"llama\"", "\"mistral\"").replace("LlamaForCausalLM", "MistralForCausalLM");
    assertThat(read(mistral).window(0)).isEqualTo(4096);
    assertThat(read(with(mistral, "sliding_window", "null")).window(0)).isZero();
    assertThat(read(with(mistral, "sliding_window", "8")).window(0)).isEqualTo(8);
    String qwen3 =
        LLAMA.replace("\"llama\"", "\"qwen3\"").replace("LlamaForCausalLM", "Qwen3ForCausalLM");
    assertThat(read(qwen3).headDim()).isEqualTo(128);
    assertThat(
            read(with(qwen3, "layer_types", "[\"full_attention\", \"full_attention\"]")).window(0))
        .isZero();
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "model_type | \"mixtral\" | the model_type \"mixtral\" is not supported; take a model of one of",
        "architectures | [\"LlamaForTokenClassification\"] | architectures must name LlamaForCausalLM",
        "hidden_act | \"quick_gelu\" | hidden_act must be one of silu, swish, gelu",
        "pretraining_tp | 0 | pretraining_tp must be from 1",
        "partial_rotary_factor | 0.5 | partial_rotary_factor is supported only as 1",
        "rope_scaling | {\"type\": \"ntk\", \"factor\": 2.0} | rope_scaling.rope_type must be default, linear",
        "rope_scaling | {\"type\": \"dynamic\", \"factor\": 1e8} | max_position_embeddings times the factor",
        "rope_scaling | {\"type\": \"longrope\", \"short_factor\": [1], \"long_factor\": [0]} | rope_scaling.long_factor must be",
        "rope_scaling | {\"type\": \"longrope\", \"short_factor\": [1], \"long_factor\": [1]} | needs 8 factors of longrope, got 1",
        "rope_scaling | {\"rope_type\": \"yarn\", \"factor\": 2.0, \"mscales\": 1.0} | rope_scaling.mscales",
        "rope_scaling | {\"rope_type\": \"linear\"} | rope_scaling.factor is missing",
        "rope_scaling | {\"rope_type\": \"linear\", \"factor\": -1} | rope_scaling.factor must be a positive",
        "rope_parameters | {\"rope_theta\": 10000.0} | rope_parameters contradicts",
        "sliding_window | 16 | sliding_window is not supported for llama",
        "use_sliding_window | true | the key use_sliding_window = true is not supported for llama",
        "layer_types | [\"full_attention\", \"sliding_attention\"] | layer_types must be 2 times",
        "quantization_config | {\"bits\": 4} | quantization_config",
        "attn_logit_softcapping | 30.0 | attn_logit_softcapping",
        "logit_scale | 0.5 | logit_scale",
        "num_local_experts | 8 | num_local_experts",
        "use_parallel_residual | true | use_parallel_residual",
        "position_embedding_type | \"alibi\" | position_embedding_type",
        "num_attention_heads | 5 | hidden_size 64 cannot be split into 5 heads",
        "num_key_value_heads | 3 | 4 query heads cannot share 3 key heads",
        "head_dim | 15 | even width",
        "head_dim | 16777216 | too wide",
        "vocab_size | 0 | vocab_size must be from 1",
        "vocab_size | \"many\" | vocab_size must be an integer",
        "hidden_size | null | hidden_size is missing",
        "rms_norm_eps | 0 | rms_norm_eps must be between",
        "rope_theta | 0 | rope_theta must be greater",
        "attention_dropout | 1.5 | dropout must be in [0, 1)",
      })
  void refusesByNameWhatItCannotCompute(String key, String value, String message) {
    assertThatThrownBy(() -> read(with(LLAMA, key, value)))
        .isInstanceOf(FileFormatException.class)
        .hasMessageStartingWith("config.json: ")
        .hasMessageContaining(message);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "activation_function | \"mish\"", "scale_attn_weights | false",
        "scale_attn_by_inverse_layer_idx | true", "reorder_and_upcast_attn | true",
        "add_cross_attention | true", "is_encoder_decoder | true",
      })
  void refusesVariantsOfGpt2(String key, String value) {
    assertThatThrownBy(() -> read(with(GPT2, key, value)))
        .isInstanceOf(FileFormatException.class)
        .hasMessageContaining(key);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "\"is_llama_config\": true", "\"unsloth_version\": \"2026.1\"", "\"_name_or_path\": \"x\"",
        "\"rope_scaling\": null", "\"rope_interleaved\": false", "\"use_cache\": false",
        "\"pretraining_tp\": 1", "\"some_switch\": false", "\"some_map\": {}"
      })
  void ignoresWhatDoesNotTouchTheMathematics(String member) {
    TransformerConfig plain = read(LLAMA);
    TransformerConfig c = read(LLAMA.replaceFirst("\\{", "{" + member + ", "));
    assertThat(c.withExtras(plain.extras())).isEqualTo(plain);
  }

  /** Keys of published files that transformers passes over as well. */
  @ParameterizedTest
  @ValueSource(
      strings = {
        "\"unsloth_fixed\": true",
        "\"rope_scaling\": {\"type\": \"linear\", \"factor\": 2.0, \"finetuned\": true}",
        "\"pretraining_tp\": 2",
        "\"max_sequence_length\": 2048",
        "\"auto_map\": {\"AutoModelForCausalLM\": \"modeling_x.X\"}",
        "\"tokenizer_model_max_length\": 4096",
        "\"training_tokens\": 3e12",
        "\"image_token_id\": 7",
        "\"use_flash_attention_2\": true",
        "\"initializer_std\": 0.02",
      })
  void passesOverWithANoteWhatTransformersPassesOver(String member) {
    List<String> notes = new ArrayList<>();
    String json = LLAMA.replaceFirst("\\{", "{" + member + ", ");
    TransformerConfig c =
        ConfigJson.read(
            Json.parse(
                Path.of("config.json"), ByteBuffer.wrap(json.getBytes(StandardCharsets.UTF_8))),
            notes::add);
    TransformerConfig plain = read(LLAMA);
    assertThat(c.with(b -> b.extras(plain.extras()).encoding(plain.encoding()))).isEqualTo(plain);
    assertThat(notes).hasSize(1);
    String key = member.contains("finetuned") ? "finetuned" : member.replaceAll("\":.*|\"", "");
    assertThat(notes.getFirst()).startsWith("config.json: ").contains(key);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "\"is_causal\": false", "\"use_rope\": false", "\"hidden_dropout\": 0.1",
        "\"norm_type\": \"layer\"", "\"eos_token_id\": \"</s>\"", "\"eos_token_id\": [2, 2.5]"
      })
  void refusesWhatLooksHarmlessAndIsNot(String member) {
    String json = with(LLAMA, member.replaceAll("\":.*|\"", ""), member.replaceAll(".*\": ", ""));
    assertThatThrownBy(() -> read(json))
        .isInstanceOf(FileFormatException.class)
        .hasMessageContaining(member.replaceAll("\":.*|\"", ""));
  }

  @Test
  void harmlessKeysAreWrittenBack() {
    String json =
        LLAMA.replaceFirst(
            "\\{",
            "{\"unsloth_fixed\": true, \"use_cache\": false, \"temperature\": 0.6, \"hidden_dropout\": 0.0,"
                + " \"transformers_version\": \"4.1\", \"id2label\": {\"0\": \"a\"}, \"auto_map\": {\"A\": \"b\"},");
    read(json).write(dir, DType.F32);
    assertThat(Json.read(dir.resolve("config.json")).members())
        .containsEntry("unsloth_fixed", true)
        .containsEntry("use_cache", false)
        .containsEntry("temperature", 0.6)
        .containsEntry("hidden_dropout", 0.0)
        .containsEntry("id2label", Map.of("0", "a"))
        .doesNotContainKeys("transformers_version", "auto_map");
    assertThat(TransformerConfig.read(dir)).isEqualTo(read(json));
  }

  /** Sizes that are each within bounds and together are not. */
  @Test
  void refusesSizesThatNoMachineHolds() {
    String json =
        with(
            with(with(LLAMA, "vocab_size", "16777216"), "hidden_size", "16777216"),
            "head_dim",
            "16");
    assertThatThrownBy(() -> read(json))
        .isInstanceOf(FileFormatException.class)
        .hasMessageContaining("the sizes amount to");
    assertThatThrownBy(
            () ->
                read(
                    with(
                        with(LLAMA, "max_position_embeddings", "16777216"), "head_dim", "8000000")))
        .isInstanceOf(FileFormatException.class)
        .hasMessageContaining("the sizes amount to");
  }

  static final List<TransformerConfig> SHAPES =
      List.of(
          Gpt2.config(65, 4, 4, 128, 64),
          Gpt2.config(65, 4, 4, 128, 64)
              .withDropout(new TransformerConfig.Dropout(0.1, 0, 0.2))
              .withExtras(Map.of("eos_token_id", List.of(1L, 2L))),
          Llama.config(320, 2, 4, 2, 64, 176, 128),
          rotary("llama", new RopeConfig.Linear(4), 0),
          rotary("llama", new RopeConfig.Llama3(8, 1, 4, 8192), 0),
          rotary("llama", new RopeConfig.Yarn(4, 32, 1, 1.25, 512, true), 0),
          rotary("llama", new RopeConfig.Dynamic(2, 64), 0),
          rotary("qwen2", longRope(), 0),
          rotary("mistral", new RopeConfig.None(), 8),
          rotary("mistral", new RopeConfig.None(), 0),
          rotary("qwen2", new RopeConfig.None(), 0),
          rotary("qwen3", new RopeConfig.None(), 0));

  private static RopeConfig.LongRope longRope() {
    return new RopeConfig.LongRope(
        Collections.nCopies(16, 1.5), Collections.nCopies(16, 4.0), 1.25, 32);
  }

  private static TransformerConfig rotary(String family, RopeConfig.Scaling scaling, int window) {
    TransformerConfig plain = Llama.config(320, 2, 4, 2, 64, 176, 128);
    return plain.with(
        b ->
            b.family(Families.named(family))
                .attention(new Attention(4, 2, 32, window, family.equals("qwen3")))
                .norm(new TransformerConfig.Norm(RMS, 1e-6))
                .biases(new Biases(family.equals("qwen2"), false, false))
                .rope(new RopeConfig(1e6, scaling))
                .tied(false));
  }

  @ParameterizedTest
  @FieldSource("SHAPES")
  void readsWhatItWrites(TransformerConfig config) {
    config.write(dir, DType.BF16);
    assertThat(TransformerConfig.read(dir)).isEqualTo(config);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "llama-tiny",
        "gpt2-tiny",
        "gpt2-hubnames-tiny",
        "qwen2-tiny",
        "qwen3-tiny",
        "mistral-window-tiny",
        "llama-sharded-bf16-tiny"
      })
  void readsTheGoldenModels(String name) {
    Path directory = Path.of("src/test/resources/golden/models", name);
    TransformerConfig c = TransformerConfig.read(directory);
    assertThat(c.window(0)).isEqualTo(name.startsWith("mistral") ? 8 : 0);
    assertThat(c.headDim()).isEqualTo(name.startsWith("qwen3") ? 32 : c.hidden() / c.heads());
  }

  @Test
  void namesADirectoryWithoutConfig() {
    assertThatThrownBy(() -> TransformerConfig.read(dir))
        .isInstanceOf(FileFormatException.class)
        .hasMessageContaining("config.json: there is no such file");
  }

  @Test
  void mutatedConfigsGiveTheDeclaredExceptionOnly() {
    mutate(10_000);
  }

  @Test
  @Tag("long")
  void manyMutatedConfigsGiveTheDeclaredExceptionOnly() {
    mutate(100_000);
  }

  private static void mutate(int count) {
    String yarn =
        "{\"rope_type\": \"yarn\", \"factor\": 4, \"original_max_position_embeddings\": 32}";
    String longRope =
        "{\"rope_type\": \"longrope\", \"short_factor\": [1,1,1,1,1,1,1,1], \"long_factor\": [1,2,3,4,5,6,7,8]}";
    List<String> seeds =
        List.of(
            LLAMA,
            GPT2,
            with(LLAMA, "rope_scaling", yarn),
            with(LLAMA, "rope_scaling", longRope),
            with(LLAMA, "rope_scaling", "{\"rope_type\": \"dynamic\", \"factor\": 2.5}"));
    int refused = 0;
    for (int i = 0; i < count; i++) {
      SplittableRandom random = new SplittableRandom(424242 + i);
      byte[] bytes =
          Mutants.of(seeds.get(i % seeds.size()).getBytes(StandardCharsets.UTF_8), random);
      try {
        TransformerConfig c =
            ConfigJson.read(Json.parse(Path.of("config.json"), ByteBuffer.wrap(bytes)));
        assertThat(c.qkvWidth()).isPositive();
      } catch (FileFormatException e) {
        refused++;
        assertThat(e.getMessage()).startsWith("config.json: ").doesNotContain("\n");
      } catch (RuntimeException | Error e) {
        throw new AssertionError(
            "mutation " + i + ": " + new String(bytes, StandardCharsets.UTF_8), e);
      }
    }
    assertThat(refused).isBetween(3 * count / 10, count - 1);
  }
}
