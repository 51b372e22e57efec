package dev.javelin.cli;

import dev.javelin.train.Estimate;
import dev.javelin.train.estimate.MemoryTable;
import dev.javelin.train.estimate.StepTime;
import dev.javelin.train.settings.RunSettings;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.Objects;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

@Command(
    name = "estimate",
    mixinStandardHelpOptions = true,
    customSynopsis = "javelin estimate [FLAG=VALUE | FLAG VALUE]...",
    description =
        "Tells what a run would take, of memory and of time, and what would fit; nothing is trained. Takes the flags of javelin train.")
final class EstimateCommand implements Callable<Integer> {
  @Spec private @Nullable CommandSpec spec;

  @Option(
      names = "--config",
      order = 700,
      paramLabel = "FILE",
      description = "YAML file of settings, as javelin train takes it. Default: none.")
  private @Nullable Path configFile;

  @Option(
      names = "--no-time",
      order = 701,
      description = "Leave out the time of a step, which takes some seconds to measure.")
  private boolean noTime;

  @Override
  public Integer call() {
    PrintWriter out = Main.out(spec);
    RunSettings settings = RunSettings.DEFAULT;
    settings = configFile == null ? settings : settings.with(configFile);
    settings = settings.with(TrainOptions.given(Objects.requireNonNull(spec, "picocli sets it")));
    try (Estimate estimate = Estimate.of(settings)) {
      estimate.notes().forEach(out::println);
      MemoryTable table = estimate.memory();
      out.println(estimate.title());
      out.print(table.format(estimate.device().toString(), estimate.onHost()));
      out.println("may be taken: " + estimate.budget());
      out.println(estimate.fit() ? "it fits" : "it does not fit");
      out.println("all else as it is:");
      estimate.fits().forEach(line -> out.println("  " + line));
      StepTime time = noTime ? null : estimate.time();
      if (time != null) {
        out.println("a step takes " + time);
      }
      out.flush();
      return Main.OK;
    }
  }
}
