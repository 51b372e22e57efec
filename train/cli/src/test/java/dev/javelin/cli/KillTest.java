package dev.javelin.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.javelin.train.checkpoint.Checkpoints;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.locks.LockSupport;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** A training killed at random moments and resumed each time, against one that was left alone. */
class KillTest {
  @TempDir Path dir;
  private int steps;
  private String[] flags = {};
  private Map<String, String> unbroken = Map.of();

  private void trainUnbroken(String data, int steps) throws IOException {
    this.steps = steps;
    flags =
        new String[] {
          "--max-steps=" + steps,
          "--save-every=4",
          "--eval-every=20",
          "--val-fraction=0.2",
          "--keep=2",
          "--data=" + Tiny.data(dir, data)
        };
    Path run = dir.resolve("unbroken");
    ResumeTest.assertSuccess(Tiny.train(dir, run, flags));
    unbroken = Tiny.numbers(run.resolve("checkpoint-" + steps));
  }

  @Test
  void threeKillsLeaveTheBitsOfAnUnbrokenRun() throws Exception {
    trainUnbroken("text", 60);
    rehearse(3, 20260701);
  }

  @Test
  void aKillLeavesTheBitsOfARunOnAPreparedText() throws Exception {
    trainUnbroken("prepared", 24);
    rehearse(1, 20260703);
  }

  @Tag("long")
  @ParameterizedTest
  @ValueSource(strings = {"jsonl", "csv", "prepared", "tokens"})
  void aKillLeavesTheBitsWhateverTheData(String data) throws Exception {
    trainUnbroken(data, 120);
    rehearse(1, 20260703);
  }

  @Test
  @Tag("long")
  void fifteenMoreKillsLeaveTheBitsOfAnUnbrokenRun() throws Exception {
    trainUnbroken("text", 120);
    rehearse(15, 20260702);
  }

  /** Each child gets some steps further than its checkpoint and dies, often while saving. */
  private void rehearse(int kills, long seed) throws Exception {
    Random random = new Random(seed);
    Path run = dir.resolve("killed");
    for (int i = 1; i <= kills; i++) {
      int step = steps * i / (kills + 1) - random.nextInt(steps / (kills + 1));
      boolean whileSaving = random.nextBoolean();
      ChildJvm child = ChildJvm.start(dir, List.of(), Tiny.flags(dir, run, resume()));
      while (child.process().isAlive()
          && !(whileSaving ? isSaving(run, step) : lines(run) >= step)) {
        LockSupport.parkNanos(200_000); // a spin would take one of the child's cores
      }
      LockSupport.parkNanos(random.nextInt(3_000_000));
      child.kill();
      assertThat(child.join()).as(child.text()).isEqualTo(137);
      new Checkpoints(run, 0)
          .newest()
          .ifPresent(c -> assertThat(c.directory().resolve("model.safetensors")).exists());
    }
    ResumeTest.assertSuccess(Tiny.train(dir, run, resume())); // another process would tell no more
    assertThat(Tiny.numbers(run.resolve("checkpoint-" + steps)))
        .as("seed %d", seed)
        .isEqualTo(unbroken);
    assertThat(lines(run)).isEqualTo(steps);
  }

  private String[] resume() {
    return Stream.concat(Stream.of(flags), Stream.of("--resume")).toArray(String[]::new);
  }

  private static boolean isSaving(Path run, int step) throws IOException {
    if (lines(run) < step || !Files.isDirectory(run)) {
      return false;
    }
    try (Stream<Path> files = Files.list(run)) {
      return files.anyMatch(p -> p.toString().endsWith(".partial"));
    }
  }

  private static int lines(Path run) throws IOException {
    Path metrics = run.resolve("metrics.jsonl");
    if (!Files.exists(metrics)) {
      return 0;
    }
    int lines = 0;
    for (byte b : Files.readAllBytes(metrics)) {
      lines += b == '\n' ? 1 : 0;
    }
    return lines;
  }
}
