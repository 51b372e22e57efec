package dev.javelin.cli;

import static dev.javelin.cli.CommandLineTest.run;
import static org.assertj.core.api.Assertions.assertThat;

import dev.javelin.cli.CommandLineTest.Result;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class QuantizeCommandTest {
  @TempDir Path dir;

  @ParameterizedTest
  @ValueSource(strings = {"int8", "nf4"})
  void anAdapterTrainsOnABaseInFewBitsAndWrites(String format) throws IOException {
    Path base = base();
    byte[] before = Files.readAllBytes(base.resolve("model.safetensors"));
    Path run = dir.resolve("adapted");
    ResumeTest.assertSuccess(
        Tiny.train(
            dir, run, "--model=" + base, "--lora=2", "--quantize=" + format, "--max-steps=2"));
    ResumeTest.assertSuccess(
        run("train", "--resume", "--output-dir=" + run, "--max-steps=3", "--quiet"));
    assertThat(run.resolve("last/adapter_model.safetensors")).exists();
    assertThat(Files.readAllBytes(base.resolve("model.safetensors"))).isEqualTo(before);
    ResumeTest.assertSuccess(
        run(
            "generate",
            "--model=" + base,
            "--adapter=" + run.resolve("last"),
            "--quantize=" + format,
            "--prompt=a",
            "--max-new-tokens=3"));
    String[] alone = {
      "generate", "--model=" + run.resolve("last"), "--prompt=a", "--max-new-tokens=3"
    };
    ResumeTest.assertSuccess(run(alone));
    String[] wrong = Arrays.copyOf(alone, 5);
    wrong[4] = "--quantize=int3";
    assertThat(run(wrong).err()).contains("--quantize must be one of none, int8, nf4, got int3");
  }

  @Test
  void whatIsTrainedItselfIsNotQuantized() throws IOException {
    Result r = Tiny.train(dir, dir.resolve("run"), "--quantize=nf4");
    assertThat(r.exit()).isEqualTo(2);
    assertThat(r.err()).contains("--quantize nf4", "--lora");
    Result other = Tiny.train(dir, dir.resolve("run"), "--quantize=int3");
    assertThat(other.exit()).isEqualTo(2);
    assertThat(other.err()).contains("--quantize must be one of none, int8, nf4, got int3");
  }

  private Path base() {
    ResumeTest.assertSuccess(Tiny.train(dir, dir.resolve("base"), "--max-steps=1"));
    return dir.resolve("base/last");
  }
}
