package dev.javelin.train;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.javelin.autograd.Tape;
import dev.javelin.autograd.Var;
import dev.javelin.device.Cpu;
import dev.javelin.nn.Precision;
import dev.javelin.nn.Weights;
import dev.javelin.tensor.step.StepState;
import dev.javelin.train.checkpoint.Checkpoint;
import dev.javelin.train.checkpoint.Keep;
import dev.javelin.train.data.Batch;
import dev.javelin.train.data.BatchLayout;
import dev.javelin.train.data.BatchSource;
import dev.javelin.train.data.Fields;
import dev.javelin.train.data.InputException;
import dev.javelin.train.data.Order;
import dev.javelin.train.data.TokenSource;
import dev.javelin.train.data.Windows;
import dev.javelin.train.monitor.Watcher;
import dev.javelin.train.objective.NextToken;
import dev.javelin.train.objective.Objective;
import dev.javelin.train.run.RunDirectory;
import dev.javelin.train.schedule.Schedule;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicBoolean;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** How runs end: stopped, interrupted, closed, by an exception, diverged; and how they go on. */
class TrainerEndTest {
  private static final int BATCH = 4;

  @TempDir Path dir;
  private final Cpu cpu = Cpu.open(1);
  private final List<String> notes = new ArrayList<>();
  private LanguageModel model;
  private RunDirectory run;

  @BeforeEach
  void open() {
    model = model();
    run = RunDirectory.claim(dir.resolve("run"));
  }

  @AfterEach
  void close() {
    Thread.interrupted();
    run.close();
    model.close();
    cpu.close();
  }

  private LanguageModel model() {
    return TinyModels.model(cpu, TinyModels.llama(), Precision.FP32);
  }

  private static Windows windows() {
    return new Windows(
        TokenSource.of("pattern", TinyModels.ids(500)), TinyModels.SEQ_LEN, TinyModels.VOCAB);
  }

  private static BatchSource rows() {
    return BatchSource.endless(windows(), Order.sequential());
  }

  private static Training training(
      LanguageModel model, int steps, BatchSource source, Objective objective) {
    return Training.of(model.parameters(), objective, source)
        .batch(BATCH)
        .schedule(new Schedule.Constant(1e-2, 0))
        .logEvery(1)
        .steps(steps);
  }

  private Training training(int steps) {
    return training(model, steps, rows(), new NextToken(model.transformer()));
  }

  private Trainer noted(Training training) {
    return training
        .trainer()
        .into(run)
        .watch(
            new Watcher() {
              @Override
              public void note(String line) {
                notes.add(line);
              }
            });
  }

  private static float[] weights(LanguageModel model) {
    return model.parameters().weights().segment().toArray(JAVA_FLOAT);
  }

  private float[] uninterrupted(int steps) throws IOException {
    try (LanguageModel other = model();
        Trainer trainer =
            training(other, steps, rows(), new NextToken(other.transformer())).trainer()) {
      trainer.run();
      return weights(other);
    }
  }

  private Checkpoint newest() {
    Checkpoint found = run.start("auto", damaged -> {});
    return Objects.requireNonNull(found, "no whole checkpoint");
  }

  /** Calls something after a step. */
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

  /** The next token's loss, with a gradient that is NaN in some step. */
  private static Objective nanIn(int step, LanguageModel model) {
    Objective inner = new NextToken(model.transformer());
    return (tape, batch, state) -> {
      if (state.step() == step) {
        model.parameters().gradients().segment().set(JAVA_FLOAT, 0, Float.NaN);
      }
      return inner.loss(tape, batch, state);
    };
  }

  /** Rows, and which places were asked for. */
  private record Noting(BatchSource source, List<Long> places) implements BatchSource {
    @Override
    public BatchLayout layout() {
      return source.layout();
    }

    @Override
    public void fill(long place, int rows, Fields host) {
      for (int i = 0; i < rows; i++) {
        places.add(place + i);
      }
      source.fill(place, rows, host);
    }

    @Override
    public long targets(long place, int rows) {
      return source.targets(place, rows);
    }
  }

  @ParameterizedTest
  @CsvSource({"2, 1, 4, 1", "4, 1, 2, 1", "2, 3, 4, 1", "4, 1, 1, 2"})
  void aResumedRunReadsTheNextRowWhateverItsBatches(int b, int a, int newB, int newA)
      throws IOException {
    List<Long> places = new ArrayList<>();
    Noting source = new Noting(rows(), places);
    Objective objective = new NextToken(model.transformer());
    try (Trainer trainer =
        training(model, 4, source, objective).batch(b).accumulate(a).trainer().into(run)) {
      trainer.run();
    }
    try (Trainer trainer =
        training(model, 6, source, objective).batch(newB).accumulate(newA).trainer().into(run)) {
      trainer.resume(newest());
      trainer.run();
    }
    assertThat(newest().state().sequences()).isEqualTo(4L * a * b + 2L * newA * newB);
    assertThat(places).hasSize(4 * a * b + 2 * newA * newB);
    for (int i = 0; i < places.size(); i++) {
      assertThat(places.get(i)).isEqualTo(i);
    }
  }

  @Test
  void aStopBeforeTheFirstStepSavesNothingAndTheNextRunTrains() throws IOException {
    try (Trainer trainer = noted(training(5))) {
      trainer.requestStop();
      Trainer.Outcome outcome = trainer.run();
      assertThat(outcome.step()).isZero();
      assertThat(outcome.loss()).isNaN();
      assertThat(outcome.interrupted()).isTrue();
      assertThat(run.start(null, line -> {})).as("no checkpoint of nothing").isNull();
      assertThat(notes).containsExactly("stopped before the first step: there is nothing to save");
      assertThat(trainer.run().step()).isEqualTo(5);
    }
    assertThat(weights(model)).isEqualTo(uninterrupted(5));
  }

  @Test
  void anInterruptEndsTheRunWithinItsStepAndIsPassedOn() throws IOException {
    try (Trainer trainer = noted(training(8))) {
      trainer.watch(after(3, Thread.currentThread()::interrupt));
      Trainer.Outcome outcome = trainer.run();
      assertThat(Thread.interrupted()).as("the caller's interrupt").isTrue();
      assertThat(outcome.step()).isEqualTo(3);
      assertThat(outcome.interrupted()).isTrue();
      assertThat(newest().step()).isEqualTo(3);
      assertThat(trainer.run().interrupted()).isFalse();
    }
    assertThat(weights(model)).isEqualTo(uninterrupted(8));
  }

  /** A channel closes when the thread that writes is interrupted: the file is written again. */
  @Test
  void anInterruptWhileSavingLeavesAWholeCheckpoint() throws IOException {
    AtomicBoolean once = new AtomicBoolean(true);
    Training parts =
        training(8)
            .saveEvery(3)
            .model(
                "tiny",
                to -> {
                  if (once.getAndSet(false)) {
                    Thread.currentThread().interrupt();
                  }
                  Weights.save(model.parameters(), to.resolve("model.safetensors"));
                });
    try (Trainer trainer = noted(parts)) {
      assertThat(trainer.run().step()).isEqualTo(3);
      assertThat(Thread.interrupted()).isTrue();
      Checkpoint.open(newest().directory());
      assertThat(newest().step()).isEqualTo(3);
      trainer.run();
    }
    assertThat(newest().step()).isEqualTo(8);
    assertThat(weights(model)).isEqualTo(uninterrupted(8));
  }

  @Test
  void aCancelledFutureLeavesACheckpoint() throws Exception {
    CountDownLatch training = new CountDownLatch(1);
    CountDownLatch ended = new CountDownLatch(1);
    try (Trainer trainer = noted(training(1_000_000)).watch(after(2, training::countDown));
        ExecutorService executor = Executors.newSingleThreadExecutor()) {
      Future<?> future =
          executor.submit(
              () -> {
                try {
                  return trainer.run();
                } finally {
                  ended.countDown();
                }
              });
      training.await();
      future.cancel(true);
      ended.await();
      assertThat(newest().step()).isEqualTo(trainer.step()).isBetween(2L, 999_999L);
    }
  }

  @Test
  void closingWaitsForTheRunOfAnotherThread() throws Exception {
    for (int round = 0; round < 5; round++) {
      CountDownLatch training = new CountDownLatch(1);
      Trainer trainer = training(1_000_000).trainer().watch(after(1 + round, training::countDown));
      try (ExecutorService executor = Executors.newSingleThreadExecutor()) {
        Future<Trainer.Outcome> outcome = executor.submit(trainer::run);
        training.await();
        assertThatThrownBy(trainer::run).hasMessageContaining("the trainer is running");
        trainer.close();
        trainer.close();
        assertThat(outcome.get().interrupted()).isTrue();
      }
      assertThatThrownBy(trainer::run)
          .isInstanceOf(IllegalStateException.class)
          .hasMessageContaining("closed");
    }
  }

  @Test
  void aWatcherCannotCloseTheTrainer() throws IOException {
    try (Trainer trainer = training(3).trainer()) {
      trainer.watch(after(1, trainer::close));
      assertThatThrownBy(trainer::run)
          .isInstanceOf(IllegalStateException.class)
          .hasMessageContaining("request a stop");
      assertThat(trainer.run().step()).isEqualTo(3);
    }
  }

  /**
   * Micro-batch 2 of step 6 meets it: half a gradient is there, which the next run must not see.
   */
  @Test
  void anIdThatIsNoneEndsTheRunWithACheckpointOfTheStepBefore() throws IOException {
    AtomicBoolean damaged = new AtomicBoolean(true);
    BatchSource good = rows();
    BatchSource source =
        new BatchSource() {
          @Override
          public BatchLayout layout() {
            return good.layout();
          }

          @Override
          public void fill(long place, int rows, Fields host) {
            if (damaged.get() && place == 5 * BATCH + 2) {
              throw new InputException("token 31 at position 176 is outside the vocabulary");
            }
            good.fill(place, rows, host);
          }

          @Override
          public long targets(long place, int rows) {
            return good.targets(place, rows);
          }
        };
    Objective objective = new NextToken(model.transformer());
    float[] whole;
    try (LanguageModel other = model();
        Trainer trainer =
            training(other, 8, good, new NextToken(other.transformer()))
                .batch(2)
                .accumulate(2)
                .trainer()) {
      trainer.run();
      whole = weights(other);
    }
    try (Trainer trainer = noted(training(model, 8, source, objective).batch(2).accumulate(2))) {
      assertThatThrownBy(trainer::run)
          .isInstanceOf(InputException.class)
          .hasMessageContaining("token 31");
      assertThat(newest().step()).isEqualTo(5);
      assertThat(newest().state().sequences()).isEqualTo(5 * BATCH);
      damaged.set(false);
      trainer.run();
    }
    assertThat(weights(model)).isEqualTo(whole);
  }

  @Test
  void anExceptionOfAWatcherLosesNoStep() throws IOException {
    try (Trainer trainer = noted(training(8))) {
      trainer.watch(
          after(
              4,
              () -> {
                throw new IllegalStateException("mail server is down");
              }));
      assertThatThrownBy(trainer::run).hasMessage("mail server is down");
      assertThat(newest().step()).isEqualTo(4);
    }
  }

  @Test
  void aDivergenceWithNothingSavedGivesNoAdviceToResumeAndSavesFiniteWeights() throws IOException {
    Training parts = training(model, 20, rows(), nanIn(5, model)).maxBadSteps(1);
    try (Trainer trainer = noted(parts)) {
      assertThatThrownBy(trainer::run)
          .isInstanceOfSatisfying(DivergedException.class, e -> assertThat(e.step()).isEqualTo(6))
          .hasMessageContaining("step 6")
          .hasMessageContaining("the step was not applied")
          .hasMessageContaining("--learning-rate")
          .hasMessageNotContaining("--resume");
    }
    assertThat(newest().step()).isEqualTo(6);
    try (LanguageModel saved = model()) {
      Weights.load(saved.parameters(), newest().directory().resolve(Training.WEIGHTS_FILE));
      assertThat(weights(saved)).isEqualTo(uninterrupted(5));
    }
    assertThat(Files.readString(run.metrics())).contains("\"step\":6").contains("null");
  }

  @Test
  void aDivergenceNamesTheCheckpointBeforeItAndKeepsIt() throws IOException {
    run.describe("", new Keep(1, 0), null, Map.of());
    Training parts = training(model, 20, rows(), nanIn(5, model)).maxBadSteps(1).saveEvery(3);
    try (Trainer trainer = noted(parts)) {
      assertThatThrownBy(trainer::run)
          .isInstanceOf(DivergedException.class)
          .hasMessageContaining("continue from checkpoint-3 with --resume");
    }
    assertThat(run.path().resolve("checkpoint-3")).isDirectory();
    assertThat(newest().step()).isEqualTo(6);
  }

  @Test
  void aValidationLossThatIsNaNIsNeverTheBestAndEndsTheRunWithItsStep() throws IOException {
    Objective inner = new NextToken(model.transformer());
    int[] evaluations = {0};
    Objective objective =
        new Objective() {
          @Override
          public Var loss(Tape tape, Batch batch, StepState state) {
            if (!tape.isRecording() && evaluations[0]++ >= 1) {
              state.addLoss(Double.NaN);
            }
            return inner.loss(tape, batch, state);
          }
        };
    Training parts =
        training(model, 20, rows(), objective)
            .validation(BatchSource.once(windows()), 1)
            .evalEvery(2)
            .saveEvery(2);
    try (Trainer trainer = noted(parts)) {
      assertThatThrownBy(trainer::run)
          .isInstanceOf(DivergedException.class)
          .hasMessageContaining("step 4: validation loss NaN");
    }
    assertThat(newest().step()).isEqualTo(4);
    assertThat(newest().state().bestStep()).isEqualTo(2);
    assertThat(newest().state().bestLoss()).isFinite();
    assertThat(run.path().resolve("best").toRealPath().getFileName()).hasToString("checkpoint-2");
    assertThat(Files.readString(run.metrics())).contains("\"eval_loss\":null");
  }

  @Test
  void weightsThatAreNotFiniteAreNeverSaved() {
    Training parts = training(20).schedule(new Schedule.Constant(3e38, 0)).saveEvery(1);
    try (Trainer trainer = noted(parts)) {
      assertThatThrownBy(trainer::run)
          .isInstanceOf(DivergedException.class)
          .hasMessageContaining("step 1: weights not finite")
          .hasMessageContaining("step 1 is not saved")
          .hasMessageNotContaining("--resume");
    }
    assertThat(run.path().resolve("last")).doesNotExist();
    assertThat(run.path().resolve("checkpoint-1")).doesNotExist();
  }
}
