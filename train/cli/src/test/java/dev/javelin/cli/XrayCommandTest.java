package dev.javelin.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.javelin.cli.CommandLineTest.Result;
import dev.javelin.train.xray.Xray;
import dev.javelin.train.xray.XrayFile;
import dev.javelin.train.xray.XrayHook;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class XrayCommandTest {
  @TempDir Path dir;

  private static List<Long> steps(Path run) {
    return XrayFile.read(run.resolve(XrayHook.RECORDS)).stream()
        .map(x -> x.subject().step())
        .toList();
  }

  @Test
  void writesThePageAndTheNumbersOnIt() throws IOException {
    Path page = dir.resolve("page.html");
    Path json = dir.resolve("x.jsonl");
    Path text = Files.writeString(dir.resolve("text.txt"), "ä quick brown fox ".repeat(20));
    Result r =
        CommandLineTest.run(
            "xray",
            "--model=" + Tiny.model(dir),
            "--tokenizer=byte",
            "--data=" + text,
            "--learning-rate=0.002",
            "--seed=7",
            "--threads=1",
            "--out=" + page,
            "--json=" + json);
    assertThat(r.exit()).as(r.err()).isZero();
    assertThat(r.err()).contains("characters are shown, ");
    assertThat(page).content().contains("<html", "</html>");
    Xray x = XrayFile.read(json).getFirst();
    assertThat(x.subject().learningRate()).isEqualTo(0.002);
    assertThat(x.subject().seed()).isEqualTo(7);
    assertThat(x.tokens()).hasSizeBetween(30, 32); // the model has 32 positions
    assertThat(x.loss().after()).isLessThan(x.loss().before());
    XrayFile.write(dir.resolve("again.jsonl"), List.of(x));
    assertThat(dir.resolve("again.jsonl")).hasSameBinaryContentAs(json);
  }

  @Test
  void whatDoesNotFitIsNamed() {
    String model = "--model=" + Tiny.model(dir);
    String out = "--out=" + dir.resolve("x.html");
    error("--lora is not a flag here", "unknown flag --lora", model, "--lora=8");
    error("no tokenizer", "--tokenizer", model, out);
    error("one token", "at least 2 tokens", model, out, "--tokenizer=byte", "--text=a");
    error("two texts", "give one", model, out, "--text=ab", "--data=f");
    error("no preset", "did you mean", "--model=gpt2-shakespere-cpu", out);
    error("no folder", "no place for a file", model, "--out=" + dir.resolve("none/x.html"));
    assertThat(dir.resolve("x.html")).doesNotExist();
  }

  private static void error(String what, String message, String... arguments) {
    String[] all = new String[arguments.length + 1];
    all[0] = "xray";
    System.arraycopy(arguments, 0, all, 1, arguments.length);
    Result r = CommandLineTest.run(all);
    assertThat(r.exit()).as(what).isEqualTo(2);
    assertThat(r.err().lines()).as(what).singleElement().asString().contains(message);
  }

  @Test
  void aRunWithXraysHasTheBitsOfOneWithout() throws IOException {
    Path plain = dir.resolve("plain");
    Path looked = dir.resolve("looked");
    ResumeTest.assertSuccess(Tiny.train(dir, plain, "--max-steps=6"));
    String[] at = {"--max-steps=6", "--xray-at=0,2,6", "--xray-text=the fox"};
    ResumeTest.assertSuccess(Tiny.train(dir, looked, at));
    assertThat(Tiny.numbers(looked.resolve("last"))).isEqualTo(Tiny.numbers(plain.resolve("last")));
    assertThat(steps(looked)).containsExactly(0L, 2L, 6L);
    assertThat(looked.resolve(XrayHook.PAGE)).content().contains("</html>");
  }

  @Test
  void xraysOutliveAnInterruption() throws IOException {
    Path run = dir.resolve("run");
    String at = "--xray-at=1,5";
    String text = "--xray-text=the fox";
    ResumeTest.assertSuccess(Tiny.train(dir, run, at, text, "--max-steps=3"));
    assertThat(steps(run)).containsExactly(1L);
    ResumeTest.assertSuccess(Tiny.train(dir, run, at, text, "--max-steps=6", "--resume"));
    assertThat(steps(run)).containsExactly(1L, 5L);
    Path records = run.resolve(XrayHook.RECORDS);
    Files.writeString(records, "{}\n");
    Result broken = Tiny.train(dir, run, at, text, "--max-steps=8", "--resume");
    assertThat(broken.exit()).isEqualTo(2);
    assertThat(broken.err()).contains(records.toString(), "line 1 is no X-ray", "remove the file");
  }

  @Test
  void aTextThatCannotBeShownIsRefusedBeforeTheRun() {
    Path run = dir.resolve("run");
    Result r = Tiny.train(dir, run, "--xray-at=0", "--xray-text=" + "long ".repeat(20));
    assertThat(r.exit()).isEqualTo(2);
    assertThat(r.err()).contains("--xray-at: the text has 100 tokens", "--xray-text");
  }

  @Test
  void aClassifierHasNone() {
    CommandLineTest.Result result =
        CommandLineTest.run(
            "train",
            "--objective=classify",
            "--data=" + dir.resolve("none.jsonl"),
            "--model=" + dir.resolve("none"),
            "--xray-at=1",
            "--output-dir=" + dir.resolve("classes"));
    assertThat(result.exit()).isEqualTo(2);
    assertThat(result.err()).contains("--xray-at", "--objective classify");
  }

  @Test
  void aTrainedModelIsLessSurprisedThanAFreshOne() {
    Path model = Path.of("../../../shared/models/stories260K");
    assumeTrue(Files.isDirectory(model), model + " is not there: nothing to look at");
    Path json = dir.resolve("x.jsonl");
    Result r =
        CommandLineTest.run(
            "xray",
            "--model=" + model,
            "--text=Once upon a time, there was a little girl",
            "--out=" + dir.resolve("x.html"),
            "--json=" + json);
    assertThat(r.exit()).as(r.err()).isZero();
    assertThat(XrayFile.read(json).getFirst().loss().before()).isLessThan(3);
  }
}
