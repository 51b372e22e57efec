package dev.javelin.train.cli;

import dev.javelin.train.Settings;
import dev.javelin.train.TrainConfig;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

@Command(
    name = "train",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    description =
        "Trains a model. Without flags: a small Llama on the text that comes with Javelin, in about two minutes on two cores.")
final class TrainCommand implements Callable<Integer> {
  @Mixin private final TrainConfig config = new TrainConfig();
  @Spec private @Nullable CommandSpec spec;

  @Option(
      names = "--config",
      order = 700,
      paramLabel = "FILE",
      description = "YAML with the same names in snake_case; flags override it.")
  private @Nullable Path configFile;

  @Option(
      names = "--print-config",
      order = 701,
      description = "Print the whole effective configuration and stop.")
  private boolean printConfig;

  @Option(names = "--list-models", order = 702, description = "List the presets and stop.")
  private boolean listModels;

  @Override
  public Integer call() {
    config.resolved();
    if (printConfig) {
      PrintWriter out = Main.out(spec);
      out.print(Settings.yaml(config));
      out.flush();
      return Main.OK;
    }
    return Main.OK;
  }
}
