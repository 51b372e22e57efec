package dev.javelin.cli;

import static dev.javelin.cli.CommandLineTest.run;
import static org.assertj.core.api.Assertions.assertThat;

import dev.javelin.cli.CommandLineTest.Result;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ConvertCommandTest {
  @TempDir Path dir;

  @Test
  void aModelIsWrittenInAnotherTypeAndAsGguf() throws IOException {
    Path model = trained("base");
    Path half = dir.resolve("half");
    ResumeTest.assertSuccess(run("convert", "--model=" + model, "--output-dir=" + half));
    assertThat(Files.size(half.resolve("model.safetensors")))
        .isLessThan(Files.size(model.resolve("model.safetensors")) * 6 / 10);
    assertThat(Files.readString(half.resolve("config.json"))).contains("bfloat16");
    ResumeTest.assertSuccess(
        run("generate", "--model=" + half, "--prompt=a", "--max-new-tokens=3"));
    Path gguf = dir.resolve("m.gguf");
    ResumeTest.assertSuccess(run("convert", "--model=" + model, "--gguf=" + gguf, "--dtype=q8_0"));
    byte[] head = Arrays.copyOf(Files.readAllBytes(gguf), 4);
    assertThat(new String(head, StandardCharsets.US_ASCII)).isEqualTo("GGUF");
  }

  @Test
  void whatCannotBeWrittenIsNamed() throws IOException {
    Path model = trained("base");
    Path adapter = dir.resolve("adapted/last");
    ResumeTest.assertSuccess(
        Tiny.train(dir, dir.resolve("adapted"), "--model=" + model, "--lora=2", "--max-steps=1"));
    Path gguf = dir.resolve("m.gguf");
    refused("merge --adapter", "convert", "--model=" + adapter, "--gguf=" + gguf);
    refused("either --output-dir or --gguf", "convert", "--model=" + model);
    refused("another directory", "convert", "--model=" + model, "--output-dir=" + model);
    refused("--dtype must be", "convert", "--model=" + model, "--gguf=" + gguf, "--dtype=q4");
    refused("for a directory", "convert", "--model=" + model, "--output-dir=x", "--dtype=q8_0");
    assertThat(gguf).doesNotExist();
  }

  private static void refused(String message, String... command) {
    Result r = run(command);
    assertThat(r.exit()).isEqualTo(2);
    assertThat(r.err()).contains(message);
  }

  private Path trained(String name) {
    ResumeTest.assertSuccess(Tiny.train(dir, dir.resolve(name), "--max-steps=1"));
    return dir.resolve(name).resolve("last");
  }
}
