package dev.javelin.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.javelin.train.monitor.EventsFile;
import dev.javelin.train.monitor.RunEvent;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** {@code --guard}, {@code --inject}, {@code --max-bad-steps} and {@code javelin samples}. */
class StabilityCommandTest {
  private static final Pattern ORIGIN = Pattern.compile("tokens (\\d+) to (\\d+) of");
  private static final String[] GUARDED = {
    "--max-steps=60",
    "--save-every=10",
    "--guard=log,rollback",
    "--guard-warmup=10",
    "--guard-window=20",
    "--guard-calm=6",
    "--guard-threshold=12"
  };

  @TempDir Path dir;

  private static String[] with(String... more) {
    List<String> all = new ArrayList<>(List.of(GUARDED));
    all.addAll(List.of(more));
    return all.toArray(new String[0]);
  }

  private static String samples(Path run, String... flags) {
    List<String> all = new ArrayList<>(List.of("samples", run.toString()));
    all.addAll(List.of(flags));
    CommandLineTest.Result result = CommandLineTest.run(all.toArray(new String[0]));
    ResumeTest.assertSuccess(result);
    return result.out();
  }

  private static List<RunEvent> events(Path run, String kind) throws IOException {
    return EventsFile.read(run.resolve("events.jsonl")).stream()
        .filter(e -> e.kind().equals(kind))
        .toList();
  }

  @Test
  void aStepsTextsAreThoseThatTheDataHaveThere() throws IOException {
    Path run = dir.resolve("run");
    ResumeTest.assertSuccess(Tiny.train(dir, run, "--val-fraction=0"));
    String text = Files.readString(Tiny.text(dir));
    String out = samples(run, "--step=7", "--ids");
    assertThat(out).startsWith("step 7: places 24 to 27");
    Matcher m = ORIGIN.matcher(out);
    int found = 0;
    while (m.find()) {
      int from = Integer.parseInt(m.group(1));
      String row = text.substring(from, from + 17); // 16 inputs, and the last one's target
      String shown = out.substring(m.end()).lines().skip(1).findFirst().orElseThrow();
      assertThat(shown).isEqualTo(row.lines().findFirst().orElseThrow());
      assertThat(out).contains(ids(row));
      found++;
    }
    assertThat(found).isEqualTo(4);
  }

  private static String ids(String text) {
    StringBuilder ids = new StringBuilder();
    for (byte b : text.getBytes(StandardCharsets.UTF_8)) {
      ids.append(b).append(' ');
    }
    return ids.toString().strip();
  }

  @Test
  void aBadWindowIsRolledBackAndWhatWasUndoneIsStillKnown() throws IOException {
    Path run = dir.resolve("run");
    ResumeTest.assertSuccess(Tiny.train(dir, run, with("--inject=spike@35:6")));
    RunEvent back = events(run, RunEvent.ROLLBACK).getFirst();
    assertThat(back.step()).isBetween(35L, 41L);
    assertThat(back.text()).contains("back to checkpoint-30");
    assertThat(Files.readString(run.resolve("train.log")))
        .contains("step " + back.step() + ": spike");
    String out = samples(run, "--step=32", "--all");
    assertThat(out)
        .startsWith("step 32, undone by a roll-back: places 124 to 127")
        .contains("\nstep 32: places " + 4 * (back.step() + 1));
    assertThat(Files.readString(run.resolve("metrics.jsonl")))
        .contains("\"spikes\":")
        .contains("\"loss_z\":");
  }

  @Test
  void aGuardedRunThatIsResumedEndsWithTheSameBits() throws IOException {
    Path whole = dir.resolve("whole");
    Path parts = dir.resolve("parts");
    String shrink = "--guard=shrink,skip";
    String low = "--guard-threshold=2.5"; // so that something happens
    ResumeTest.assertSuccess(Tiny.train(dir, whole, with(shrink, low, "--val-fraction=0")));
    assertThat(events(whole, RunEvent.SPIKE)).isNotEmpty();
    ResumeTest.assertSuccess(
        Tiny.train(
            dir,
            parts,
            with(shrink, low, "--val-fraction=0", "--max-steps=35", "--lr-decay-steps=60")));
    ResumeTest.assertSuccess(
        Tiny.train(dir, parts, with(shrink, low, "--val-fraction=0", "--resume")));
    assertThat(Tiny.numbers(parts.resolve("checkpoint-60")))
        .isEqualTo(Tiny.numbers(whole.resolve("checkpoint-60")));
    assertThat(events(parts, RunEvent.SPIKE)).isEqualTo(events(whole, RunEvent.SPIKE));
  }

  @Test
  void aKillIsOneAndTheRunThatIsResumedIsOnItsOwn() throws Exception {
    Path run = dir.resolve("run");
    Path whole = dir.resolve("whole");
    ResumeTest.assertSuccess(Tiny.train(dir, whole, "--save-every=3"));
    ChildJvm child =
        ChildJvm.start(dir, List.of(), Tiny.flags(dir, run, "--save-every=3", "--inject=kill@8"));
    assertThat(child.join()).as(child.text()).isEqualTo(137);
    // a save waits for the one before it; the last of all may die with the process
    assertThat(run.resolve("checkpoint-3")).isDirectory();
    assertThat(events(run, "inject")).extracting(RunEvent::step).containsExactly(8L);
    ResumeTest.assertSuccess(Tiny.train(dir, run, "--save-every=3", "--resume"));
    assertThat(Tiny.numbers(run.resolve("checkpoint-12")))
        .isEqualTo(Tiny.numbers(whole.resolve("checkpoint-12")));
  }

  @Test
  void whatDivergesEndsWithOneLineAndExitCodeOne() {
    CommandLineTest.Result result =
        Tiny.train(dir, dir.resolve("run"), "--inject=nan-gradient@5:2", "--max-bad-steps=2");
    assertThat(result.exit()).isEqualTo(1);
    assertThat(result.err().strip().lines())
        .singleElement()
        .asString()
        .contains("step 6", "training diverged", "--learning-rate");
    assertThat(dir.resolve("run/checkpoint-6")).isDirectory();
    assertThat(dir.resolve("run/bad-batch-5.safetensors")).isRegularFile();
    assertThat(dir.resolve("run/bad-batch-6.txt")).isRegularFile();
  }

  @Test
  void whatCannotBeShownIsRefused() throws IOException {
    Path run = dir.resolve("run");
    assertThat(CommandLineTest.run("samples", run.toString(), "--step=1").err())
        .contains("holds no config.yaml and samples.jsonl");
    ResumeTest.assertSuccess(Tiny.train(dir, run));
    CommandLineTest.Result result = CommandLineTest.run("samples", run.toString(), "--step=13");
    assertThat(result.exit()).isEqualTo(2);
    assertThat(result.err()).contains("--step 13: the run has done steps 1 to 12");
  }
}
