package dev.javelin.cli;

import dev.javelin.nn.Recomputation;
import dev.javelin.nn.family.Presets;
import dev.javelin.train.ClassifierRun;
import dev.javelin.train.LanguageModel;
import dev.javelin.train.Objectives;
import dev.javelin.train.Run;
import dev.javelin.train.TextClassifier;
import dev.javelin.train.Trainer;
import dev.javelin.train.estimate.MemoryTable;
import dev.javelin.train.estimate.MemoryUse;
import dev.javelin.train.eval.Evaluation;
import dev.javelin.train.inference.Sampler;
import dev.javelin.train.monitor.MetricsFile;
import dev.javelin.train.run.RunDirectory;
import dev.javelin.train.settings.RunSettings;
import dev.javelin.train.summary.Peak;
import dev.javelin.train.summary.RunClock;
import dev.javelin.train.summary.RunSummary;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

@Command(
    name = "train",
    mixinStandardHelpOptions = true,
    customSynopsis = "javelin train [FLAG=VALUE | FLAG VALUE]...",
    description =
        "Trains a model. Without flags: a small Llama on the text that comes with Javelin, in about two minutes on two cores.",
    footer = {
      "",
      "Options without a value are switches: --quiet sets one, --quiet=false resets it."
    })
final class TrainCommand implements Callable<Integer> {
  private static final int SAMPLE_TOKENS = 160;

  @Spec private @Nullable CommandSpec spec;

  @Option(
      names = "--config",
      order = 800,
      paramLabel = "FILE",
      description =
          "YAML file of settings, with the flags' names in snake_case. Flags override it. Default: none.")
  private @Nullable Path configFile;

  @Option(
      names = "--print-config",
      order = 801,
      description = "Print the effective configuration as YAML and exit.")
  private boolean printConfig;

  @Option(names = "--list-models", order = 802, description = "List the presets and exit.")
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
                      name, c.family().modelType(), c.layers(), c.hidden(), c.heads()));
      out.flush();
      return Main.OK;
    }
    RunSettings settings = settings();
    if (printConfig) {
      out.print(settings.effective().toYaml());
      out.flush();
      return Main.OK;
    }
    return train(settings, out);
  }

  /** The flags over {@code --config}, over what a resumed run was started with. */
  private RunSettings settings() {
    Map<String, Object> flags = TrainOptions.given(Objects.requireNonNull(spec, "picocli sets it"));
    RunSettings told = RunSettings.DEFAULT;
    told = configFile == null ? told : told.with(configFile);
    told = told.with(flags);
    if (told.run().resume() == null) {
      return told;
    }
    Path started =
        RunDirectory.locate(told.run().outputDir(), told.run().resume())
            .resolve(RunDirectory.CONFIG_FILE);
    if (!Files.isRegularFile(started)) {
      return told;
    }
    Path directory = told.run().outputDir();
    String resume = told.run().resume();
    RunSettings before = RunSettings.DEFAULT.with(started);
    RunSettings over = configFile == null ? before : before.with(configFile);
    return over.with(flags).withRun(r -> r.withOutputDir(directory).withResume(resume));
  }

  private int train(RunSettings settings, PrintWriter out) throws IOException {
    if (settings.objective().objective().equals(ClassifierRun.OBJECTIVE)) {
      return classify(settings, out);
    }
    try (SaveSignal signal = new SaveSignal(settings.run().saveSignal());
        Run run = Run.open(settings)) {
      Main.stopBy(spec, run.trainer()::requestStop);
      signal.stopBy(run.trainer()::requestStop);
      Main.notes(spec, run.passedOver().stream().map(line -> "skipped " + line).toList());
      boolean quiet = settings.run().quiet();
      if (!quiet) {
        greet(out, run);
        run.trainer().watch(Terminal.open(run.trainer().step(), run.trainer().steps()));
      }
      RunClock clock = new RunClock();
      run.trainer().watch(clock);
      Trainer.Outcome outcome = run.run();
      RunSummary summary = summary(run, clock, !outcome.interrupted());
      if (outcome.interrupted()) {
        return signal.exit();
      }
      if (!quiet) { // before what comes after it takes memory of its own
        out.println(
            "memory: "
                + MemoryUse.of(run.device())
                + "; estimated "
                + MemoryTable.size(run.estimate().total()));
      }
      Path average = run.average();
      if (!quiet) {
        summary.lines().forEach(out::println);
        report(out, run, outcome, average);
      }
      return Main.OK;
    }
  }

  /** Written into the run's directory; the machine is measured where the run came to its end. */
  private static RunSummary summary(Run run, RunClock clock, boolean ended) {
    int seqLen = run.settings().batch().seqLen();
    boolean known = run.settings().objective().objective().equals("next-token");
    RunSummary summary =
        clock.summary(
            seqLen,
            known ? run.model().flopsPerToken(seqLen) : null,
            ended && known
                ? Peak.measure(run.trainer().workspace(), run.model().precision().weights())
                : null);
    summary.write(run.directory().path());
    return summary;
  }

  private int classify(RunSettings settings, PrintWriter out) throws IOException {
    try (SaveSignal signal = new SaveSignal(settings.run().saveSignal());
        ClassifierRun run = ClassifierRun.open(settings)) {
      Main.stopBy(spec, run.trainer()::requestStop);
      signal.stopBy(run.trainer()::requestStop);
      boolean quiet = settings.run().quiet();
      if (!quiet) {
        TextClassifier model = run.model();
        out.printf(
            Locale.ROOT,
            "%s: %,d parameters (%s)%n%,d texts to train on, %,d for validation; %,d steps on %s%n",
            settings.model().model(),
            model.parameters().size(),
            model.describe(),
            run.train().count(),
            run.held() == null ? 0 : run.held().count(),
            run.trainer().steps(),
            model.device());
        run.notes().forEach(out::println);
        out.flush();
        run.trainer().watch(Terminal.open(run.trainer().step(), run.trainer().steps()));
      }
      Trainer.Outcome outcome = run.run();
      if (outcome.interrupted()) {
        return signal.exit();
      }
      if (!quiet) {
        if (run.held() != null) {
          int batch = settings.batch().batchSize();
          out.println("validation: " + run.model().evaluate(run.held(), batch));
        }
        out.println("model: " + run.directory().path().resolve("last"));
        out.flush();
      }
      return Main.OK;
    }
  }

  /** What would take less memory than the run that was asked for. */
  String needsLess() {
    RunSettings now = settings();
    List<String> ways = new ArrayList<>();
    if (now.batch().batchSize() > 1) {
      ways.add("a smaller --batch-size (now " + now.batch().batchSize() + ")");
    }
    if (now.batch().seqLen() > 1) {
      ways.add("a smaller --seq-len (now " + now.batch().seqLen() + ")");
    }
    if (now.model().recompute().equals(Recomputation.NONE)) {
      ways.add("--recompute");
    }
    ways.add("a smaller --model");
    return String.join(", ", ways.subList(0, ways.size() - 1))
        + (ways.size() > 1 ? " or " : "")
        + ways.getLast()
        + " needs less";
  }

  private void greet(PrintWriter out, Run run) {
    RunSettings settings = run.settings();
    LanguageModel model = run.model();
    out.printf(
        Locale.ROOT,
        "%s: %,d parameters (%s)%n",
        settings.model().model(),
        model.parameters().size(),
        LanguageModel.describe(model.config(), model.precision()));
    out.printf(
        Locale.ROOT,
        "%,d training tokens, %,d for validation; %,d a step, %,d steps on %s%n",
        run.data().train().size(),
        run.data().validation() == null ? 0 : run.data().validation().size(),
        settings.batch().tokens(),
        run.trainer().steps(),
        run.device());
    run.notes().forEach(out::println);
    if (run.resumedFrom() != null) {
      out.println(
          run.trainer().step() < run.trainer().steps()
              ? "going on from " + run.resumedFrom().directory()
              : run.resumedFrom().directory()
                  + " is the end of this run: a larger --max-steps, --epochs or --max-tokens continues it");
    } else if (settings.run().resume() != null) {
      out.println("no complete checkpoint in " + run.directory() + ": starting from scratch");
    }
    out.flush();
  }

  private void report(PrintWriter out, Run run, Trainer.Outcome outcome, @Nullable Path average)
      throws IOException {
    RunSettings settings = run.settings();
    if (outcome.evaluation() != null) {
      out.println("validation: " + summary(settings, outcome.evaluation()));
    }
    Path curve = run.directory().path().resolve("loss.png");
    if (LossCurve.draw(
        curve, settings.model().model(), MetricsFile.read(run.directory().metrics()))) {
      out.println("loss curve: " + curve);
    }
    if (run.model().tokenizer() != null) {
      Sampler sampler = new Sampler(0.8, 0, 0.95, settings.run().seed());
      out.println("a sample (temperature 0.8):");
      out.println();
      out.println(Terminal.text(run.model().generate("", SAMPLE_TOKENS, sampler).strip()));
      out.println();
    }
    if (average != null) {
      out.println("average: " + average);
    }
    out.println("model: " + run.directory().path().resolve("last"));
    out.flush();
  }

  /** A perplexity only where the loss is that of the next token. */
  private static String summary(RunSettings settings, Evaluation evaluation) {
    String objective = settings.objective().objective();
    if (objective.equals("next-token")) {
      return evaluation.toString();
    }
    String unit = Objectives.readsPairs(objective) ? "pairs" : "tokens";
    return String.format(
        Locale.ROOT, "loss %.4f | %,d %s", evaluation.loss(), evaluation.tokens(), unit);
  }
}
