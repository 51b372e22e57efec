package dev.javelin.nn;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.javelin.device.DType;
import dev.javelin.tensor.io.FileFormatException;
import dev.javelin.tensor.io.Json;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Damaged and unsupported {@code config.json} of every family. */
class HostileFamilyTest {
  private static final Path GOLDEN = Path.of("src/test/resources/golden");

  private static List<Path> configs() {
    List<Path> files = new ArrayList<>();
    ModelCase.NAMES.forEach(n -> files.add(ModelCase.directory(n)));
    ModelCase.FAMILIES.forEach(n -> files.add(ModelCase.directory(n)));
    FamilyVariantsTest.NAMES.forEach(n -> files.add(GOLDEN.resolve("variants").resolve(n)));
    return files.stream().map(d -> d.resolve("config.json")).toList();
  }

  private static TransformerConfig read(byte[] bytes) {
    return ConfigJson.read(Json.parse(Path.of("config.json"), ByteBuffer.wrap(bytes)));
  }

  @Test
  void mutatedConfigsGiveTheDeclaredExceptionOnly() throws IOException {
    mutate(10_000);
  }

  @Test
  @Tag("long")
  void manyMutatedConfigsGiveTheDeclaredExceptionOnly() throws IOException {
    mutate(100_000);
  }

  private static void mutate(int count) throws IOException {
    List<byte[]> seeds = new ArrayList<>();
    for (Path file : configs()) {
      seeds.add(Files.readAllBytes(file));
    }
    int refused = 0;
    for (int i = 0; i < count; i++) {
      byte[] bytes = Mutants.of(seeds.get(i % seeds.size()), new SplittableRandom(77 + i));
      try {
        TransformerConfig c = read(bytes);
        assertThat(c.family().names(c).places()).isNotEmpty();
        assertThat(ConfigJson.write(c, DType.F32)).isNotEmpty();
      } catch (FileFormatException e) {
        refused++;
        assertThat(e.getMessage()).startsWith("config.json: ").doesNotContain("\n");
      } catch (RuntimeException | Error e) {
        throw new AssertionError(
            "mutation " + i + ": " + new String(bytes, StandardCharsets.UTF_8), e);
      }
    }
    assertThat(refused).isBetween(count / 10, count - 1);
  }

  /** A key that changes what the model computes is refused by name. */
  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "bloom-tiny | apply_residual_connection_post_layernorm | true |",
        "falcon-multiquery-tiny | hidden_dropout | 0.1 |",
        "falcon-multiquery-tiny | activation | \"quick_gelu\" |",
        "falcon-new-decoder-tiny | parallel_attn | false |",
        "falcon-new-decoder-tiny | num_ln_in_parallel_attn | 3 |",
        "falcon-new-decoder-tiny | num_kv_heads | 3 | key heads",
        "gemma2-tiny | use_bidirectional_attention | true |",
        "gemma2-tiny | layer_types | [\"full_attention\"] |",
        "gemma2-tiny | layer_types | [\"full_attention\", \"linear_attention\"] |",
        "gemma2-tiny | attn_logit_softcapping | -1 | cap",
        "gemma2-tiny | query_pre_attn_scalar | 0 | divided",
        "gemma3-tiny | rope_parameters | {\"full_attention\": {\"rope_theta\": 1e4}, \"other\": {\"rope_theta\": 1e4}} |",
        "gemma3-tiny | rope_local_base_freq | 20000 | rope_parameters",
        "glm-tiny | partial_rotary_factor | 0.5, \"qk_norm\": 1 | qk_norm",
        "glm4-tiny | layer_types | [\"full_attention\", \"sliding_attention\"] |",
        "gptneox-tiny | rotary_emb_base | 20000 | rope_parameters",
        "gptneox-tiny | hidden_act | \"swiglu\" |",
        "olmo2-tiny | clip_qkv | 8.0 |",
        "olmo2-tiny | sliding_window | 8 |",
        "phi3-tiny | rope_scaling | {\"type\": \"ntk\"} | rope_type",
        "phi3-tiny | mup_scale | 2.0 |",
        "qwen3-layer-windows-tiny | use_sliding_window | false | layer_types",
        "smollm3-tiny | no_rope_layers | [1, 1] |",
        "smollm3-tiny | no_rope_layers | [1, 1, 1, \"0\"] |",
      })
  void refusesByNameWhatItCannotCompute(
      String name, String key, String value, @Nullable String part) throws IOException {
    String json = Files.readString(ModelCase.directory(name).resolve("config.json"));
    String changed =
        json.replaceAll("\\R\\s*\"" + key + "\": (\\[[^]]*]|\\{([^{}]|\\{[^}]*})*}|[^,\\n]*),?", "")
            .replaceFirst("\\{", "{\"" + key + "\": " + value + ", ");
    assertThatThrownBy(() -> read(changed.getBytes(StandardCharsets.UTF_8)))
        .isInstanceOf(FileFormatException.class)
        .hasMessageStartingWith("config.json: ")
        .hasMessageContaining(part == null ? key : part);
  }
}
