package dev.javelin.cli;

import dev.javelin.device.Cpu;
import dev.javelin.nn.Precision;
import dev.javelin.train.LanguageModel;
import dev.javelin.train.data.InputException;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** {@code javelin merge}: an adapter and its base as one plain model. */
@Command(
    name = "merge",
    mixinStandardHelpOptions = true,
    description = "Adds an adapter to the weights of its base model and writes a plain model.")
final class MergeCommand implements Callable<Integer> {
  @Spec private @Nullable CommandSpec spec;

  @Option(
      names = "--adapter",
      required = true,
      paramLabel = "DIR",
      description = "Directory of the adapter, as PEFT or javelin train wrote it.")
  private Path adapter = Path.of("");

  @Option(
      names = {"--model", "--model-name-or-path"},
      paramLabel = "DIR",
      description = "Directory of the base model. Default: where the adapter says it is.")
  private @Nullable Path model;

  @Option(
      names = "--output-dir",
      required = true,
      paramLabel = "DIR",
      description = "Directory to write the merged model to.")
  private Path outputDir = Path.of("");

  @Option(
      names = {"--dtype", "--torch-dtype"},
      paramLabel = "fp32|bf16|fp16",
      description = "Type of the merged weights; the sums are exact. Default: ${DEFAULT-VALUE}.")
  private String dtype = "fp32";

  @Override
  public Integer call() throws IOException {
    Precision precision = Main.precision(dtype);
    List<String> notes = new ArrayList<>();
    Path base = model == null ? LanguageModel.baseOf(adapter) : model;
    for (Path read : List.of(adapter, base)) {
      if (Files.exists(outputDir) && Files.isSameFile(outputDir, read)) {
        throw new InputException("--output-dir must be another directory than " + read);
      }
    }
    try (Cpu cpu = Cpu.open();
        LanguageModel loaded = LanguageModel.load(cpu, base, adapter, Precision.FP32, notes::add);
        LanguageModel merged = loaded.merged(precision)) {
      Main.notes(spec, notes);
      merged.save(outputDir);
    }
    PrintWriter out = Main.out(spec);
    out.printf("%s: %s%n", outputDir, precision.name());
    out.flush();
    return Main.OK;
  }
}
