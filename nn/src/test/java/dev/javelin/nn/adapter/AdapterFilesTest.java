package dev.javelin.nn.adapter;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.javelin.device.Cpu;
import dev.javelin.device.Mutations;
import dev.javelin.nn.Grouping;
import dev.javelin.nn.Init;
import dev.javelin.nn.ParameterBuffer;
import dev.javelin.nn.Precision;
import dev.javelin.nn.Transformer;
import dev.javelin.nn.adapter.LoraConfig.Targets;
import dev.javelin.nn.family.Llama;
import dev.javelin.tensor.io.FileFormatException;
import dev.javelin.tensor.io.Safetensors;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Files of adapters: forms that versions of PEFT have written, refusals, damage. */
class AdapterFilesTest {
  private static final String CONFIG = "adapter_config.json";
  private static final String WEIGHTS = "adapter_model.safetensors";
  private static final LoraConfig SMALL =
      LoraConfig.of(2)
          .withTargets(new Targets.Named(List.of("q_proj", "v_proj", "down_proj")))
          .withPatterns(Map.of("q_proj", 1), Map.of("layers.0.*v_proj", 3.0))
          .withDora(true)
          .withModulesToSave(List.of("norm"));

  @TempDir Path dir;
  private final Cpu cpu = Cpu.open(1);
  private final ParameterBuffer<Transformer> base =
      Transformer.allocate(
          cpu, Llama.config(11, 2, 2, 1, 8, 12, 16), Precision.FP32, Grouping.frozen());

  @BeforeEach
  void written() {
    Init.normal(base, 3);
    try (var adapters =
        Adapters.create(base, Precision.FP32, SMALL, Grouping.decayMatrices(0), 1, 1)) {
      Adapters.save(adapters, dir);
    }
  }

  @AfterEach
  void close() {
    base.close();
    cpu.close();
  }

  private ParameterBuffer<Adapters> load() {
    return Adapters.load(base, Precision.FP32, LoraConfig.read(dir), Grouping.frozen(), 1, dir);
  }

  private void config(String json) throws IOException {
    Files.writeString(dir.resolve(CONFIG), json);
  }

  @Test
  void whatIsWrittenIsReadBack() {
    LoraConfig back = LoraConfig.read(dir);
    assertThat(back).isEqualTo(SMALL);
    try (var adapters = load()) {
      assertThat(adapters.model().modules())
          .containsExactly(
              "model.layers.0.self_attn.q_proj",
              "model.layers.0.self_attn.v_proj",
              "model.layers.0.mlp.down_proj",
              "model.layers.1.self_attn.q_proj",
              "model.layers.1.self_attn.v_proj",
              "model.layers.1.mlp.down_proj");
    }
  }

  /** Names with the adapter's own in them, and few keys: the first versions of PEFT. */
  @Test
  void oldFormsAreRead() throws IOException {
    List<Safetensors.Item> items = new ArrayList<>();
    try (Safetensors file = Safetensors.open(dir.resolve(WEIGHTS))) {
      for (Safetensors.Entry e : file.entries().values()) {
        String name =
            e.name()
                .replace(".lora_A.weight", ".lora_A.default.weight")
                .replace(".lora_B.weight", ".lora_B.default.weight")
                .replace(".lora_magnitude_vector", ".lora_magnitude_vector.default.weight")
                .replace("layernorm.weight", "layernorm.modules_to_save.default.weight");
        items.add(new Safetensors.Item(name, e.dtype(), e.shape(), e::data));
      }
      Path old = Files.createDirectories(dir.resolve("old"));
      Safetensors.write(old.resolve(WEIGHTS), Map.of(), items);
      Files.writeString(
          old.resolve(CONFIG),
          """
          {"peft_type": "LORA", "r": 2, "lora_alpha": 4, "use_dora": true,
           "target_modules": ["q_proj", "v_proj", "down_proj"], "rank_pattern": {"q_proj": 1},
           "modules_to_save": ["norm"], "bias": "none", "fan_in_fan_out": false,
           "enable_lora": null, "merge_weights": false}
          """);
      try (var adapters =
          Adapters.load(base, Precision.FP32, LoraConfig.read(old), Grouping.frozen(), 1, old)) {
        assertThat(adapters.model().layers()).hasSize(4);
      }
    }
  }

  /** Embeddings that PEFT wrote since it took them for changed. */
  @Test
  void aModuleThatNobodyNamedIsReadWhole() throws IOException {
    config(Files.readString(dir.resolve(CONFIG)).replace("[\"norm\"]", "null"));
    try (var adapters = load()) {
      assertThat(adapters.model().saved()).hasSize(5);
    }
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "\"peft_type\": \"IA3\" | is an adapter of the kind \"IA3\"",
        "\"bias\": \"all\" | bias is \"all\", only none is supported",
        "\"lora_bias\": true | lora_bias is not supported",
        "\"init_lora_weights\": \"pissa\" | which changes the base model",
        "\"use_qalora\": true | use_qalora is not supported",
        "\"layer_replication\": [[0, 1]] | layer_replication is not supported",
        "\"trainable_token_indices\": [3] | trainable_token_indices is not supported",
        "\"some_new_thing\": 2 | some_new_thing is not supported, got 2",
        "\"r\": 0 | r must be from 1 to 65536",
        "\"lora_dropout\": 1 | dropout must lie in [0, 1)",
        "\"target_modules\": \"(((\" | is no regular expression",
        "\"target_modules\": \"(.*.*.*.*.*.*)*!\" | takes too long to match",
        "\"target_modules\": [\"lm_head\", \"q_proj\"] | gets no adapter, only linear layers do",
        "\"target_modules\": [\"up_proj\"] | tensor base_model.model.model.layers.0.mlp.up_proj.lora_A.weight is missing",
        "\"r\": 4 | must be [4, ",
      })
  void whatChangesTheMathematicsIsRefusedByKey(String member, String message) throws IOException {
    String key = member.substring(0, member.indexOf(':'));
    String json = Files.readString(dir.resolve(CONFIG));
    String without = json.replaceAll("(?m)^ *" + key + ": .*\\n", "");
    config(without.replaceFirst("\\{", "{" + Matcher.quoteReplacement(member) + ","));
    assertThatThrownBy(() -> load().close())
        .isInstanceOf(FileFormatException.class)
        .hasMessageContaining(message);
  }

  @Test
  void weightsInAnotherFormAreNamed() throws IOException {
    Files.move(dir.resolve(WEIGHTS), dir.resolve("adapter_model.bin"));
    assertThatThrownBy(() -> load().close())
        .isInstanceOf(FileFormatException.class)
        .hasMessageContaining("holds its weights as adapter_model.bin");
  }

  @Test
  void damagedFilesGiveTheDeclaredExceptionOnly() throws IOException {
    mutate(Mutations.SHORT / 2);
  }

  @Test
  @Tag("long")
  void manyDamagedFilesGiveTheDeclaredExceptionOnly() throws IOException {
    mutate(Mutations.LONG / 2);
  }

  private void mutate(int rounds) throws IOException {
    for (String name : List.of(CONFIG, WEIGHTS)) {
      Path file = dir.resolve(name);
      byte[] whole = Files.readAllBytes(file);
      int refused =
          Mutations.count(
              whole,
              77_000_000,
              rounds,
              bytes -> {
                Files.write(file, bytes);
                try (var adapters = load()) {
                  return adapters.size() < 0;
                } catch (FileFormatException e) {
                  return true;
                }
              });
      assertThat(refused).as(name).isBetween(rounds / 10, rounds - 1);
      Files.write(file, whole);
    }
  }
}
