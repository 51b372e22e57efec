package dev.javelin.train.report;

import static org.assertj.core.api.Assertions.assertThat;

import dev.javelin.tensor.io.FileCalls;
import dev.javelin.train.Run;
import dev.javelin.train.Trainer;
import dev.javelin.train.monitor.StepMetrics;
import dev.javelin.train.monitor.Watcher;
import dev.javelin.train.settings.RunSettings;
import java.io.IOException;
import java.nio.channels.WritableByteChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ReportFileTest {
  private static final int STEPS = 6;

  @TempDir Path dir;

  private RunSettings settings() throws IOException {
    Path text = Files.writeString(dir.resolve("t.txt"), "abcdefg\n".repeat(400));
    return RunSettings.DEFAULT
        .withModel(m -> m.withTokenizer("byte"))
        .withData(d -> d.withData(List.of(text)))
        .withBatch(b -> b.withSeqLen(16).withBatchSize(2))
        .withDevice(d -> d.withDevice("cpu").withThreads(1))
        .withRun(
            r ->
                r.withMaxSteps(STEPS)
                    .withEvalEvery(3)
                    .withSaveEvery(4)
                    .withLoggingSteps(1)
                    .withOutputDir(dir.resolve("run")));
  }

  private Path report() {
    return dir.resolve("run").resolve(ReportFile.NAME);
  }

  @Test
  void aRunIsShownWhileItGoesOnAndWhenItHasEnded() throws IOException {
    List<String> seen = new ArrayList<>();
    Watcher reader =
        new Watcher() {
          @Override
          public void advanced(long step) {
            if (step == 2) {
              seen.add(read(report()));
            }
          }
        };
    try (Run run = Run.open(settings())) {
      run.trainer().watch(reader);
      run.trainer().run();
    }
    assertThat(seen).singleElement().asString().contains("\"state\":\"running\",\"step\":1");
    String end = read(report());
    assertThat(end).contains("\"state\":\"finished\",\"step\":6,\"steps\":6", "\"refresh\":0");
    assertThat(end).contains("\"eval_loss\":{\"s\":[3,1,2]"); // a checkpoint evaluates, too
    assertThat(end).contains("[4,\"checkpoint\",\"checkpoint-4\"]", "[\"seq_len\",\"16\",false]");
  }

  @Test
  void aRunThatIsStoppedAndGoesOnIsOnePage() throws IOException {
    try (Run run = Run.open(settings())) {
      Trainer trainer = run.trainer();
      trainer.watch(
          new Watcher() {
            @Override
            public void logged(StepMetrics metrics) {
              if (metrics.step() == 2) {
                trainer.requestStop();
              }
            }
          });
      trainer.run();
    }
    assertThat(read(report())).contains("\"state\":\"stopped\",\"step\":2,\"steps\":6");
    try (Run run = Run.open(settings().withRun(r -> r.withResume("auto")))) {
      run.trainer().run();
    }
    assertThat(read(report()))
        .contains("\"loss\":{\"s\":[1,1,1,1,1,1]", "[2,\"resume\",\"going on\"]");
  }

  @Test
  void withoutAReportThereIsNone() throws IOException {
    try (Run run = Run.open(settings().withMonitor(m -> m.withReport(false)))) {
      run.trainer().run();
    }
    assertThat(report()).doesNotExist();
    assertThat(dir.resolve("run/metrics.jsonl")).exists();
  }

  @Test
  void aReportThatCannotBeWrittenEndsNoRun() throws IOException {
    FileCalls calls =
        new FileCalls() {
          @Override
          public WritableByteChannel create(Path file) throws IOException {
            if (file.getFileName().toString().startsWith(ReportFile.NAME)) {
              throw new IOException("No space left on device");
            }
            return FileCalls.super.create(file);
          }
        };
    try (Run run = Run.open(settings())) {
      Trainer.Outcome outcome =
          ScopedValue.where(FileCalls.SCOPE, calls).call(() -> run.trainer().run());
      assertThat(outcome.step()).isEqualTo(STEPS);
    }
    assertThat(read(dir.resolve("run/train.log")))
        .containsOnlyOnce("report.html cannot be written, the run goes on without: ");
    assertThat(dir.resolve("run/last/model.safetensors")).exists();
  }

  @Test
  void itIsWrittenSeldomEnough() throws IOException {
    List<Long> written = new ArrayList<>();
    AtomicLong clock = new AtomicLong(Long.MAX_VALUE - 5_000_000_000L); // runs over
    long began = clock.get();
    FileCalls calls =
        new FileCalls() {
          @Override
          public void rename(Path from, Path to) throws IOException {
            FileCalls.super.rename(from, to);
            written.add(clock.get() - began);
            clock.addAndGet(50_000_000); // what a slow disk takes
          }
        };
    ReportFile file = new ReportFile(dir, 0, 1000, line -> {}, clock::get);
    ScopedValue.where(FileCalls.SCOPE, calls)
        .run(
            () -> {
              for (int s = 1; s <= 400; s++) {
                clock.addAndGet(100_000_000);
                file.logged(new StepMetrics(s, 1, 1, 1, s, 1, 1, 1, 0, 0, null));
              }
            });
    assertThat(written).hasSize(4); // in forty seconds, at a two-hundredth of the time
    for (int i = 1; i < written.size(); i++) {
      assertThat(written.get(i) - written.get(i - 1)).isGreaterThanOrEqualTo(200 * 50_000_000L);
    }
  }

  private static String read(Path file) {
    try {
      return Files.readString(file);
    } catch (IOException e) {
      throw new java.io.UncheckedIOException(e);
    }
  }
}
