package dev.javelin.cli;

import static dev.javelin.cli.CommandLineTest.run;
import static org.assertj.core.api.Assertions.assertThat;

import dev.javelin.cli.CommandLineTest.Result;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class AverageCommandTest {
  @TempDir Path dir;

  @Test
  void aRunsCheckpointsAndItsMovingAverageBecomeModels() throws IOException {
    Path out = dir.resolve("out");
    ResumeTest.assertSuccess(
        Tiny.train(
            dir,
            out,
            "--max-steps=6",
            "--save-every=2",
            "--ema-decay=0.9",
            "--average-checkpoints=3"));
    Path mean = dir.resolve("mean");
    Result r = run("average", out.toString(), "--output-dir=" + mean);
    ResumeTest.assertSuccess(r);
    assertThat(r.out()).contains("the mean of checkpoint-2, checkpoint-4, checkpoint-6");
    byte[] weights = Files.readAllBytes(mean.resolve("model.safetensors"));
    assertThat(Files.readAllBytes(out.resolve("average/model.safetensors"))).isEqualTo(weights);
    Path ema = dir.resolve("ema");
    r = run("average", out.toString(), "--ema", "--output-dir=" + ema);
    ResumeTest.assertSuccess(r);
    assertThat(r.out()).contains("the moving average of checkpoint-6");
    assertThat(Files.readAllBytes(ema.resolve("model.safetensors"))).isNotEqualTo(weights);
    ResumeTest.assertSuccess(run("generate", "--model=" + ema, "--prompt=a", "--max-new-tokens=3"));
  }

  @Test
  void whatHasNoAverageIsNamed() {
    Path out = dir.resolve("out");
    ResumeTest.assertSuccess(Tiny.train(dir, out, "--max-steps=2", "--save-every=1"));
    refused("no moving average", out.toString(), "--ema", "--output-dir=" + dir.resolve("x"));
    refused("another directory", out + "/last", "--output-dir=" + out.resolve("last"));
    refused("--checkpoints must be", out.toString(), "--checkpoints=0", "--output-dir=x");
    assertThat(dir.resolve("x")).doesNotExist();
  }

  private static void refused(String message, String... arguments) {
    String[] command = new String[arguments.length + 1];
    command[0] = "average";
    System.arraycopy(arguments, 0, command, 1, arguments.length);
    Result r = run(command);
    assertThat(r.exit()).isEqualTo(2);
    assertThat(r.err()).contains(message);
  }
}
