package dev.javelin.cli;

import dev.javelin.train.data.InputException;
import dev.javelin.train.sweep.Sweep;
import dev.javelin.train.sweep.SweepPlan;
import dev.javelin.train.sweep.Trial;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code javelin sweep}: many runs, and which was best. */
@Command(
    name = "sweep",
    mixinStandardHelpOptions = true,
    description =
        "Trains one run for each combination of settings in a YAML file whose values may be lists, uniform(a, b) or loguniform(a, b).",
    footer = {
      "",
      "Example: learning_rate: [1e-3, 3e-4] and batch_size: [8, 16] make four runs.",
      "Started again, it leaves finished runs alone and goes on with the others."
    })
final class SweepCommand implements Callable<Integer> {
  @Spec private @Nullable CommandSpec spec;

  @Parameters(paramLabel = "FILE", description = "YAML file of settings.")
  private Path file = Path.of("");

  @Option(
      names = "--output-dir",
      paramLabel = "DIR",
      description = "Directory of the sweep; each run has one in it. Default: ${DEFAULT-VALUE}.")
  private Path outputDir = Path.of("sweep");

  @Option(
      names = "--method",
      paramLabel = "grid|random|halving",
      description =
          "How values are chosen: all combinations, some drawn at random, or successive halving, by which the worse runs end early. Default: ${DEFAULT-VALUE}.")
  private String method = "grid";

  @Option(
      names = "--samples",
      paramLabel = "N",
      description = "Combinations to draw, for random and halving. Default: all there are.")
  private @Nullable Integer samples;

  @Option(
      names = "--seed",
      paramLabel = "N",
      description = "Seed of what is drawn. Default: ${DEFAULT-VALUE}.")
  private long seed = 1;

  @Option(
      names = "--eta",
      paramLabel = "N",
      description =
          "Halving: one run in N goes on, for N times as long. Default: ${DEFAULT-VALUE}.")
  private int eta = 3;

  @Option(
      names = "--first-steps",
      paramLabel = "N",
      description =
          "Halving: steps of the first round, at least. Default: so few that one run is left in the last.")
  private @Nullable Integer firstSteps;

  @Option(
      names = "--folds",
      paramLabel = "N",
      description =
          "Repeat each run on N folds of the data, each of which is once for validation; 0 does not. Default: ${DEFAULT-VALUE}.")
  private int folds;

  @Option(
      names = "--set",
      paramLabel = "KEY=VALUE",
      description = "Setting in place of the file's; may be repeated. Default: none.")
  private Map<String, String> settings = new LinkedHashMap<>();

  @Override
  public Integer call() throws IOException {
    SweepPlan plan =
        SweepPlan.read(file, settings, method())
            .withSamples(samples, seed)
            .withHalving(eta, firstSteps)
            .withFolds(folds);
    PrintWriter out = Main.out(spec);
    int runs = plan.trials().size();
    out.printf("%d %s of %s%n", runs, runs == 1 ? "combination" : "combinations", file);
    out.flush();
    Sweep sweep =
        new Sweep(
            plan,
            outputDir,
            line -> {
              out.println(Terminal.text(line));
              out.flush();
            });
    Main.stopBy(spec, sweep::requestStop);
    List<Trial> trials = sweep.run();
    if (sweep.isStopped()) {
      out.printf("stopped; the same command goes on%n");
      out.flush();
      return Main.INTERRUPTED;
    }
    table(out, trials);
    out.println("results: " + sweep.write(trials));
    Path picture = outputDir.resolve("sweep.png");
    if (SweepPicture.draw(picture, file.getFileName().toString(), trials)) {
      out.println("picture: " + picture);
    }
    out.flush();
    return trials.stream().allMatch(t -> t.loss() == null) ? Main.FAILURE : Main.OK;
  }

  private SweepPlan.Method method() {
    return switch (method) {
      case "grid" -> SweepPlan.Method.GRID;
      case "random" -> SweepPlan.Method.RANDOM;
      case "halving" -> SweepPlan.Method.HALVING;
      default ->
          throw new InputException("--method must be grid, random or halving, got " + method);
    };
  }

  private static void table(PrintWriter out, List<Trial> trials) {
    out.println();
    out.printf("%4s  %-18s %8s  %s%n", "rank", "loss", "steps", "settings");
    for (int i = 0; i < trials.size(); i++) {
      Trial t = trials.get(i);
      String loss = t.loss() == null ? "none" : String.format(Locale.ROOT, "%.4f", t.loss());
      String deviation =
          t.deviation() == null ? "" : String.format(Locale.ROOT, " ± %.4f", t.deviation());
      String values = Terminal.text(t.values().toString());
      out.printf(
          Locale.ROOT,
          "%4d  %-18s %,8d  %s %s%s%n",
          i + 1,
          loss + deviation,
          t.steps(),
          t.name(),
          values.substring(1, values.length() - 1),
          t.failure() == null ? "" : ": " + t.failure());
    }
    out.println();
  }
}
