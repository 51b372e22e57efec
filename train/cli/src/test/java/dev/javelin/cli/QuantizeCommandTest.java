package dev.javelin.cli;

import static dev.javelin.cli.CommandLineTest.run;
import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.ObjectMapper;
import dev.javelin.cli.CommandLineTest.Result;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import org.assertj.core.data.Offset;
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

  @Test
  void activationsOf8BitsAreAChoiceOfWhoGeneratesAndEvaluates() throws IOException {
    String model = "--model=" + base();
    String[] write = {"generate", model, "--prompt=a", "--max-new-tokens=3", "--device=cpu", ""};
    Result alone = with(write, "--activations=int8");
    assertThat(alone.exit()).isEqualTo(2);
    assertThat(alone.err()).contains("--activations int8", "add --quantize int8 or nf4");
    assertThat(with(write, "--activations=int4").err())
        .contains("--activations must be float or int8, got int4");
    String[] chosen = Arrays.copyOf(write, 7);
    chosen[6] = "--quantize=int8";
    ResumeTest.assertSuccess(with(chosen, "--activations=int8"));
    Path text = dir.resolve("held-out.txt");
    Files.writeString(text, "abc abd abe abf ".repeat(60));
    String[] eval = {"eval", model, "--data=" + text, "--device=cpu", "--seq-len=16", "--json", ""};
    double exact = loss(with(eval, "--threads=1"));
    String[] few = Arrays.copyOf(eval, 8);
    few[7] = "--quantize=int8";
    double weights = loss(with(few, "--threads=1"));
    double both = loss(with(few, "--activations=int8"));
    assertThat(weights).isNotEqualTo(exact).isCloseTo(exact, Offset.offset(0.02));
    assertThat(both).isNotEqualTo(weights).isCloseTo(exact, Offset.offset(0.02));
  }

  /** The command with its empty argument replaced. */
  private static Result with(String[] command, String option) {
    return run(Arrays.stream(command).map(s -> s.isEmpty() ? option : s).toArray(String[]::new));
  }

  private static double loss(Result eval) throws IOException {
    ResumeTest.assertSuccess(eval);
    String json = eval.out().lines().toList().getLast();
    return new ObjectMapper().readTree(json).get("loss").asDouble();
  }

  private Path base() {
    ResumeTest.assertSuccess(Tiny.train(dir, dir.resolve("base"), "--max-steps=1"));
    return dir.resolve("base/last");
  }
}
