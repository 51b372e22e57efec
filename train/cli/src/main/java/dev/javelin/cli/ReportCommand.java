package dev.javelin.cli;

import dev.javelin.tensor.io.AtomicFile;
import dev.javelin.train.data.InputException;
import dev.javelin.train.report.ReportFile;
import dev.javelin.train.report.ReportPage;
import dev.javelin.train.report.ReportPage.Shown;
import dev.javelin.train.report.RunHistory;
import dev.javelin.train.run.RunDirectory;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code javelin report}: the page of a run, made anew from its files. */
@Command(
    name = "report",
    mixinStandardHelpOptions = true,
    description = "Writes report.html anew from the files of a run, which may be going on.")
final class ReportCommand implements Callable<Integer> {
  @Spec private @Nullable CommandSpec spec;

  @Parameters(paramLabel = "RUN", description = "Directory of the run.")
  private Path run = Path.of("");

  @Option(
      names = {"-o", "--output"},
      paramLabel = "FILE",
      description = "Page to write. Default: report.html in the directory of the run.")
  private @Nullable Path output;

  @Override
  public Integer call() throws IOException {
    Shown shown = read(run, RunHistory.of(run));
    Path page = output == null ? run.resolve(ReportFile.NAME) : output;
    write(page, List.of(shown));
    PrintWriter out = Main.out(spec);
    out.println("report: " + page);
    out.flush();
    return Main.OK;
  }

  static void write(Path page, List<Shown> runs) {
    if (Files.isDirectory(page)) {
      throw new InputException(page + " is a directory: name a file, such as report.html");
    }
    Path folder = page.toAbsolutePath().getParent();
    if (folder != null && !Files.isDirectory(folder)) {
      throw new InputException(page + ": there is no directory " + folder + ": make it first");
    }
    AtomicFile.write(page, ReportPage.of(runs));
  }

  /** Reads a run that is there. */
  static Shown read(Path run, RunHistory history) throws IOException {
    if (!Files.isDirectory(run)) {
      throw new InputException(run + ": there is no such directory: name that of a run");
    }
    if (history.refresh().isEmpty()) {
      throw new InputException(
          run
              + " holds no "
              + RunDirectory.METRICS_FILE
              + " with a line: name the directory of a run, its --output-dir");
    }
    return new Shown(history, history.state(RunDirectory.isHeld(run)));
  }
}
