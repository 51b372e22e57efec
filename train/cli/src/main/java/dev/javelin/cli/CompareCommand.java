package dev.javelin.cli;

import dev.javelin.tensor.io.Printable;
import dev.javelin.train.data.InputException;
import dev.javelin.train.report.ReportPage.Shown;
import dev.javelin.train.report.RunHistory;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code javelin compare}: runs over each other, as a page and as a table. */
@Command(
    name = "compare",
    mixinStandardHelpOptions = true,
    description =
        "Lays runs over each other: a page with their curves, a table of results and of the settings in which they differ.")
final class CompareCommand implements Callable<Integer> {
  private static final int MOST_RUNS = 64;
  private static final int WIDEST = 40;

  @Spec private @Nullable CommandSpec spec;

  @Parameters(arity = "1..*", paramLabel = "RUN", description = "Directories of the runs.")
  private List<Path> runs = List.of();

  @Option(
      names = {"-o", "--output"},
      paramLabel = "FILE",
      defaultValue = "compare.html",
      description = "Page to write. Default: ${DEFAULT-VALUE}.")
  private Path output = Path.of("");

  @Override
  public Integer call() throws IOException {
    Set<Path> distinct = new LinkedHashSet<>(runs.stream().map(Path::normalize).toList());
    if (distinct.size() < 2 || distinct.size() > MOST_RUNS) {
      throw new InputException(
          "compare takes 2 to %d different runs, got %d: name their directories"
              .formatted(MOST_RUNS, distinct.size()));
    }
    List<Shown> shown = new ArrayList<>();
    for (Path run : distinct) {
      shown.add(ReportCommand.read(run, new RunHistory(run, run.toString())));
    }
    ReportCommand.write(output, shown);
    PrintWriter out = Main.out(spec);
    print(out, results(shown));
    List<List<String>> differences = differences(shown);
    if (differences.size() > 1) {
      out.println();
      print(out, differences);
    }
    out.println();
    out.println("page: " + output);
    out.flush();
    return Main.OK;
  }

  private static List<List<String>> results(List<Shown> runs) {
    List<List<String>> rows = new ArrayList<>();
    rows.add(List.of("run", "state", "steps", "tokens", "loss", "best val", "last val", "tok/s"));
    for (Shown shown : runs) {
      RunHistory run = shown.run();
      rows.add(
          List.of(
              run.name(),
              shown.state().name().toLowerCase(Locale.ROOT),
              Long.toString(run.step()),
              number("%,.0f", run.last("tokens")),
              number("%.4f", run.last("loss")),
              number("%.4f", run.least("eval_loss")),
              number("%.4f", run.last("eval_loss")),
              number("%,.0f", run.mean("tokens_per_second"))));
    }
    return rows;
  }

  private static List<List<String>> differences(List<Shown> runs) {
    List<Map<String, String>> told = new ArrayList<>();
    Set<String> keys = new LinkedHashSet<>();
    List<String> head = new ArrayList<>(List.of("setting"));
    for (Shown shown : runs) {
      Map<String, String> settings = shown.run().settings();
      told.add(settings);
      keys.addAll(settings.keySet());
      head.add(shown.run().name());
    }
    keys.remove("output_dir");
    List<List<String>> rows = new ArrayList<>();
    rows.add(head);
    for (String key : keys) {
      List<String> values = told.stream().map(settings -> settings.getOrDefault(key, "–")).toList();
      if (Set.copyOf(values).size() > 1) {
        List<String> row = new ArrayList<>(List.of(key));
        row.addAll(values);
        rows.add(row);
      }
    }
    return rows;
  }

  private static String number(String format, @Nullable Double value) {
    return value == null ? "–" : String.format(Locale.ROOT, format, value);
  }

  /** Columns as wide as they must be; numbers stand right. */
  private static void print(PrintWriter out, List<List<String>> rows) {
    List<List<String>> cells =
        rows.stream().map(row -> row.stream().map(CompareCommand::cell).toList()).toList();
    int columns = rows.getFirst().size();
    for (List<String> row : cells) {
      StringBuilder line = new StringBuilder();
      for (int c = 0; c < columns; c++) {
        int column = c;
        int width = cells.stream().mapToInt(r -> r.get(column).length()).max().orElse(0);
        String pad = " ".repeat(width - row.get(c).length());
        line.append(c == 0 ? row.get(c) + pad : "  " + pad + row.get(c));
      }
      out.println(line.toString().stripTrailing());
    }
  }

  private static String cell(String text) {
    String line = Printable.line(text);
    return line.length() <= WIDEST ? line : "…" + line.substring(line.length() - WIDEST + 1);
  }
}
