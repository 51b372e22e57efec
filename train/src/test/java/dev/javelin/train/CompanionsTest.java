package dev.javelin.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.javelin.device.Cpu;
import dev.javelin.nn.Grouping;
import dev.javelin.nn.Precision;
import dev.javelin.nn.TransformerConfig;
import dev.javelin.tensor.io.FileFormatException;
import dev.javelin.tensor.io.Json;
import dev.javelin.train.tokenizer.ByteTokenizer;
import dev.javelin.train.tokenizer.CharTokenizer;
import dev.javelin.train.tokenizer.Tokenizer;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** What a model's directory says beside its weights: end tokens, and the files that travel. */
class CompanionsTest {
  @TempDir Path dir;

  private LanguageModel load(Cpu cpu, @Nullable Tokenizer tokenizer) {
    return LanguageModel.load(
        cpu, dir, LanguageModel.readConfig(dir), Precision.FP32, Grouping.frozen(), tokenizer);
  }

  private void save(Cpu cpu, Map<String, Object> extras) throws IOException {
    TransformerConfig config = TinyModels.llama().withExtras(extras);
    try (LanguageModel model = TinyModels.model(cpu, config, Precision.FP32)) {
      model.save(dir);
    }
  }

  private void write(String name, String content) throws IOException {
    Files.writeString(dir.resolve(name), content);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "{\"eos_token_id\": [9, 8]} | 9, 8, 3",
        "{\"eos_token_id\": 8} | 8, 3, 9",
        "{\"eos_token_id\": null} | 3, 9",
        "{} | 3, 9",
        "{\"eos_token_id\": [8, -1, 100000]} | 8, 3, 9",
      })
  void endTokensAreThoseOfAllFiles(String generation, String ends) throws IOException {
    try (Cpu cpu = Cpu.open(1)) {
      save(cpu, Map.of("eos_token_id", List.of(3L, 9L)));
      write("generation_config.json", generation);
      try (LanguageModel model = load(cpu, null)) {
        assertThat(model.endTokens()).map(String::valueOf).containsExactly(ends.split(", "));
      }
    }
  }

  @Test
  void filesOfTheDirectoryTravelIntoEachThatIsSaved() throws IOException {
    Path copy = dir.resolve("copy");
    try (Cpu cpu = Cpu.open(1)) {
      save(cpu, Map.of("unsloth_fixed", true));
      String generation = "{\"eos_token_id\": [9, 8], \"temperature\": 0.6, \"do_sample\": true}";
      write("generation_config.json", generation);
      write("chat_template.jinja", "{{ messages }}");
      write("special_tokens_map.json", "{}");
      write("README.md", "words");
      try (LanguageModel model = load(cpu, null)) {
        model.save(copy);
      }
      assertThat(copy.resolve("generation_config.json")).hasContent(generation);
      assertThat(copy.resolve("chat_template.jinja")).hasContent("{{ messages }}");
      assertThat(copy.resolve("special_tokens_map.json")).hasContent("{}");
      assertThat(copy.resolve("README.md")).doesNotExist();
      assertThat(Json.read(copy.resolve("config.json")).members())
          .containsEntry("unsloth_fixed", true);
    }
  }

  @Test
  void endTokensOfTheConfigurationReachANewGenerationConfig() throws IOException {
    Path copy = dir.resolve("copy");
    try (Cpu cpu = Cpu.open(1)) {
      save(cpu, Map.of("eos_token_id", List.of(3L, 9L)));
      Files.delete(dir.resolve("generation_config.json"));
      try (LanguageModel model = load(cpu, null)) {
        model.save(copy);
      }
      assertThat(Json.read(copy.resolve("generation_config.json")).members())
          .containsEntry("eos_token_id", List.of(3L, 9L));
    }
  }

  /** Ids of one tokenizer mean nothing in another. */
  @Test
  void nothingTravelsWithAnotherTokenizer() throws IOException {
    Path copy = dir.resolve("copy");
    try (Cpu cpu = Cpu.open(1)) {
      save(cpu, Map.of());
      CharTokenizer.of(Stream.of("abcdefghij")).files().forEach(this::bytes);
      write("generation_config.json", "{\"eos_token_id\": 7}");
      try (LanguageModel own = load(cpu, Tokenizer.load(dir));
          LanguageModel other = load(cpu, CharTokenizer.of(Stream.of("0123456789")))) {
        assertThat(own.companions().files()).containsKey("generation_config.json");
        assertThat(other.companions().files()).isEmpty();
        other.save(copy);
      }
      assertThat(Json.read(copy.resolve("generation_config.json")).members())
          .doesNotContainEntry("eos_token_id", 7L);
    }
  }

  private void bytes(String name, byte[] content) {
    try {
      Files.write(dir.resolve(name), content);
    } catch (IOException e) {
      throw new java.io.UncheckedIOException(e);
    }
  }

  @Test
  void anAdapterIsNamedWhereAModelIsExpected() throws IOException {
    String adapter = "\"peft_type\": \"LORA\", \"target_modules\": [\"q_proj\"]";
    write("adapter_config.json", "{" + adapter + ", \"base_model_name_or_path\": \"meta/base\"}");
    assertThatThrownBy(() -> LanguageModel.readConfig(dir))
        .isInstanceOf(FileFormatException.class)
        .hasMessageContaining("is for the model meta/base, which is no directory here")
        .hasMessageContaining("--model BASE --adapter " + dir);
    write("adapter_config.json", "{" + adapter + "}");
    assertThatThrownBy(() -> LanguageModel.readConfig(dir))
        .isInstanceOf(FileFormatException.class)
        .hasMessageContaining("does not say which model it is for");
  }

  @Test
  void whatWasPassedOverInAConfigurationIsNoted() throws IOException {
    List<String> notes = new ArrayList<>();
    try (Cpu cpu = Cpu.open(1)) {
      save(cpu, Map.of("unsloth_fixed", true));
    }
    LanguageModel.readConfig(dir, notes::add);
    assertThat(notes).containsExactly(dir.resolve("config.json") + ": unsloth_fixed is ignored");
  }

  @Test
  void mutatedGenerationConfigsGiveTheDeclaredExceptionOnly() throws IOException {
    mutate(10_000);
  }

  @Test
  @Tag("long")
  void manyMutatedGenerationConfigsGiveTheDeclaredExceptionOnly() throws IOException {
    mutate(100_000);
  }

  private void mutate(int count) throws IOException {
    byte[] whole =
        "{\"eos_token_id\": [9, 8], \"bos_token_id\": 1, \"temperature\": 0.6, \"x\": [[{}]]}"
            .getBytes(StandardCharsets.UTF_8);
    Path file = dir.resolve("generation_config.json");
    int refused = 0;
    for (int i = 0; i < count; i++) {
      SplittableRandom random = new SplittableRandom(88_000_000L + i);
      byte[] bytes =
          Arrays.copyOf(
              whole, random.nextInt(8) == 0 ? random.nextInt(whole.length) : whole.length);
      for (int n = random.nextInt(1, 4); n > 0 && bytes.length > 0; n--) {
        byte b =
            random.nextBoolean() ? whole[random.nextInt(whole.length)] : (byte) random.nextInt(256);
        bytes[random.nextInt(bytes.length)] = b;
      }
      Files.write(file, bytes);
      try {
        assertThat(Companions.read(dir, new ByteTokenizer()).files()).hasSize(1);
      } catch (FileFormatException e) {
        refused++;
        assertThat(e.getMessage()).startsWith(file.toString()).doesNotContain("\n");
      } catch (RuntimeException | Error e) {
        throw new AssertionError(
            "mutation " + i + ": " + new String(bytes, StandardCharsets.UTF_8), e);
      }
    }
    assertThat(refused).isBetween(count / 10, count - 1);
  }
}
