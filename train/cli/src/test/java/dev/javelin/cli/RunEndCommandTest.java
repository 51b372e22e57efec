package dev.javelin.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.javelin.train.checkpoint.TrainingState;
import dev.javelin.train.monitor.MetricsFile;
import dev.javelin.train.monitor.StepMetrics;
import dev.javelin.train.schedule.Schedule;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What ends a run before its last step, on the command line. */
class RunEndCommandTest {
  private static final String[] BATCH = {"--seq-len=16", "--batch-size=4"}; // 64 targets a step

  @TempDir Path dir;

  @Test
  void tokensEndTheRunAndItsSchedule() throws IOException {
    String[] flags = {"--max-tokens=500", "--learning-rate=0.01", "--warmup-steps=2"};
    CommandLineTest.Result r = train("run", with(flags, "--quiet=false"));
    assertThat(r.exit()).as(r.err()).isZero();
    assertThat(r.out()).contains("step 8: ended here: 512 tokens are seen (--max-tokens 500)");
    Path run = dir.resolve("run");
    Schedule schedule = new Schedule.Cosine(0.01, 0.001, 2, 8);
    List<StepMetrics> steps = metrics(run);
    assertThat(steps).hasSize(8);
    for (int s = 0; s < 8; s++) {
      assertThat(steps.get(s).lr()).isCloseTo(schedule.at(s), within(1e-12));
    }
    assertThat(TrainingState.read(run.resolve("last")).step()).isEqualTo(8);
    // The same again is over; more tokens go on.
    assertThat(train("run", with(flags, "--resume")).exit()).isZero();
    assertThat(metrics(run)).hasSize(8);
    assertThat(train("run", with(flags, "--resume", "--max-tokens=577")).exit()).isZero();
    assertThat(metrics(run)).hasSize(10);
  }

  @Test
  void timeEndsTheRunHoweverOftenItIsResumed() throws IOException {
    String[] endless = {"--max-steps=100000000", "--logging-steps=1000000", "--val-fraction=0"};
    Path run = run("run", with(endless, "--max-time=1s"));
    TrainingState ended = TrainingState.read(run.resolve("last"));
    assertThat(ended.step()).isBetween(1L, 99_999_999L);
    assertThat(ended.parts().get("max_time"))
        .hasEntrySatisfying("seconds", s -> assertThat(s[0]).isGreaterThanOrEqualTo(1));
    assertThat(Files.readString(run.resolve("train.log")))
        .contains("step " + ended.step() + ": ended here: the run has taken its 1s (--max-time)");
    run("run", with(endless, "--max-time=1s", "--resume"));
    assertThat(TrainingState.read(run.resolve("last")).step()).isEqualTo(ended.step());
    run("run", "--max-steps=" + (ended.step() + 2), "--max-time=1h", "--resume");
    assertThat(TrainingState.read(run.resolve("last")).step()).isEqualTo(ended.step() + 2);
  }

  @Test
  void aTargetOfTheValidationLossEndsTheRun() throws IOException {
    String[] flags = {
      "--max-steps=400", "--learning-rate=0.01", "--eval-every=5", "--target-loss=3"
    };
    Path run = run("run", with(flags, "--val-fraction=0.2"));
    List<Double> losses =
        metrics(run).stream().map(StepMetrics::evalLoss).filter(Objects::nonNull).toList();
    assertThat(losses.getLast()).isLessThanOrEqualTo(3);
    assertThat(losses.subList(0, losses.size() - 1)).hasSizeGreaterThan(1).allMatch(l -> l > 3);
    assertThat(TrainingState.read(run.resolve("last")).step()).isEqualTo(5L * losses.size());
    assertThat(TrainingState.read(run.resolve("best")).step()).isEqualTo(5L * losses.size());
  }

  /** In two parts: the mean goes over the gap. */
  @Test
  void aTargetOfTheTrainingLossIsThatOfTheLastTen() throws IOException {
    String[] flags = {"--learning-rate=0.01", "--lr-scheduler=constant", "--warmup-steps=0"};
    String[] aimed = with(flags, "--target-loss=3.5", "--val-fraction=0");
    Path run = run("run", with(aimed, "--max-steps=400"));
    List<StepMetrics> all = metrics(run);
    assertThat(mean(all, all.size())).isLessThanOrEqualTo(3.5);
    for (int n = 10; n < all.size(); n++) {
      assertThat(mean(all, n)).as("%d steps", n).isGreaterThan(3.5);
    }
    int gap = all.size() - 4;
    run("parts", with(aimed, "--max-steps=" + gap));
    Path parts = run("parts", with(aimed, "--max-steps=400", "--resume"));
    assertThat(TrainingState.read(parts.resolve("last")).step()).isEqualTo(all.size());
  }

  private static double mean(List<StepMetrics> all, int end) {
    return all.subList(end - 10, end).stream().mapToDouble(StepMetrics::loss).average().orElse(0);
  }

  @Test
  void aRunThatDoesNotImproveStopsEarly() throws IOException {
    String[] flags = {
      "--learning-rate=0", "--eval-every=2", "--val-fraction=0.2", "--early-stopping-patience=3"
    };
    Path whole = run("whole", with(flags, "--max-steps=40"));
    assertThat(TrainingState.read(whole.resolve("last")).step()).isEqualTo(8);
    assertThat(Files.readString(whole.resolve("train.log")))
        .containsPattern(
            "step 8: ended here: the validation loss .* 3 evaluations: best .* step 2 ");
    run("parts", with(flags, "--max-steps=6"));
    Path parts = run("parts", with(flags, "--max-steps=40", "--resume"));
    assertThat(TrainingState.read(parts.resolve("last")).step()).isEqualTo(8);
    Path small =
        run(
            "small",
            with(
                flags, "--max-steps=40", "--learning-rate=0.01", "--early-stopping-min-delta=100"));
    assertThat(TrainingState.read(small.resolve("last")).step()).isEqualTo(8);
    Path better = run("better", with(flags, "--max-steps=12", "--learning-rate=0.01"));
    assertThat(TrainingState.read(better.resolve("last")).step()).isEqualTo(12);
  }

  @Test
  void aPlateauLowersTheRateAlsoOverAGap() throws IOException {
    String[] flags = {
      "--lr-scheduler=plateau",
      "--learning-rate=0.01",
      "--warmup-steps=0",
      "--plateau-factor=0.5",
      "--plateau-patience=0",
      "--plateau-threshold=0.9", // no loss is a tenth of the one before
      "--eval-every=2",
      "--val-fraction=0.2"
    };
    Path whole = run("whole", with(flags, "--max-steps=12"));
    assertThat(metrics(whole))
        .extracting(StepMetrics::lr)
        .containsExactly(
            0.01, 0.01, 0.01, 0.01, 0.005, 0.005, 0.0025, 0.0025, 0.00125, 0.00125, 0.000625,
            0.000625);
    run("parts", with(flags, "--max-steps=6"));
    Path parts = run("parts", with(flags, "--max-steps=12", "--resume"));
    assertThat(Tiny.numbers(parts.resolve("last"))).isEqualTo(Tiny.numbers(whole.resolve("last")));
  }

  @Test
  void whatLooksAtTheValidationLossNeedsOne() {
    for (String flag : List.of("--early-stopping-patience=3", "--lr-scheduler=plateau")) {
      for (String none : List.of("--val-fraction=0", "--eval-every=0")) {
        CommandLineTest.Result r = train("run", flag, none, "--max-steps=3");
        assertThat(r.exit()).isEqualTo(2);
        assertThat(r.err()).contains("looks at the validation loss", "--val-fraction");
      }
    }
  }

  private static final String[] PLAIN = {
    "--lr-scheduler=constant",
    "--learning-rate=0.01",
    "--warmup-steps=0",
    "--batch-size=2",
    "--dropout=0.1",
    "--val-fraction=0"
  };

  /** Steps of 1, 1, 1, 2, 2, 2, 3, 3 micro-batches, as one run, two, and three that are told so. */
  @Test
  void aRampIsARunWhoseBatchIsChangedOnTheWay() throws IOException {
    for (String device : List.of("cpu", "emulator")) {
      String[] flags = with(PLAIN, "--device=" + device);
      String[] ramp = with(flags, "--gradient-accumulation-steps=3", "--batch-ramp=1:1:6");
      Path whole = run("whole-" + device, with(ramp, "--max-steps=8"));
      String parts = "parts-" + device;
      run(parts, with(ramp, "--max-steps=4"));
      run(parts, with(ramp, "--max-steps=8", "--resume"));
      String told = "told-" + device;
      run(told, with(flags, "--max-steps=3"));
      run(told, with(flags, "--max-steps=6", "--resume", "--gradient-accumulation-steps=2"));
      run(told, with(flags, "--max-steps=8", "--resume", "--gradient-accumulation-steps=3"));
      for (String other : List.of(parts, told)) {
        Path last = dir.resolve(other).resolve("last");
        assertThat(Tiny.numbers(last)).isEqualTo(Tiny.numbers(whole.resolve("last")));
        assertThat(TrainingState.read(last).sequences()).isEqualTo(2 * (3 + 6 + 6));
      }
      assertThat(metrics(whole))
          .extracting(m -> m.more().get("micro_batches"))
          .containsExactly(1.0, 1.0, 1.0, 2.0, 2.0, 2.0, 3.0, 3.0);
      assertThat(metrics(whole))
          .extracting(StepMetrics::tokens)
          .containsExactly(32L, 64L, 96L, 160L, 224L, 288L, 384L, 480L);
    }
  }

  private Path run(String name, String... flags) {
    CommandLineTest.Result r = train(name, flags);
    assertThat(r.exit()).as(r.err()).isZero();
    return dir.resolve(name);
  }

  private CommandLineTest.Result train(String name, String... flags) {
    return Tiny.bare(dir, dir.resolve(name), with(BATCH, flags));
  }

  private static String[] with(String[] flags, String... more) {
    List<String> all = new ArrayList<>(List.of(flags));
    all.addAll(List.of(more));
    return all.toArray(new String[0]);
  }

  private static List<StepMetrics> metrics(Path run) throws IOException {
    return MetricsFile.read(run.resolve("metrics.jsonl"));
  }
}
