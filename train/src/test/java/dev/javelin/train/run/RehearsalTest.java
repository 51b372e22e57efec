package dev.javelin.train.run;

import static org.assertj.core.api.Assertions.assertThat;

import dev.javelin.tensor.io.AtomicFile;
import dev.javelin.tensor.io.FileCalls;
import dev.javelin.tensor.step.StepState;
import dev.javelin.train.checkpoint.Checkpoint;
import dev.javelin.train.checkpoint.Checkpoints;
import dev.javelin.train.checkpoint.Keep;
import dev.javelin.train.checkpoint.SaveException;
import dev.javelin.train.checkpoint.TrainingState;
import dev.javelin.train.data.InputException;
import dev.javelin.train.monitor.MetricsFile;
import dev.javelin.train.monitor.StepMetrics;
import dev.javelin.train.monitor.Watcher;
import dev.javelin.train.run.FaultyCalls.Fault;
import dev.javelin.train.run.FaultyCalls.Killed;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** A run whose process dies, or whose disk is full, at one of its calls, and which then goes on. */
class RehearsalTest {
  private static final int STEPS = 8;
  private static final int BEST = 4;
  private static final int SAMPLE = 40;

  @TempDir Path dir;

  @ParameterizedTest
  @EnumSource(Fault.class)
  void aSampleOfAllMoments(Fault fault) throws IOException {
    int moments = moments();
    for (int at : new Random(11).ints(SAMPLE, 0, moments).distinct().toArray()) {
      rehearse(fault, at);
    }
  }

  @ParameterizedTest
  @Tag("long")
  @EnumSource(Fault.class)
  void everyMoment(Fault fault) throws IOException {
    for (int at : IntStream.range(0, moments()).toArray()) {
      rehearse(fault, at);
    }
  }

  /** Each run gets a few calls further than the one before it. */
  @Test
  void killsUponKills() throws IOException {
    Path path = dir.resolve("killed-often");
    Random random = new Random(12);
    boolean ended = false;
    for (int i = 0; !ended; i++) {
      FaultyCalls calls = new FaultyCalls(Fault.KILL, 5 + random.nextInt(60) + i);
      ended = ScopedValue.where(FileCalls.SCOPE, calls).call(() -> run(path, List.of()));
      assertWhole(path);
    }
    assertEnd(path, "after many kills");
  }

  private int moments() throws IOException {
    FaultyCalls calls = new FaultyCalls(Fault.KILL, Integer.MAX_VALUE);
    Path path = dir.resolve("unbroken");
    assertThat(ScopedValue.where(FileCalls.SCOPE, calls).call(() -> run(path, List.of()))).isTrue();
    assertEnd(path, "unbroken");
    assertThat(calls.calls()).hasSizeGreaterThan(150);
    return calls.calls().size();
  }

  private void rehearse(Fault fault, int at) throws IOException {
    Path path = dir.resolve(fault + "-" + at);
    FaultyCalls calls = new FaultyCalls(fault, at);
    List<RuntimeException> thrown = new ArrayList<>();
    ScopedValue.where(FileCalls.SCOPE, calls).call(() -> run(path, thrown));
    String moment =
        fault + " at " + at + ": " + calls.calls().get(Math.min(at, calls.calls().size() - 1));
    for (RuntimeException e : thrown) {
      assertThat(e)
          .as(moment)
          .isInstanceOfAny(SaveException.class, InputException.class, UncheckedIOException.class)
          .hasMessageContaining("No space left");
      if (e instanceof SaveException && String.valueOf(e.getMessage()).contains("is intact")) {
        assertThat(new Checkpoints(path, 0).newest()).as(moment).isPresent();
      }
    }
    assertWhole(path);
    assertThat(run(path, List.of())).as(moment).isTrue();
    assertEnd(path, moment);
  }

  /** What has the name of a checkpoint is whole, whatever happened. */
  private static void assertWhole(Path path) throws IOException {
    if (!Files.exists(path)) {
      return;
    }
    try (Stream<Path> children = Files.list(path)) {
      for (Path child : children.toList()) {
        if (child.getFileName().toString().startsWith("checkpoint-")) {
          Checkpoint whole = Checkpoint.open(child);
          assertThat(child.resolve("model")).hasContent("weights of " + whole.step());
        }
      }
    }
  }

  private static void assertEnd(Path path, String moment) throws IOException {
    assertThat(MetricsFile.read(path.resolve("metrics.jsonl")))
        .as(moment)
        .extracting(StepMetrics::step)
        .containsExactly(1L, 2L, 3L, 4L, 5L, 6L, 7L, 8L);
    Checkpoints checkpoints = new Checkpoints(path, 0);
    assertThat(checkpoints.newest().orElseThrow().step()).as(moment).isEqualTo(STEPS);
    assertThat(checkpoints.pointedTo("last")).as(moment).contains(path.resolve("checkpoint-8"));
    assertThat(checkpoints.pointedTo("best")).as(moment).contains(path.resolve("checkpoint-4"));
    try (Stream<Path> children = Files.list(path)) {
      // An end between the last save and what it deletes leaves one more to the next save.
      assertThat(
              children.map(p -> p.getFileName().toString()).filter(n -> !n.equals("checkpoint-6")))
          .as(moment)
          .containsExactlyInAnyOrder(
              ".lock",
              "best",
              "checkpoint-4",
              "checkpoint-8",
              "config.yaml",
              "events.jsonl",
              "last",
              "metrics.jsonl",
              "runs",
              "samples.jsonl",
              "train.log");
    }
  }

  /** Eight steps, saved after every second, the best of which is the fourth; whether it ended. */
  private static boolean run(Path path, List<RuntimeException> thrown) {
    try (RunDirectory directory = RunDirectory.claim(path)) {
      Checkpoint from = directory.start("auto", damaged -> {});
      directory.describe("settings\n", new Keep(1, 0), null, Map.of());
      long step = from == null ? 0 : from.step();
      List<Watcher> watchers = directory.begin(step, STEPS);
      try {
        while (step < STEPS) {
          step++;
          StepMetrics metrics = metrics(step);
          watchers.forEach(w -> w.logged(metrics));
          if (step % 2 == 0) {
            long saved = step;
            directory.save(
                state(step),
                into -> AtomicFile.write(into.resolve("model"), "weights of " + saved));
          }
        }
        return true;
      } finally {
        watchers.forEach(Watcher::close);
      }
    } catch (Killed killed) {
      return false;
    } catch (RuntimeException e) {
      thrown.add(e);
      return false;
    }
  }

  private static TrainingState state(long step) {
    long best = Math.min(step, BEST);
    return new TrainingState(
        step, step, step, 1, new StepState.Carried(1, 0, (int) step, 0), 1.0 / best, best, "m");
  }

  private static StepMetrics metrics(long step) {
    return new StepMetrics(step, 1, 1, 1, step, 1, 1, 1, 0, 0, null);
  }
}
