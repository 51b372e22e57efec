package dev.javelin.example;

import dev.javelin.train.Run;
import dev.javelin.train.inference.Sampler;
import dev.javelin.train.monitor.Lines;
import dev.javelin.train.settings.RunSettings;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;

/** Trains on a text, saves a Hugging Face directory, writes on from a prompt. */
public final class TrainSaveSample {
  public static void main(String[] args) throws IOException {
    List<Path> text = List.of(Path.of(args[0]));
    int steps = Integer.parseInt(args[1]);
    Path directory = Path.of(args[2]); // metrics, checkpoints
    RunSettings settings =
        RunSettings.DEFAULT
            .withModel(m -> m.withModel("llama-shakespeare-cpu"))
            .withData(d -> d.withData(text)) // a tenth is kept for validation
            .withBatch(b -> b.withBatchSize(12).withSeqLen(64))
            .withRun(r -> r.withMaxSteps(steps).withOutputDir(directory));
    try (Run run = Run.open(settings)) {
      System.out.println(run.trainer().watch(new Lines(steps, System.out::println)).run());
      run.model().save(directory.resolve("model"));
      System.out.println(run.model().generate("The ", 100, new Sampler(0.8, 0, 1, 7)));
    }
  }
}
