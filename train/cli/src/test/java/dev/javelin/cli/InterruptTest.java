package dev.javelin.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assumptions.assumeThat;

import dev.javelin.train.checkpoint.Checkpoint;
import dev.javelin.train.checkpoint.Checkpoints;
import dev.javelin.train.monitor.MetricsFile;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.DisabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;

class InterruptTest {
  @TempDir Path dir;

  @Test
  void ctrlCSavesSaysSoAndExitsWith130() throws Exception {
    assumeThat(interruptIsIgnored())
        .as("SIGINT is ignored here, as in every background job of a script")
        .isFalse();
    savesAndSaysSoAfter("INT", 130);
  }

  @Test
  void aRequestToEndSavesSaysSoAndExitsWith143() throws Exception {
    savesAndSaysSoAfter("TERM", 143);
  }

  @Test
  @DisabledOnOs(OS.WINDOWS)
  void theSignalOfABatchSystemSavesAndExitsWith75() throws Exception {
    savesAndSaysSoAfter("USR1", 75);
    Path run = dir.resolve("run");
    long step = new Checkpoints(run, 0).newest().orElseThrow().step();
    ResumeTest.assertSuccess(Tiny.train(dir, run, "--resume", "--max-steps=" + (step + 1)));
  }

  @Test
  @DisabledOnOs(OS.WINDOWS)
  void aSignalThatNobodyListensToEndsTheProcessAsEver() throws Exception {
    Path run = dir.resolve("run");
    ChildJvm child =
        ChildJvm.start(
            dir,
            List.of(),
            Tiny.flags(dir, run, "--max-steps=1000000", "--save-every=0", "--save-signal=none"));
    Path metrics = run.resolve("metrics.jsonl");
    while (child.process().isAlive() && !(Files.exists(metrics) && Files.size(metrics) > 0)) {
      Thread.sleep(10);
    }
    child.signal("USR1");
    assertThat(child.join()).as(child.text()).isEqualTo(128 + 10);
    assertThat(new Checkpoints(run, 0).newest()).isEmpty();
  }

  @Test
  void aSignalThatCannotBeListenedToIsRefusedByName() {
    for (String name : List.of("KILL", "SEGV", "NOSUCH")) {
      CommandLineTest.Result r = Tiny.train(dir, dir.resolve("run"), "--save-signal=" + name);
      assertThat(r.exit()).isEqualTo(2);
      assertThat(r.err()).contains("--save-signal " + name, "such as USR1, or none");
    }
    assertThat(dir.resolve("run")).doesNotExist();
  }

  @Test
  @DisabledOnOs(OS.WINDOWS)
  void aRequestToEndOnAFullDiskSaysThatNothingIsSaved() throws Exception {
    Path run = dir.resolve("run");
    // Metrics fit into so little, weights do not.
    ChildJvm child =
        ChildJvm.startUnder(
            "ulimit -f 32",
            dir,
            Tiny.flags(dir, run, "--max-steps=1000000", "--logging-steps=500", "--save-every=0"));
    Path metrics = run.resolve("metrics.jsonl");
    while (child.process().isAlive() && !(Files.exists(metrics) && Files.size(metrics) > 0)) {
      Thread.sleep(10);
    }
    child.signal("TERM");
    assertThat(child.join()).as(child.text()).isEqualTo(1);
    assertThat(child.text()).contains("could not be saved", "free some space");
    assertThat(new Checkpoints(run, 0).newest()).isEmpty();
  }

  private void savesAndSaysSoAfter(String signal, int exitCode) throws Exception {
    Path run = dir.resolve("run");
    ChildJvm child =
        ChildJvm.start(
            dir, List.of(), Tiny.flags(dir, run, "--max-steps=1000000", "--quiet=false"));
    Path metrics = run.resolve("metrics.jsonl");
    while (child.process().isAlive() && !(Files.exists(metrics) && Files.size(metrics) > 0)) {
      Thread.sleep(10);
    }
    child.signal(signal);
    assertThat(child.join()).as(child.text()).isEqualTo(exitCode);
    Checkpoint saved = new Checkpoints(run, 0).newest().orElseThrow();
    assertThat(saved.step()).isEqualTo(MetricsFile.read(metrics).getLast().step());
    assertThat(child.text())
        .contains("stopped after step " + saved.step())
        .contains("checkpoint saved; continue with --resume");
  }

  /** Neither saved nor silent: the exit code is that of the failure, not of the signal. */
  @Test
  @DisabledOnOs(OS.WINDOWS)
  void aRequestToEndThatCannotSaveSaysSoAndExitsWith1() throws Exception {
    Path run = dir.resolve("run");
    List<String> flags = Tiny.flags(dir, run, "--max-steps=1000000", "--logging-steps=20");
    ChildJvm child = ChildJvm.startUnder("ulimit -f 16", dir, flags);
    Path metrics = run.resolve("metrics.jsonl");
    while (child.process().isAlive() && !(Files.exists(metrics) && Files.size(metrics) > 0)) {
      Thread.sleep(10);
    }
    child.signal("TERM");
    assertThat(child.join()).as(child.text()).isEqualTo(1);
    assertThat(child.text().lines().filter(l -> !l.startsWith("WARNING")))
        .singleElement()
        .asString()
        .startsWith("javelin: ")
        .contains("could not be saved");
  }

  /** What a shell sets for its background jobs, and children inherit. */
  private static boolean interruptIsIgnored() throws IOException {
    Path status = Path.of("/proc/self/status");
    if (!Files.exists(status)) {
      return false;
    }
    try (Stream<String> lines = Files.lines(status)) {
      String mask = lines.filter(l -> l.startsWith("SigIgn:")).findFirst().orElse("SigIgn:\t0");
      return (Long.parseUnsignedLong(mask.substring(7).strip(), 16) >> 1 & 1) == 1;
    }
  }
}
