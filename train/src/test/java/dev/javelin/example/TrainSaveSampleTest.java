package dev.javelin.example;

import static org.assertj.core.api.Assertions.assertThat;

import dev.javelin.device.Cpu;
import dev.javelin.train.LanguageModel;
import dev.javelin.train.inference.Sampler;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class TrainSaveSampleTest {
  @TempDir Path dir;

  @Test
  void trainsSavesAndSamples() throws IOException {
    Path text = Files.writeString(dir.resolve("text.txt"), "The cat sat on The mat. ".repeat(200));
    Path run = dir.resolve("run");
    TrainSaveSample.main(new String[] {text.toString(), "6", run.toString()});
    try (Cpu cpu = Cpu.open(1);
        LanguageModel model = LanguageModel.load(cpu, run.resolve("model"))) {
      assertThat(model.generate("The ", 20, Sampler.GREEDY)).hasSize(20);
    }
  }

  @Test
  void theReadmeShowsTheExampleAsItIs() throws IOException {
    String example =
        Files.readString(Path.of("src/test/java/dev/javelin/example/TrainSaveSample.java"));
    assertThat(Files.readString(Path.of("../README.md"))).contains("```java\n" + example + "```");
  }
}
