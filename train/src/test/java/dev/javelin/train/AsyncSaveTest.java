package dev.javelin.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.catchThrowable;

import dev.javelin.device.Cpu;
import dev.javelin.nn.Precision;
import dev.javelin.tensor.io.FileCalls;
import dev.javelin.tensor.io.LaterCalls;
import dev.javelin.train.checkpoint.Checkpoint;
import dev.javelin.train.checkpoint.Checkpoints;
import dev.javelin.train.checkpoint.SaveException;
import dev.javelin.train.data.BatchSource;
import dev.javelin.train.data.Order;
import dev.javelin.train.data.TokenSource;
import dev.javelin.train.data.Windows;
import dev.javelin.train.monitor.Watcher;
import dev.javelin.train.objective.NextToken;
import dev.javelin.train.run.RunDirectory;
import dev.javelin.train.schedule.Schedule;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.channels.WritableByteChannel;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.function.UnaryOperator;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Checkpoints that are written while the run goes on. */
class AsyncSaveTest {
  private static final int STEPS = 10;

  @TempDir Path dir;
  private final List<String> told = Collections.synchronizedList(new ArrayList<>());

  /** Waits in the first sync of a file of a checkpoint, which is half way through its write. */
  private class Held implements FileCalls {
    final CountDownLatch reached = new CountDownLatch(1);
    final CountDownLatch released = new CountDownLatch(1);

    @Override
    public void sync(WritableByteChannel file) throws IOException {
      if (Thread.currentThread().getName().equals("javelin-save")) {
        reached.countDown();
        try {
          if (!released.await(60, TimeUnit.SECONDS)) {
            throw new FileSystemException("the run did not go on");
          }
        } catch (InterruptedException e) {
          throw new AssertionError(e);
        }
      }
      SYSTEM.sync(file);
    }

    @Override
    public void createDirectory(Path directory) throws IOException {
      told.add("begin " + directory.getFileName());
      SYSTEM.createDirectory(directory);
    }
  }

  private Trainer.Outcome train(
      String name, FileCalls calls, UnaryOperator<Training> parts, Watcher watcher)
      throws IOException {
    return train(name, Precision.FP32, calls, parts, watcher);
  }

  private Trainer.Outcome train(
      String name,
      Precision precision,
      FileCalls calls,
      UnaryOperator<Training> parts,
      Watcher watcher)
      throws IOException {
    Windows rows =
        new Windows(
            TokenSource.of("pattern", TinyModels.ids(500)), TinyModels.SEQ_LEN, TinyModels.VOCAB);
    try (Cpu cpu = Cpu.open(1);
        LanguageModel model = TinyModels.model(cpu, TinyModels.gpt2(), precision);
        RunDirectory directory = RunDirectory.claim(dir.resolve(name))) {
      Training training =
          Training.of(
                  model.parameters(),
                  new NextToken(model.transformer()),
                  BatchSource.endless(rows, Order.shuffled(1)))
              .batch(4)
              .schedule(new Schedule.Constant(1e-2, 0))
              .validation(BatchSource.once(rows), 2)
              .evalEvery(2)
              .logEvery(1)
              .saveEvery(2)
              .steps(STEPS)
              .model("tiny", to -> model.save(to, 4000)); // in shards
      try (Trainer trainer = parts.apply(training).trainer().into(directory).watch(watcher)) {
        return ScopedValue.where(FileCalls.SCOPE, calls).call(trainer::run);
      }
    }
  }

  private static Watcher after(long step, Runnable call) {
    return new Watcher() {
      @Override
      public void advanced(long now) {
        if (now == step) {
          call.run();
        }
      }
    };
  }

  private static Map<String, List<Byte>> files(Path run) throws IOException {
    Map<String, List<Byte>> files = new TreeMap<>();
    try (Stream<Path> paths = Files.walk(run)) {
      for (Path file :
          paths
              .filter(p -> Files.isRegularFile(p) && p.toString().contains("checkpoint-"))
              .toList()) {
        List<Byte> bytes = new ArrayList<>();
        for (byte b : Files.readAllBytes(file)) {
          bytes.add(b);
        }
        files.put(run.relativize(file).toString(), bytes);
      }
    }
    return files;
  }

  @ParameterizedTest
  @ValueSource(strings = {"fp32", "bf16"})
  void filesAreThoseOfARunThatWaits(String precision) throws IOException {
    Precision p = Precision.named(precision);
    train("waits", p, FileCalls.SYSTEM, t -> t.asyncSave(false), new Watcher() {});
    train("goes-on", p, FileCalls.SYSTEM, t -> t, new Watcher() {});
    Map<String, List<Byte>> waits = files(dir.resolve("waits"));
    assertThat(waits).hasSizeGreaterThan(STEPS / 2 * 8);
    assertThat(files(dir.resolve("goes-on"))).isEqualTo(waits);
  }

  @Test
  void stepsGoOnWhileTheDiskIsSlowAndTheCheckpointIsThatOfItsStep() throws IOException {
    train("waits", FileCalls.SYSTEM, t -> t.asyncSave(false), new Watcher() {});
    Held calls = new Held();
    long[] savedAt = new long[2];
    Watcher watcher =
        new Watcher() {
          @Override
          public void advanced(long step) {
            savedAt[0] = step;
            if (step == 7) {
              calls.released.countDown();
            }
          }

          @Override
          public void saved(Checkpoint checkpoint) {
            assertThat(Thread.currentThread().getName()).isNotEqualTo("javelin-save");
            savedAt[1] = savedAt[1] == 0 ? savedAt[0] : savedAt[1];
          }
        };
    train("goes-on", calls, t -> t.saveEvery(4), watcher);
    assertThat(savedAt[1]).as("said when it is on the disk").isGreaterThanOrEqualTo(7);
    Map<String, List<Byte>> waits = files(dir.resolve("waits"));
    Map<String, List<Byte>> goesOn = files(dir.resolve("goes-on"));
    String weights = "checkpoint-4/optimizer.safetensors";
    assertThat(goesOn.get(weights)).isEqualTo(waits.get(weights));
  }

  @Test
  void theNextSaveWaitsForTheOneBefore() throws IOException {
    Held calls =
        new Held() {
          @Override
          public void rename(Path from, Path to) throws IOException {
            SYSTEM.rename(from, to);
            if (to.getFileName().toString().startsWith("checkpoint-")) {
              told.add("end ." + to.getFileName() + ".partial");
            }
          }
        };
    train("run", calls, t -> t, after(3, calls.released::countDown));
    assertThat(told)
        .containsExactly(
            "begin .checkpoint-2.partial",
            "end .checkpoint-2.partial",
            "begin .checkpoint-4.partial",
            "end .checkpoint-4.partial",
            "begin .checkpoint-6.partial",
            "end .checkpoint-6.partial",
            "begin .checkpoint-8.partial",
            "end .checkpoint-8.partial",
            "begin .checkpoint-10.partial",
            "end .checkpoint-10.partial");
  }

  @Test
  void aFullDiskEndsTheRunAsItDoesWhereTheRunWaits() throws IOException {
    List<String> messages = new ArrayList<>();
    for (boolean async : new boolean[] {false, true}) {
      String name = async ? "goes-on" : "waits";
      long[] last = new long[1];
      Watcher watcher =
          new Watcher() {
            @Override
            public void advanced(long step) {
              last[0] = step;
            }
          };
      Throwable thrown =
          catchThrowable(() -> train(name, new FullAt(4), t -> t.asyncSave(async), watcher));
      assertThat(thrown).isInstanceOf(SaveException.class);
      messages.add(
          String.valueOf(thrown.getMessage()).replace(dir.resolve(name).toString(), "RUN"));
      Checkpoints left = new Checkpoints(dir.resolve(name), 0);
      assertThat(left.newest().orElseThrow().step()).isEqualTo(2);
      assertThat(dir.resolve(name).resolve(".checkpoint-4.partial")).doesNotExist();
      assertThat(last[0]).as("the next save at the latest").isLessThanOrEqualTo(6);
    }
    assertThat(messages.get(1)).isEqualTo(messages.get(0)).contains("No space left", "--resume");
  }

  /** The disk has no room for the optimizer's state of that step. */
  private record FullAt(long step) implements FileCalls {
    @Override
    public WritableByteChannel create(Path file) throws IOException {
      if (file.endsWith(".checkpoint-" + step + ".partial/optimizer.safetensors.partial")) {
        throw new FileSystemException(file.toString(), null, "No space left on device");
      }
      return SYSTEM.create(file);
    }
  }

  @Test
  void aStopWaitsForTheDiskAndSavesWhereItStands() throws Exception {
    Held calls = new Held();
    Trainer[] running = new Trainer[1];
    Watcher stop =
        after(
            3,
            () -> {
              running[0].requestStop();
              new Thread(calls.released::countDown).start();
            });
    try (Cpu cpu = Cpu.open(1);
        LanguageModel model = TinyModels.model(cpu, TinyModels.llama(), Precision.FP32);
        RunDirectory directory = RunDirectory.claim(dir.resolve("run"));
        Trainer trainer =
            TextTraining.of(model, TinyModels.data(500), TinyModels.settings(STEPS))
                .saveEvery(2)
                .trainer()
                .into(directory)
                .watch(stop)) {
      running[0] = trainer;
      Trainer.Outcome outcome = ScopedValue.where(FileCalls.SCOPE, calls).call(trainer::run);
      assertThat(outcome.interrupted()).isTrue();
      for (long step : new long[] {2, 3}) {
        assertThat(Checkpoint.open(directory.path().resolve("checkpoint-" + step)).step())
            .isEqualTo(step);
      }
    }
  }

  @Test
  void whereThereIsNoMemoryForACopyTheRunWaits() throws IOException {
    UnaryOperator<Training> short_ =
        t ->
            t.model(
                "tiny",
                to -> {
                  if (FileCalls.current() instanceof LaterCalls) {
                    throw new OutOfMemoryError("no memory for a copy");
                  }
                  Files.writeString(to.resolve("model"), "weights");
                });
    List<String> notes = new ArrayList<>();
    train(
        "run",
        FileCalls.SYSTEM,
        short_,
        new Watcher() {
          @Override
          public void note(String line) {
            notes.add(line);
          }
        });
    assertThat(notes).contains("no memory to hold a checkpoint: the run waits while it is written");
    assertThat(dir.resolve("run/checkpoint-4/model")).hasContent("weights");
  }

  @Test
  void whatIsWrittenPastTheCallsIsThereToo() throws IOException {
    train(
        "run",
        FileCalls.SYSTEM,
        t -> t.model("tiny", to -> Files.writeString(to.resolve("model"), "weights")),
        new Watcher() {});
    assertThat(Checkpoint.open(dir.resolve("run/checkpoint-4")).directory().resolve("model"))
        .hasContent("weights");
  }

  @Test
  void checkpointsToKeepAreSavedBetweenOthers() throws IOException {
    train("run", FileCalls.SYSTEM, t -> t.saveEvery(0).keepEvery(3), new Watcher() {});
    for (int step : new int[] {3, 6, 9, 10}) {
      assertThat(dir.resolve("run/checkpoint-" + step)).isDirectory();
    }
    assertThat(dir.resolve("run/checkpoint-2")).doesNotExist();
  }

  @Test
  void aWatcherThatFailsDoesNotLoseTheCheckpointOnItsWay() throws IOException {
    Held calls = new Held();
    Watcher failing =
        after(
            3,
            () -> {
              calls.released.countDown();
              throw new UncheckedIOException("mail server is down", new IOException());
            });
    assertThatThrownBy(() -> train("run", calls, t -> t, failing))
        .hasMessage("mail server is down");
    Checkpoints left = new Checkpoints(dir.resolve("run"), 0);
    assertThat(left.newest().orElseThrow().step()).isEqualTo(3);
    assertThat(Checkpoint.open(dir.resolve("run/checkpoint-2")).step()).isEqualTo(2);
  }
}
