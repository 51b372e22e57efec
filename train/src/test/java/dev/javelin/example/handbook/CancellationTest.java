package dev.javelin.example.handbook;

import static java.util.Objects.requireNonNull;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.javelin.example.handbook.Cancellation.Deadline;
import dev.javelin.train.Trainer;
import dev.javelin.train.checkpoint.Checkpoint;
import dev.javelin.train.monitor.Watcher;
import java.io.BufferedReader;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.util.List;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.DisabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;

/** The handbook's ways to end a training: what is saved has the bits of a run left alone. */
class CancellationTest {
  private static final long STEPS = 7;

  @TempDir Path dir;

  private static void nobody(Trainer stops) {}

  private Checkpoint leftAlone(long steps) throws IOException {
    Path path = dir.resolve("alone-" + steps);
    Cancellation.train(path, steps, Deadline.NONE, CancellationTest::nobody);
    return Checkpoint.open(path.resolve("last"));
  }

  private static void assertSameBits(Checkpoint is, Checkpoint should) throws IOException {
    assertThat(is.step()).isEqualTo(should.step());
    for (String file : List.of("model.safetensors", "optimizer.safetensors")) {
      assertThat(Files.mismatch(is.directory().resolve(file), should.directory().resolve(file)))
          .as(file)
          .isEqualTo(-1);
    }
  }

  /** Holds a run after a step until another thread has asked it to end. */
  private static final class Meeting implements Watcher {
    final AtomicReference<Trainer> trainer = new AtomicReference<>();
    final CountDownLatch there = new CountDownLatch(1);
    final CountDownLatch asked = new CountDownLatch(1);
    private final long at;

    Meeting(long at) {
      this.at = at;
    }

    void arrange(Trainer t) {
      trainer.set(t.watch(this));
    }

    @Override
    public void advanced(long step) {
      if (step == at) {
        there.countDown();
        try {
          asked.await();
        } catch (InterruptedException e) {
          Thread.currentThread().interrupt();
        }
      }
    }
  }

  @Test
  void aRunThatAnotherThreadStopsGoesOnBitForBit() throws Exception {
    Path path = dir.resolve("run");
    Meeting meeting = new Meeting(3);
    try (ExecutorService threads = Executors.newSingleThreadExecutor()) {
      Future<Trainer.Outcome> run =
          threads.submit(() -> Cancellation.train(path, STEPS, Deadline.NONE, meeting::arrange));
      meeting.there.await();
      requireNonNull(meeting.trainer.get()).requestStop();
      meeting.asked.countDown();
      assertThat(run.get().interrupted()).isTrue();
      assertThat(run.get().step()).isEqualTo(3);
    }
    assertSameBits(Checkpoint.open(path.resolve("last")), leftAlone(3));
    assertThat(Cancellation.train(path, STEPS, Deadline.NONE, CancellationTest::nobody).step())
        .isEqualTo(STEPS);
    assertSameBits(Checkpoint.open(path.resolve("last")), leftAlone(STEPS));
  }

  @Test
  void aCancelledFutureForgetsTheOutcomeAndTheTrainingIsSaved() throws Exception {
    Path path = dir.resolve("run");
    Meeting meeting = new Meeting(3);
    AtomicReference<Throwable> failure = new AtomicReference<>(); // the future would hide it
    Future<Trainer.Outcome> run;
    try (ExecutorService threads = Executors.newSingleThreadExecutor()) {
      run =
          threads.submit(
              () -> {
                try {
                  return Cancellation.train(path, STEPS, Deadline.NONE, meeting::arrange);
                } catch (IOException | RuntimeException | Error e) {
                  failure.set(e);
                  throw e;
                }
              });
      meeting.there.await();
      assertThat(run.cancel(true)).isTrue();
    } // waits for the thread, and so for the checkpoint
    assertThat(failure.get()).isNull();
    assertThatThrownBy(run::get).isInstanceOf(CancellationException.class);
    assertSameBits(Checkpoint.open(path.resolve("last")), leftAlone(3));
  }

  @Test
  void aDeadlineEndsTheRunAndAlsoTheOneAfterIt() throws IOException {
    AtomicLong second = new AtomicLong();
    Deadline deadline =
        new Deadline(
            () -> Instant.ofEpochSecond(second.incrementAndGet()), Instant.ofEpochSecond(4));
    Path path = dir.resolve("run");
    Trainer.Outcome outcome = Cancellation.train(path, STEPS, deadline, CancellationTest::nobody);
    assertThat(outcome.step()).isEqualTo(4);
    assertThat(outcome.interrupted()).isFalse();
    assertThat(outcome.ended()).isEqualTo("it is 1970-01-01T00:00:04Z");
    assertThat(Cancellation.train(path, STEPS, deadline, CancellationTest::nobody).step())
        .isEqualTo(4);
    assertThat(Cancellation.train(path, STEPS, Deadline.NONE, CancellationTest::nobody).step())
        .isEqualTo(STEPS);
    assertSameBits(Checkpoint.open(path.resolve("last")), leftAlone(STEPS));
  }

  /** A process that is asked to end waits for the step and its checkpoint. */
  @Test
  @DisabledOnOs(value = OS.WINDOWS, disabledReason = "there a process is ended without a request")
  void aProcessThatIsAskedToEndSavesFirst() throws Exception {
    Path path = dir.resolve("run");
    Process child =
        new ProcessBuilder(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "--add-modules",
                "jdk.incubator.vector",
                "--enable-native-access=ALL-UNNAMED",
                "-XX:TieredStopAtLevel=1",
                "-XX:+UseSerialGC",
                "-cp",
                System.getProperty("java.class.path"),
                Cancellation.class.getName(),
                path.toString(),
                "1000000")
            .redirectError(ProcessBuilder.Redirect.INHERIT)
            .start();
    try (BufferedReader said = child.inputReader()) {
      assertThat(said.readLine()).startsWith("step 1/1000000 | loss ");
      child.toHandle().destroy(); // and leave its output open
      List<String> rest = said.lines().toList();
      assertThat(child.waitFor(1, TimeUnit.MINUTES)).isTrue();
      assertThat(child.exitValue()).isEqualTo(128 + 15);
      Checkpoint saved = Checkpoint.open(path.resolve("last"));
      assertThat(saved.step()).isGreaterThan(0);
      assertThat(rest).anyMatch(line -> line.startsWith("saved "));
      assertSameBits(saved, leftAlone(saved.step()));
    } finally {
      child.destroyForcibly();
    }
  }
}
