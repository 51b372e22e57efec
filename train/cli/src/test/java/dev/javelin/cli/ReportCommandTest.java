package dev.javelin.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ReportCommandTest {
  @TempDir private Path dir;

  private record Result(int exit, String out, String err) {}

  private static Result run(String... args) {
    PrintStream out = System.out;
    PrintStream err = System.err;
    ByteArrayOutputStream said = new ByteArrayOutputStream();
    ByteArrayOutputStream wrong = new ByteArrayOutputStream();
    System.setOut(new PrintStream(said, true, StandardCharsets.UTF_8));
    System.setErr(new PrintStream(wrong, true, StandardCharsets.UTF_8));
    try {
      int exit = Main.run(args);
      return new Result(
          exit, said.toString(StandardCharsets.UTF_8), wrong.toString(StandardCharsets.UTF_8));
    } finally {
      System.setOut(out);
      System.setErr(err);
    }
  }

  private Path train(String name, String... more) {
    Path run = dir.resolve(name);
    List<String> args =
        new ArrayList<>(
            List.of(
                "train",
                "--model=" + Tiny.model(dir),
                "--tokenizer=byte",
                "--data=" + Tiny.text(dir),
                "--output-dir=" + run,
                "--batch-size=2",
                "--seq-len=16",
                "--threads=1",
                "--eval-every=2",
                "--logging-steps=1",
                "--quiet"));
    args.addAll(Arrays.asList(more));
    assertThat(run(args.toArray(new String[0])).exit).isZero();
    return run;
  }

  /** What the page shows, without the moment at which it was written. */
  private static String data(Path page) throws IOException {
    String html = Files.readString(page);
    return html.substring(html.indexOf("\"runs\":"), html.indexOf("</script>"));
  }

  @Test
  void theReportOfARunIsMadeAnewFromItsFiles() throws IOException {
    Path run = train("a", "--max-steps=4", "--sample-prompt=line");
    Path page = run.resolve("report.html");
    String live = data(page);
    assertThat(live).contains("\"state\":\"finished\",\"step\":4,\"steps\":4", "[2,\"line\",");
    Files.delete(page);
    Result made = run("report", run.toString());
    assertThat(made.out).isEqualTo("report: " + page + "\n");
    assertThat(data(page)).isEqualTo(live);
    Path elsewhere = dir.resolve("page.html");
    assertThat(run("report", run.toString(), "-o", elsewhere.toString()).exit).isZero();
    assertThat(data(elsewhere)).isEqualTo(live);
  }

  @Test
  void settingsSayWhatIsShown() throws IOException {
    Path run = train("a", "--max-steps=4", "--report=false", "--sample-every=0");
    assertThat(run.resolve("report.html")).doesNotExist();
    assertThat(run.resolve("texts.jsonl")).doesNotExist();
    Path other = train("b", "--max-steps=4", "--sample-every=3");
    assertThat(Files.readAllLines(other.resolve("texts.jsonl")))
        .singleElement()
        .asString()
        .startsWith("{\"step\":3,");
  }

  @Test
  void samplesOfTextChangeNothingOfTheTrainingAndRepeat() throws IOException {
    Path with = train("a", "--max-steps=4", "--sample-every=1");
    Path again = train("b", "--max-steps=4", "--sample-every=1");
    Path without = train("c", "--max-steps=4", "--sample-every=0", "--report=false");
    assertThat(with.resolve("texts.jsonl")).hasSameBinaryContentAs(again.resolve("texts.jsonl"));
    assertThat(Files.readAllLines(with.resolve("texts.jsonl"))).hasSize(4);
    assertThat(with.resolve("last/model.safetensors"))
        .hasSameBinaryContentAs(without.resolve("last/model.safetensors"));
  }

  @Test
  void runsAreComparedAsAPageAndAsATable() throws IOException {
    Path a = train("a", "--max-steps=4");
    Path b = train("b", "--max-steps=6", "--learning-rate=0.01");
    Path page = dir.resolve("both.html");
    Result result = run("compare", a.toString(), b.toString(), "-o", page.toString());
    assertThat(result.exit).isZero();
    List<String> lines = result.out.lines().toList();
    assertThat(lines.get(0)).matches("run +state +steps +tokens +loss +best val +last val +tok/s");
    assertThat(lines.get(1)).matches(".*a +finished +4 +128 +[5-6]\\.\\d{4} +[5-6]\\.\\d{4} .*");
    assertThat(lines.get(2)).matches(".*b +finished +6 +192 .*");
    assertThat(lines)
        .anyMatch(line -> line.matches("learning_rate +– +0.01"))
        .anyMatch(line -> line.matches("max_steps +4 +6"))
        .noneMatch(line -> line.startsWith("output_dir") || line.startsWith("seed"));
    assertThat(data(page)).contains("\"name\":\"" + a + "\"", "\"name\":\"" + b + "\"");
  }

  @Test
  void whatIsNoRunIsRefusedInOneLine() throws IOException {
    Path run = train("a", "--max-steps=1");
    Path empty = Files.createDirectory(dir.resolve("empty"));
    for (String[] args :
        List.of(
            new String[] {"report", dir.resolve("missing").toString()},
            new String[] {"report", empty.toString()},
            new String[] {"report", run.toString(), "-o", empty.toString()},
            new String[] {"report", run.toString(), "-o", empty.resolve("x/y.html").toString()},
            new String[] {"compare", run.toString()},
            new String[] {"compare", run.toString(), run + "/"},
            new String[] {"compare", run.toString(), empty.toString()})) {
      Result result = run(args);
      assertThat(result.exit).as(String.join(" ", args)).isEqualTo(2);
      assertThat(result.err.lines()).as(result.err).hasSize(1);
    }
    assertThat(dir.resolve("compare.html")).doesNotExist();
  }
}
