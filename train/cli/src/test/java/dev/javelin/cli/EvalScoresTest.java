package dev.javelin.cli;

import static dev.javelin.cli.CommandLineTest.run;
import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Classifiers, choices and generated texts on the command line. */
class EvalScoresTest {
  @TempDir Path dir;

  private Path trained() {
    Path run = dir.resolve("run");
    ResumeTest.assertSuccess(Tiny.train(dir, run, "--max-steps=2"));
    return run.resolve("last");
  }

  @Test
  void aClassifierIsTrainedOnALanguageModelAndEvaluated() throws IOException {
    Path base = trained();
    Path data = dir.resolve("t.csv");
    Files.writeString(
        data, "text,label\n" + "aaaa b,good\ncccc d,bad\naaa,good\nccc,bad\n".repeat(20));
    Path run = dir.resolve("classes");
    CommandLineTest.Result trained =
        run(
            "train",
            "--objective=classify",
            "--data=" + data,
            "--model=" + base,
            "--seq-len=16",
            "--batch-size=8",
            "--max-steps=30",
            "--learning-rate=0.003",
            "--threads=1",
            "--output-dir=" + run);
    assertThat(trained.exit()).as(trained.err()).isZero();
    assertThat(trained.out())
        .contains("72 texts to train on, 8 for validation; 30 steps", "classes bad, good")
        .contains("validation: accuracy 1.0000 | macro F1 1.0000");
    CommandLineTest.Result eval =
        run("eval", "--model=" + run.resolve("last"), "--data=" + data, "--json");
    assertThat(eval.exit()).as(eval.err()).isZero();
    assertThat(eval.out())
        .contains("\"accuracy\":1.0,", "\"examples\":80,", "\"f1\":{\"bad\":1.0,\"good\":1.0}");
    CommandLineTest.Result none = run("eval", "--model=" + run.resolve("last"));
    assertThat(none.exit()).isEqualTo(2);
    assertThat(none.err()).contains("a classifier needs --data").hasLineCount(1);
  }

  @Test
  void choicesAreScoredByTheirLikelihood() throws IOException {
    Path questions = dir.resolve("q.jsonl");
    Files.writeString(
        questions,
        "{\"prompt\": \"the quick brown\", \"choices\": [\"fox\", \"qqq\"], \"answer\": 0}\n");
    CommandLineTest.Result eval =
        run("eval", "--model=" + trained(), "--choices=" + questions, "--threads=1");
    assertThat(eval.exit()).as(eval.err()).isZero();
    assertThat(eval.out()).contains("accuracy ", " | by bytes ", "| 1 questions");
  }

  @Test
  void generatedTextsAreScoredWithoutAModel() throws IOException {
    Path texts = dir.resolve("p.jsonl");
    Files.writeString(
        texts,
        "{\"reply\": \"the cat sat on the mat\", \"reference\": \"the cat sat on a mat\"}\n");
    CommandLineTest.Result all = run("eval", "--predictions=" + texts);
    assertThat(all.exit()).as(all.err()).isZero();
    assertThat(all.out()).startsWith("exact 0.00 | bleu 53.73 | chrf ").contains("rougeL 83.33");
    Path data = Files.writeString(dir.resolve("d.txt"), "A cat sat on the hat.");
    CommandLineTest.Result copied =
        run("eval", "--predictions=" + texts, "--metric=copied", "--data=" + data, "--json");
    assertThat(copied.out())
        .contains("\"copied_characters\":16,", "\"copied\":\" cat sat on the \"");
    for (String[] wrong :
        new String[][] {
          {"--metric=meteor", "there is no score meteor"},
          {"--metric=copied", "needs the texts of the training as --data"},
          {"--reference-column=gold", "has no text under \"gold\""},
          {"--column=text2", "has no text under \"text2\""},
        }) {
      CommandLineTest.Result refused = run("eval", "--predictions=" + texts, wrong[0]);
      assertThat(refused.exit()).isEqualTo(2);
      assertThat(refused.err()).contains(wrong[1]).hasLineCount(1);
    }
  }
}
