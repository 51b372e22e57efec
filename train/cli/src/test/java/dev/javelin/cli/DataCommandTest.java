package dev.javelin.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assumptions.assumeThat;

import dev.javelin.train.Run;
import dev.javelin.train.data.InputException;
import dev.javelin.train.settings.RunSettings;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What data say to the verbs that read them. */
class DataCommandTest {
  @TempDir Path dir;

  private static CommandLineTest.Result succeed(CommandLineTest.Result r) {
    assertThat(r.exit()).as(r.err()).isEqualTo(0);
    return r;
  }

  /** Trained with newlines between documents, evaluated with them: not with the end token. */
  @Test
  void aCheckpointIsEvaluatedWithWhatEndedItsDocuments() throws IOException {
    Path run = dir.resolve("run");
    Path lines = Tiny.data(dir, "jsonl");
    Path sameText = Tiny.text(dir);
    succeed(Tiny.train(dir, run, "--data=" + lines, "--max-steps=1"));
    String model = "--model=" + run.resolve("last");
    String documents =
        succeed(CommandLineTest.run("eval", model, "--data=" + lines, "--json")).out();
    String text = succeed(CommandLineTest.run("eval", model, "--data=" + sameText, "--json")).out();
    assertThat(documents.lines().toList().getLast()).isEqualTo(text.lines().toList().getLast());
  }

  @Test
  void everyVerbThatReadsDocumentsTakesTheColumn() throws IOException {
    Path table = dir.resolve("a.csv");
    Files.writeString(table, "id,body\n" + "1,the quick brown fox\n".repeat(50));
    Path run = dir.resolve("run");
    CommandLineTest.Result refused = Tiny.train(dir, run, "--data=" + table);
    assertThat(refused.exit()).isEqualTo(2);
    assertThat(refused.err())
        .isEqualToIgnoringNewLines(
            "javelin: "
                + table
                + ": row 2 is of no known format: it has [\"id\",\"body\"]; name the field of running text with --column, or the fields as docs/data.md has them");
    succeed(Tiny.train(dir, run, "--data=" + table, "--column=body", "--max-steps=1"));
    String last = "--model=" + run.resolve("last");
    succeed(CommandLineTest.run("eval", last, "--data=" + table, "--column=body"));
    String out = "--output-dir=" + dir.resolve("out");
    succeed(
        CommandLineTest.run(
            "prepare", "--data=" + table, "--column=body", "--tokenizer=byte", out));
    String tokenizer = "--output-dir=" + dir.resolve("tokenizer");
    succeed(
        CommandLineTest.run(
            "tokenizer",
            "train",
            "--data=" + table,
            "--column=body",
            "--vocab-size=260",
            tokenizer));
  }

  @Test
  void hiddenFilesAreLeftOutAndSaidByEveryVerb() throws IOException {
    Path data = Files.createDirectories(dir.resolve("d"));
    Files.copy(Tiny.text(dir), data.resolve("a.txt"));
    Files.writeString(data.resolve("._a.txt"), "\u0000\u0005\u0016");
    String given = "--data=" + data;
    String note =
        data
            + ": left out 1 hidden and 0 of other kinds than .txt, .jsonl, .ndjson, .json, .csv, .tsv";
    String out = "--output-dir=" + dir.resolve("out");
    assertThat(succeed(CommandLineTest.run("prepare", given, "--tokenizer=byte", out)).err())
        .contains(note);
    Path run = dir.resolve("run");
    assertThat(succeed(Tiny.train(dir, run, given, "--max-steps=1", "--quiet=false")).out())
        .contains(note);
    assertThat(succeed(CommandLineTest.run("eval", "--model=" + run.resolve("last"), given)).err())
        .contains(note);
  }

  @Test
  void aRunThatCannotBeOpenedLeavesNoTokenFileMapped() throws IOException {
    Path maps = Path.of("/proc/self/maps");
    assumeThat(maps).as("the system says what is mapped").exists();
    Path tokens = Tiny.data(dir, "tokens");
    RunSettings settings =
        RunSettings.DEFAULT
            .withModel(m -> m.withModel(Tiny.model(dir).toString()).withTokenizer("byte"))
            .withData(d -> d.withData(List.of(tokens)))
            .withRun(r -> r.withOutputDir(dir.resolve("run")));
    List<RunSettings> refused =
        List.of(
            settings.withBatch(b -> b.withSeqLen(3000)), // longer than the data
            settings.withModel(m -> m.withTokenizer("char")),
            settings.withDevice(d -> d.withDevice("cuda:99")),
            settings.withData(
                d -> d.withValFraction(null).withValData(List.of(dir.resolve("x.bin")))));
    for (RunSettings one : refused) {
      assertThatThrownBy(() -> Run.open(one).close()).isInstanceOf(RuntimeException.class);
      assertThat(Files.readString(maps)).doesNotContain(tokens.toString());
    }
    byte[] ids = Files.readAllBytes(tokens);
    ids[3] = 1; // 256 + …
    Files.write(tokens, ids);
    assertThatThrownBy(() -> Run.open(settings.withBatch(b -> b.withSeqLen(16))).close())
        .isInstanceOf(InputException.class)
        .hasMessageContaining("at position 1 is outside the vocabulary of 256");
    assertThat(Files.readString(maps)).doesNotContain(tokens.toString());
  }
}
