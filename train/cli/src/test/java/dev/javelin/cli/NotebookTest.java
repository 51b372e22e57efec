package dev.javelin.cli;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assumptions.assumeThat;

import dev.javelin.tensor.io.Json;
import dev.javelin.tensor.io.JsonObject;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.NavigableMap;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The notebook of {@code docs/learn}: what its cells print is what it shows. */
class NotebookTest {
  private static final Path LEARN = Path.of("../../docs/learn");
  private static final Path NOTEBOOK = LEARN.resolve("notebook/javelin.ipynb");
  private static final String KERNEL = "javelin";

  @TempDir Path dir;

  /** A cell of code, and what it printed when it last ran. */
  private record Cell(String source, String output) {}

  private static List<Cell> cells(Path notebook) {
    return Json.read(notebook).objects("cells").stream()
        .filter(c -> c.text("cell_type").equals("code"))
        .map(c -> new Cell(lines(c, "source"), output(c)))
        .toList();
  }

  private static String output(JsonObject cell) {
    StringBuilder all = new StringBuilder();
    for (JsonObject output : cell.objects("outputs")) {
      assertThat(output.text("output_type")).as("%s", cell).isEqualTo("stream");
      all.append(lines(output, "text"));
    }
    return all.toString();
  }

  private static String lines(JsonObject of, String key) {
    return of.array(key).stream().map(String::valueOf).collect(Collectors.joining());
  }

  @Test
  void eachCellPrintsWhatIsShown() {
    List<Cell> cells = cells(NOTEBOOK);
    assertThat(cells).hasSizeGreaterThan(15);
    String script = cells.stream().map(c -> c.source() + "\n").collect(Collectors.joining());
    NavigableMap<Integer, String> printed = LessonsTest.run(script);
    int from = 0;
    for (Cell cell : cells) {
      int to = from + cell.source().length() + 1;
      assertThat(String.join("", printed.subMap(from + 1, to + 1).values()))
          .as("what this prints\n%s", cell.source())
          .isEqualTo(cell.output());
      from = to;
    }
  }

  @Test
  void eachCellStandsInItsChapter() throws IOException {
    String scripts =
        Files.readString(LEARN.resolve("07-loss.jsh"))
            + Files.readString(LEARN.resolve("08-adamw.jsh"));
    int at = 0;
    for (Cell cell : cells(NOTEBOOK)) {
      int found = scripts.indexOf(cell.source(), at);
      assertThat(found).as("in the scripts, in their order:\n%s", cell.source()).isNotNegative();
      at = found + cell.source().length();
    }
  }

  @Test
  void runsInJupyter() throws IOException, InterruptedException {
    Path kernels = dir.resolve("kernels.json");
    assumeThat(jupyter(kernels, "kernelspec", "list", "--json"))
        .as("jupyter is not installed, see docs/learn/notebook/README.md")
        .isZero();
    assumeThat(Json.read(kernels).object("kernelspecs").has(KERNEL))
        .as("jupyter has no kernel %s, see docs/learn/notebook/README.md", KERNEL)
        .isTrue();
    Path log = dir.resolve("errors");
    String from = NOTEBOOK.toAbsolutePath().normalize().toString();
    assertThat(
            jupyter(
                dir.resolve("out"),
                "nbconvert",
                "--to",
                "notebook",
                "--execute",
                from,
                "--output-dir",
                "" + dir))
        .as(() -> read(log))
        .isZero();
    assertThat(cells(dir.resolve("javelin.ipynb"))).isEqualTo(cells(NOTEBOOK));
  }

  private static String read(Path log) {
    try {
      return Files.readString(log, UTF_8);
    } catch (IOException e) {
      return e.toString();
    }
  }

  /** The exit code; −1 where there is no such program. */
  private int jupyter(Path out, String... args) throws IOException, InterruptedException {
    List<String> command = new ArrayList<>(List.of("jupyter"));
    command.addAll(List.of(args));
    Process process;
    try {
      process =
          new ProcessBuilder(command)
              .redirectOutput(out.toFile())
              .redirectError(dir.resolve("errors").toFile())
              .start();
    } catch (IOException _) {
      return -1;
    }
    process.getOutputStream().close();
    if (!process.waitFor(3, TimeUnit.MINUTES)) {
      process.descendants().forEach(ProcessHandle::destroyForcibly);
      process.destroyForcibly();
      throw new AssertionError("jupyter is still busy after three minutes: " + command);
    }
    return process.exitValue();
  }
}
