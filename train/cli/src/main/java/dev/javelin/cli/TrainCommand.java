package dev.javelin.cli;

import dev.javelin.nn.Presets;
import dev.javelin.train.LanguageModel;
import dev.javelin.train.Run;
import dev.javelin.train.Settings;
import dev.javelin.train.TrainConfig;
import dev.javelin.train.Trainer;
import dev.javelin.train.eval.Sampler;
import dev.javelin.train.monitor.MetricsFile;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.Locale;
import java.util.Objects;
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
    customSynopsis = "javelin train [FLAG=VALUE | FLAG VALUE]...",
    description =
        "Trains a model. Without flags: a small Llama on the text that comes with Javelin, in about two minutes on two cores.")
final class TrainCommand implements Callable<Integer> {
  private static final int SAMPLE_TOKENS = 160;

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
  public Integer call() throws IOException {
    PrintWriter out = Main.out(spec);
    if (listModels) {
      Presets.all()
          .forEach(
              (name, c) ->
                  out.printf(
                      "%-22s %s, %d layers, %d wide, %d heads%n",
                      name, c.architecture().modelType(), c.layers(), c.hidden(), c.heads()));
      out.flush();
      return Main.OK;
    }
    config.resolved();
    if (printConfig) {
      out.print(Settings.yaml(config));
      out.flush();
      return Main.OK;
    }
    return train(out);
  }

  private int train(PrintWriter out) throws IOException {
    try (Run run = Run.open(config);
        Interrupt _ = new Interrupt(run.trainer()::requestStop)) {
      PrintWriter err = Objects.requireNonNull(spec, "picocli sets it").commandLine().getErr();
      run.passedOver().forEach(line -> err.println("javelin: passed over " + line));
      err.flush();
      Main.notes(spec, run.data().notes());
      if (!config.quiet) {
        greet(out, run);
        run.trainer().watch(Terminal.open(run.trainer().step(), config.maxSteps));
      }
      Trainer.Outcome outcome = run.trainer().run();
      if (outcome.interrupted()) {
        return Main.INTERRUPTED;
      }
      if (!config.quiet) {
        report(out, run, outcome);
      }
      return Main.OK;
    }
  }

  private void greet(PrintWriter out, Run run) {
    LanguageModel model = run.model();
    out.printf(
        Locale.ROOT,
        "%s: %,d parameters (%s)%n",
        config.model,
        model.parameters().size(),
        LanguageModel.describe(model.config(), model.precision()));
    out.printf(
        Locale.ROOT,
        "%,d training tokens, %,d for validation; %,d a step, %,d steps on %s%n",
        run.data().train().size(),
        run.data().validation() == null ? 0 : run.data().validation().size(),
        config.tokensPerStep(),
        config.maxSteps,
        run.device());
    if (run.deviceNote() != null) {
      out.println(run.deviceNote());
    }
    if (run.resumedFrom() != null) {
      out.println(
          run.trainer().step() < config.maxSteps
              ? "going on from " + run.resumedFrom().directory()
              : run.resumedFrom().directory()
                  + " is where this run ends: a larger --max-steps goes on");
    } else if (config.resume != null) {
      out.println("no whole checkpoint in " + run.directory() + ": starting afresh");
    }
    out.flush();
  }

  private void report(PrintWriter out, Run run, Trainer.Outcome outcome) throws IOException {
    if (outcome.evaluation() != null) {
      out.println("validation: " + outcome.evaluation());
    }
    Path curve = run.directory().path().resolve("loss.png");
    if (LossCurve.draw(curve, config.model, MetricsFile.read(run.directory().metrics()))) {
      out.println("loss curve: " + curve);
    }
    if (run.model().tokenizer() != null) {
      Sampler sampler = new Sampler(0.8, 0, 0.95, config.seed);
      out.println("a sample (temperature 0.8):");
      out.println();
      out.println(run.model().generate("", SAMPLE_TOKENS, sampler).strip());
      out.println();
    }
    out.println("model: " + run.directory().path().resolve("last"));
    out.flush();
  }
}
