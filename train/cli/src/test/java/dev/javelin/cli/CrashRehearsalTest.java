package dev.javelin.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.javelin.tensor.io.FileCalls;
import dev.javelin.train.checkpoint.Checkpoint;
import dev.javelin.train.checkpoint.Checkpoints;
import dev.javelin.train.monitor.MetricsFile;
import dev.javelin.train.monitor.StepMetrics;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.channels.WritableByteChannel;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInfo;
import org.junit.jupiter.api.condition.DisabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;

/**
 * What may happen to a run while it saves, again and again, at drawn moments: each time it goes on
 * from a whole checkpoint, and its end has the bits of a run that was left alone.
 */
class CrashRehearsalTest {
  /** Of about two saves: each writes some 130 times, for a tensor is a call. */
  private static final int CALLS = 260;

  @TempDir Path dir;
  private int steps;
  private String[] flags = {};
  private Map<String, String> unbroken = Map.of();
  private List<Double> losses = List.of();
  private long checkpointBytes;

  @BeforeEach
  void trainUnbroken(TestInfo test) throws IOException {
    steps = test.getTags().contains("long") ? 120 : 40;
    flags =
        new String[] {
          "--max-steps=" + steps,
          "--lr-decay-steps=" + steps,
          "--save-every=2",
          "--eval-every=10",
          "--val-fraction=0.2",
          "--keep=2",
          "--resume"
        };
    Path run = dir.resolve("unbroken");
    ResumeTest.assertSuccess(Tiny.train(dir, run, flags));
    Path end = run.resolve("checkpoint-" + steps);
    unbroken = Tiny.numbers(end);
    losses = losses(run);
    try (Stream<Path> files = Files.list(end)) {
      checkpointBytes = files.mapToLong(f -> f.toFile().length()).sum();
    }
  }

  @Test
  @DisabledOnOs(OS.WINDOWS)
  void someKills() throws Exception {
    kills(4, 1);
  }

  @Test
  @Tag("long")
  @DisabledOnOs(OS.WINDOWS)
  void fiftyKills() throws Exception {
    kills(50, 2);
  }

  @Test
  void someFullDisks() throws IOException {
    fullDisks(4, 3);
  }

  @Test
  @Tag("long")
  void twentyFullDisks() throws IOException {
    fullDisks(20, 4);
  }

  @Test
  void someCutFiles() throws IOException {
    cutFiles(4, 5);
  }

  @Test
  @Tag("long")
  void twentyCutFiles() throws IOException {
    cutFiles(20, 6);
  }

  @Test
  @DisabledOnOs(OS.WINDOWS)
  void aSecondProcessAtADrawnMomentOfTheFirstOnesSave() throws Exception {
    secondProcesses(1, 7);
  }

  @Test
  @Tag("long")
  @DisabledOnOs(OS.WINDOWS)
  void fiveSecondProcesses() throws Exception {
    secondProcesses(5, 8);
  }

  /** {@code kill -9} within the write of the first or the second checkpoint after a resume. */
  private void kills(int count, long seed) throws Exception {
    Random random = new Random(seed);
    Path run = dir.resolve("killed");
    Map<String, Integer> moments = new TreeMap<>();
    int partial = 0;
    for (int i = 0; i < count; i++) {
      Path marker = dir.resolve("moment");
      ChildJvm child = dying("kill", random, marker, run);
      assertThat(child.join()).as(child.text()).isEqualTo(137);
      String moment = Files.readString(marker);
      moments.merge(moment.split(" ", 2)[0], 1, Integer::sum);
      partial += assertWhole(run, moment) ? 1 : 0;
      Files.delete(marker);
    }
    long before = newest(run);
    assertEnd(run, "seed " + seed);
    System.out.printf(
        "%d kills %s; %d left a part of a checkpoint; step %d of %d was reached%n",
        count, moments, partial, before, steps);
  }

  private void secondProcesses(int count, long seed) throws Exception {
    Random random = new Random(seed);
    Path run = dir.resolve("shared");
    for (int i = 0; i < count; i++) {
      Path marker = dir.resolve("moment");
      ChildJvm first = dying("hold", random, marker, run);
      while (first.process().isAlive() && !Files.exists(marker)) {
        Thread.sleep(10);
      }
      assertThat(first.process().isAlive()).as(first.text()).isTrue();
      long before = newest(run);
      CommandLineTest.Result second = Tiny.train(dir, run, flags);
      assertThat(second.exit()).isEqualTo(2);
      assertThat(second.err()).contains("in use by process " + first.process().pid());
      assertThat(newest(run)).isEqualTo(before);
      first.kill();
      first.join();
      assertWhole(run, Files.readString(marker));
      Files.delete(marker);
    }
    assertEnd(run, "seed " + seed);
  }

  private ChildJvm dying(String how, Random random, Path marker, Path run) throws IOException {
    List<String> arguments =
        new ArrayList<>(
            List.of(
                how,
                Integer.toString(random.nextInt(CALLS)),
                Double.toString(random.nextDouble()),
                marker.toString()));
    arguments.addAll(Tiny.flags(dir, run, flags));
    return ChildJvm.startMain(DyingRun.class, dir, List.of("-XX:TieredStopAtLevel=1"), arguments);
  }

  /** From a drawn number of written bytes on, the disk is full. */
  private void fullDisks(int count, long seed) throws IOException {
    Random random = new Random(seed);
    Path run = dir.resolve("full");
    for (int i = 0; i < count; i++) {
      FullAfter disk = new FullAfter(random.nextLong(5 * checkpointBytes / 2));
      CommandLineTest.Result r =
          ScopedValue.where(FileCalls.SCOPE, disk).call(() -> Tiny.train(dir, run, flags));
      assertThat(r.exit()).as(r.err()).isIn(1, 2);
      assertThat(r.err()).contains("No space left");
      assertThat(assertWhole(run, r.err())).as("no part stays behind: " + r.err()).isFalse();
    }
    assertEnd(run, "seed " + seed);
  }

  private static final class FullAfter implements FileCalls {
    private long left;

    FullAfter(long bytes) {
      left = bytes;
    }

    @Override
    public synchronized int write(WritableByteChannel channel, ByteBuffer bytes)
        throws IOException {
      int count = (int) Math.min(left, bytes.remaining());
      SYSTEM.write(channel, bytes.slice().limit(count));
      left -= count;
      if (count < bytes.remaining()) {
        throw new FileSystemException("file", null, "No space left on device");
      }
      bytes.position(bytes.limit());
      return count;
    }
  }

  /** The newest checkpoint loses the end of a drawn file. */
  private void cutFiles(int count, long seed) throws IOException {
    Random random = new Random(seed);
    Path run = dir.resolve("cut");
    for (int i = 1; i <= count; i++) {
      String until = "--max-steps=" + steps * i / (count + 1) / 2 * 2;
      ResumeTest.assertSuccess(Tiny.train(dir, run, with(until)));
      Path newest = new Checkpoints(run, 0).newest().orElseThrow().directory();
      List<Path> files;
      try (Stream<Path> all = Files.list(newest)) {
        files = all.filter(f -> f.toFile().length() > 0).sorted().toList();
      }
      Path file = files.get(random.nextInt(files.size()));
      try (FileChannel channel = FileChannel.open(file, StandardOpenOption.WRITE)) {
        channel.truncate(random.nextLong(channel.size()));
      }
      CommandLineTest.Result r = Tiny.train(dir, run, with(until));
      ResumeTest.assertSuccess(r);
      assertThat(r.err()).contains("skipped " + newest);
      assertThat(Checkpoint.open(newest).step()).as("written again").isPositive();
    }
    assertEnd(run, "seed " + seed);
  }

  private String[] with(String flag) {
    return Stream.concat(Stream.of(flags), Stream.of(flag)).toArray(String[]::new);
  }

  private static long newest(Path run) {
    return new Checkpoints(run, 0).newest().map(Checkpoint::step).orElse(0L);
  }

  /** What has the name of a checkpoint is whole; whether there is a part of another. */
  private static boolean assertWhole(Path run, String moment) throws IOException {
    boolean partial = false;
    try (Stream<Path> children = Files.list(run)) {
      for (Path child : children.toList()) {
        String name = child.getFileName().toString();
        partial |= name.startsWith(".checkpoint-");
        if (name.startsWith("checkpoint-")) {
          assertThat(Checkpoint.open(child).step()).as(moment).isPositive();
        }
      }
    }
    return partial;
  }

  private void assertEnd(Path run, String what) throws IOException {
    ResumeTest.assertSuccess(Tiny.train(dir, run, flags));
    assertThat(Tiny.numbers(run.resolve("checkpoint-" + steps))).as(what).isEqualTo(unbroken);
    assertThat(losses(run)).as(what).isEqualTo(losses);
  }

  private static List<Double> losses(Path run) throws IOException {
    return MetricsFile.read(run.resolve("metrics.jsonl")).stream().map(StepMetrics::loss).toList();
  }
}
