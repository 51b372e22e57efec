package dev.javelin.cli;

import dev.javelin.train.RunSamples;
import dev.javelin.train.data.ReadRows;
import dev.javelin.train.monitor.StepPlaces;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code javelin samples}: what a step of a run has learned from. */
@Command(
    name = "samples",
    mixinStandardHelpOptions = true,
    description =
        "Prints the texts that a training step has read, with where they come from. The run may be over or under way.")
final class SamplesCommand implements Callable<Integer> {
  @Spec private @Nullable CommandSpec spec;

  @Parameters(paramLabel = "RUN", description = "Directory of the run.")
  private Path run = Path.of("");

  @Option(names = "--step", required = true, paramLabel = "N", description = "Step, from 1 on.")
  private int step;

  @Option(names = "--ids", description = "Print the ids of the tokens too.")
  private boolean ids;

  @Option(
      names = "--all",
      description = "Print what a roll-back has undone too, if the step was done several times.")
  private boolean all;

  @Override
  public Integer call() {
    Main.atLeast(1, "--step", step);
    try (RunSamples samples = RunSamples.open(run)) {
      Main.notes(spec, samples.notes());
      List<StepPlaces.Reading> readings = samples.readings(step);
      for (StepPlaces.Reading reading : readings) {
        boolean counts = reading == readings.getLast();
        Main.out(spec)
            .printf(
                "step %d%s: places %d to %d%n",
                step,
                counts ? "" : ", undone by a roll-back",
                reading.place(),
                reading.place() + reading.rows() - 1);
        if (counts || all) {
          samples.sequences(reading).forEach(s -> print(samples, s));
        }
      }
      Main.out(spec).flush();
    }
    return Main.OK;
  }

  private void print(RunSamples samples, ReadRows.Sequence s) {
    PrintWriter out = Main.out(spec);
    out.printf("%n--- place %d, %s%n", s.place(), Terminal.harmless(s.origin()));
    if (samples.tokenizer() != null) {
      out.println(Terminal.harmless(samples.tokenizer().decode(s.ids())));
    }
    if (ids || samples.tokenizer() == null) {
      out.println(
          Arrays.stream(s.ids()).mapToObj(Integer::toString).collect(Collectors.joining(" ")));
    }
  }
}
