package dev.javelin.train.settings;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.javelin.nn.Recomputation;
import dev.javelin.train.data.InputException;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Random;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class SettingsFileTest {
  @TempDir Path dir;

  private RunSettings read(String yaml) throws IOException {
    return RunSettings.DEFAULT.with(Files.writeString(dir.resolve("run.yaml"), yaml));
  }

  @Test
  void keysInAnySpellingAndValuesInAnyNotation() throws IOException {
    RunSettings s =
        read(
            """
            # a comment
            Max-Steps: 12
            lr: 1e-4
            "grad_clip": .inf
            precision: 'bfloat16'
            data: [a.txt, "b c.txt"]
            val_data: v.txt
            tokenizer: null
            dropout:
            recompute: TRUE
            lr_scheduler: Inverse_Sqrt
            """);
    assertThat(s.run().maxSteps()).isEqualTo(12);
    assertThat(s.schedule().learningRate()).isEqualTo(1e-4);
    assertThat(s.optimizer().maxGradNorm()).isInfinite();
    assertThat(s.device().precision().name()).isEqualTo("bf16");
    assertThat(s.data().data()).containsExactly(Path.of("a.txt"), Path.of("b c.txt"));
    assertThat(s.data().valData()).containsExactly(Path.of("v.txt"));
    assertThat(s.model().tokenizer()).isNull();
    assertThat(s.model().recompute()).isEqualTo(Recomputation.BLOCKS);
    assertThat(s.schedule().lrScheduler()).isEqualTo(ScheduleSpec.LrScheduler.INVERSE_SQRT);
    assertThat(read("")).isEqualTo(RunSettings.DEFAULT);
    assertThat(read("# nothing\n")).isEqualTo(RunSettings.DEFAULT);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "'seed: 1\nmax_step: 3' | line 2: unknown key max_step: did you mean max_steps?",
        "'max_steps: many' | line 1: --max-steps must be a whole number, got many",
        "'lr: 1e-3\nlearning_rate: 2e-3' | line 2: learning_rate and lr are one setting and differ",
        "'seed: 1\nseed: 2' | line 2: seed is given twice",
        "'bf16: true\nprecision: fp32' | line 2: precision and bf16 are one setting and differ",
        "'max_steps: [1, 2]' | line 1: --max-steps must be a single value, got a list",
        "'max_steps: {a: 1}' | line 1: max_steps must be a single value or a list, got a table",
        "'data: [a, [b]]' | line 1: data must be a list of single values",
        "'seed: &a 1\nmax_steps: *a' | line 2: max_steps must be a plain value",
        "'? [a]\n: 1' | line 1: a key must be the name of a setting",
        "'seed: 1\n---\nseed: 2' | line 2: a second document begins here",
        "'- 1' | must hold lines of the form key: value",
        "'just text' | must hold lines of the form key: value",
        "'a: [1, 2' | not valid YAML",
        "'data: \"a\\0b\"' | --data is not a valid path",
      })
  void whatIsWrongIsNamedByFileAndLine(String yaml, String message) {
    assertThatThrownBy(() -> read(yaml))
        .isInstanceOf(InputException.class)
        .hasMessageContaining("run.yaml: ")
        .hasMessageContaining(message);
  }

  @Test
  void depthAliasesAndSizeCostNothing() throws IOException {
    assertThatThrownBy(() -> read("data: " + "[".repeat(200_000)))
        .hasMessageContaining("data must be a list of single values");
    assertThatThrownBy(() -> read("data: " + "- ".repeat(200_000) + "a"))
        .isInstanceOf(InputException.class);
    assertThatThrownBy(() -> read("{".repeat(500_000))).isInstanceOf(InputException.class);
    assertThatThrownBy(() -> read("#".repeat(2 << 20))).hasMessageContaining("larger than 1 MiB");
    Path binary = Files.write(dir.resolve("binary"), new byte[] {'a', ':', (byte) 0xff});
    assertThatThrownBy(() -> RunSettings.DEFAULT.with(binary)).hasMessageContaining("UTF-8");
    assertThatThrownBy(() -> RunSettings.DEFAULT.with(dir.resolve("none")))
        .hasMessageContaining("no such file");
    assertThatThrownBy(() -> RunSettings.DEFAULT.with(dir)).hasMessageContaining("cannot be read");
  }

  @Test
  void mutatedFilesAreReadOrRefused() throws IOException {
    mutate(10_000, 20261129);
  }

  @Test
  @Tag("long")
  void manyMoreMutatedFilesAreReadOrRefused() throws IOException {
    mutate(100_000, 20261130);
  }

  private void mutate(int inputs, long seed) throws IOException {
    Random random = new Random(seed);
    byte[] whole =
        ("data: [a.txt, 'b']\n# comment\n? quiet\n: &x !!bool false\n"
                + RunSettings.DEFAULT.effective().toYaml())
            .getBytes(StandardCharsets.UTF_8);
    byte[] telling = "\n\t :-[]{}&*!|>'\"%@`#?,\\\0\u001b0e.".getBytes(StandardCharsets.US_ASCII);
    Path file = dir.resolve("mutated.yaml");
    int read = 0;
    for (int i = 0; i < inputs; i++) {
      byte[] bytes =
          Arrays.copyOf(
              whole, random.nextInt(4) == 0 ? random.nextInt(whole.length) : whole.length);
      for (int n = random.nextInt(4); n >= 0 && bytes.length > 0; n--) {
        bytes[random.nextInt(bytes.length)] =
            random.nextBoolean()
                ? telling[random.nextInt(telling.length)]
                : (byte) random.nextInt(256);
      }
      Files.write(file, bytes);
      try {
        RunSettings.DEFAULT.with(file);
        read++;
      } catch (InputException refused) {
        assertThat(String.valueOf(refused.getMessage()).lines())
            .as("seed %d, input %d", seed, i)
            .hasSize(1);
      }
    }
    assertThat(read).isBetween(inputs / 200, inputs);
  }
}
