package dev.javelin.example;

import dev.javelin.train.Run;
import dev.javelin.train.TrainConfig;
import dev.javelin.train.eval.Sampler;
import dev.javelin.train.monitor.Lines;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;

/** Trains on a text, saves a Hugging Face directory, writes on from a prompt. */
public final class TrainSaveSample {
  public static void main(String[] args) throws IOException {
    TrainConfig config = new TrainConfig();
    config.model = "llama-shakespeare-cpu";
    config.data = List.of(Path.of(args[0])); // a text file
    config.valFraction = 0.1;
    config.seqLen = 64;
    config.batchSize = 12;
    config.maxSteps = Integer.parseInt(args[1]);
    config.outputDir = Path.of(args[2]); // metrics, checkpoints
    try (Run run = Run.open(config)) {
      System.out.println(
          run.trainer().watch(new Lines(config.maxSteps, System.out::println)).run());
      run.model().save(config.outputDir.resolve("model"));
      System.out.println(run.model().generate("The ", 100, new Sampler(0.8, 0, 1, 7)));
    }
  }
}
