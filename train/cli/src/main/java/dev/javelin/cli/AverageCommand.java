package dev.javelin.cli;

import dev.javelin.device.Cpu;
import dev.javelin.nn.Precision;
import dev.javelin.train.CheckpointAverage;
import dev.javelin.train.LanguageModel;
import dev.javelin.train.checkpoint.Checkpoint;
import dev.javelin.train.checkpoint.Checkpoints;
import dev.javelin.train.data.InputException;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code javelin average}: several checkpoints, or a run's moving average, as one model. */
@Command(
    name = "average",
    mixinStandardHelpOptions = true,
    description = "Writes the mean of checkpoints, or the moving average of one, as a model.")
final class AverageCommand implements Callable<Integer> {
  @Spec private @Nullable CommandSpec spec;

  @Parameters(
      arity = "1..*",
      paramLabel = "DIR",
      description = "Directory of a run, or directories of checkpoints.")
  private List<Path> directories = List.of();

  @Option(
      names = "--checkpoints",
      paramLabel = "K",
      description = "How many of a run's newest checkpoints to average. Default: ${DEFAULT-VALUE}.")
  private int checkpoints = 3;

  @Option(
      names = "--ema",
      description =
          "Write the moving average that one checkpoint, or a run's newest, holds. Default: the mean of checkpoints.")
  private boolean ema;

  @Option(
      names = "--output-dir",
      required = true,
      paramLabel = "DIR",
      description = "Directory to write the model to.")
  private Path outputDir = Path.of("");

  @Option(
      names = {"--dtype", "--torch-dtype"},
      paramLabel = "fp32|bf16|fp16",
      description = "Type of the weights; the sums are exact. Default: ${DEFAULT-VALUE}.")
  private String dtype = "fp32";

  @Override
  public Integer call() throws IOException {
    Precision precision = Main.precision(dtype);
    Main.atLeast(1, "--checkpoints", checkpoints);
    List<Path> chosen = chosen();
    for (Path read : chosen) {
      if (Files.exists(outputDir) && Files.isSameFile(outputDir, read)) {
        throw new InputException("--output-dir must be another directory than " + read);
      }
    }
    try (Cpu cpu = Cpu.open();
        LanguageModel model =
            ema
                ? CheckpointAverage.ema(cpu, chosen.getLast(), precision)
                : CheckpointAverage.of(cpu, chosen, precision)) {
      model.save(outputDir);
    }
    PrintWriter out = Main.out(spec);
    out.printf(
        "%s: %s, %s of %s%n",
        outputDir,
        precision.name(),
        ema ? "the moving average" : "the mean",
        chosen.stream().map(d -> d.getFileName().toString()).collect(Collectors.joining(", ")));
    out.flush();
    return Main.OK;
  }

  /** The checkpoints named, or those of the run named, the newest last. */
  private List<Path> chosen() {
    Path first = directories.getFirst();
    List<Path> chosen = new ArrayList<>(directories);
    if (directories.size() == 1 && Checkpoints.existIn(first)) {
      chosen.clear();
      for (Checkpoint c : new Checkpoints(first, 0).newest(ema ? 1 : checkpoints)) {
        chosen.add(c.directory());
      }
    }
    if (ema && chosen.size() > 1) {
      throw new InputException("--ema takes one checkpoint, or a run, got " + directories);
    }
    return chosen;
  }
}
