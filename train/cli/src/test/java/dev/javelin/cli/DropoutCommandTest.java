package dev.javelin.cli;

import static dev.javelin.cli.CommandLineTest.run;
import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class DropoutCommandTest {
  @TempDir Path dir;

  /** Published GPT-2 files name 0.1 three times. */
  @Test
  void aPublishedConfigurationTrainsAsItIs() throws IOException {
    Path run = trained();
    assertThat(Files.readString(run.resolve("last/config.json")))
        .contains("\"embd_pdrop\": 0.1,", "\"attn_pdrop\": 0.1,", "\"resid_pdrop\": 0.1,");
    ResumeTest.assertSuccess(
        run("train", "--resume", "--output-dir=" + run, "--max-steps=3", "--quiet"));
  }

  @Test
  void dropoutReplacesThoseOfTheEmbeddingAndTheResidualsAndLeavesNoOther() throws IOException {
    assertThat(Files.readString(trained("--dropout=0.2").resolve("last/config.json")))
        .contains("\"embd_pdrop\": 0.2,", "\"attn_pdrop\": 0.0,", "\"resid_pdrop\": 0.2,");
  }

  @Test
  void dropoutOfAttentionWeightsIsSetAlone() throws IOException {
    assertThat(Files.readString(trained("--attn-pdrop=0.3").resolve("last/config.json")))
        .contains("\"embd_pdrop\": 0.1,", "\"attn_pdrop\": 0.3,", "\"resid_pdrop\": 0.1,");
  }

  private Path trained(String... more) throws IOException {
    Path gpt2 = Files.createDirectory(dir.resolve("gpt2"));
    Files.writeString(
        gpt2.resolve("config.json"),
        """
        {"architectures": ["GPT2LMHeadModel"], "model_type": "gpt2", "vocab_size": 256, "n_layer": 1,
         "n_embd": 16, "n_head": 2, "n_positions": 32, "embd_pdrop": 0.1, "attn_pdrop": 0.1,
         "resid_pdrop": 0.1}
        """);
    String[] all = Arrays.copyOf(more, more.length + 2);
    all[more.length] = "--model=" + gpt2;
    all[more.length + 1] = "--max-steps=2";
    Path run = dir.resolve("run");
    ResumeTest.assertSuccess(Tiny.train(dir, run, all));
    return run;
  }
}
