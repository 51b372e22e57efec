package dev.javelin.example.handbook;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.javelin.device.Cpu;
import dev.javelin.example.handbook.Callbacks.Bar;
import dev.javelin.example.handbook.Callbacks.GoodEnough;
import dev.javelin.example.handbook.Callbacks.Meters;
import dev.javelin.example.handbook.Callbacks.Sender;
import dev.javelin.example.handbook.Digits.Drawings;
import dev.javelin.example.handbook.Digits.Reader;
import dev.javelin.nn.ParameterBuffer;
import dev.javelin.train.Trainer;
import dev.javelin.train.Training;
import dev.javelin.train.checkpoint.Checkpoint;
import dev.javelin.train.data.BatchSource;
import dev.javelin.train.eval.Evaluation;
import dev.javelin.train.hook.After;
import dev.javelin.train.hook.Progress;
import dev.javelin.train.hook.StepHook;
import dev.javelin.train.hook.StopRule;
import dev.javelin.train.monitor.StepMetrics;
import dev.javelin.train.monitor.Watcher;
import dev.javelin.train.run.RunDirectory;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.CountDownLatch;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The handbook's callbacks: what they see, on which thread, and what they may do to a run. */
class CallbacksTest {
  private static final String PAGE = "callbacks.md";

  @TempDir Path dir;
  private final Cpu cpu = Cpu.open(1);
  private final ParameterBuffer<Reader> reader = SmallTraining.reader(cpu, 1);

  @AfterEach
  void close() {
    reader.close();
    cpu.close();
  }

  /** Fails, once, after a step. */
  private static Watcher failing(long at) {
    return new Watcher() {
      private boolean done;

      @Override
      public void advanced(long step) {
        if (step == at && !done) {
          done = true;
          throw new IllegalStateException("the mail server is down");
        }
      }
    };
  }

  @Test
  void metersAndBarFollowTheRun() throws IOException {
    Meters meters = new Meters();
    List<String> bars = new ArrayList<>();
    try (RunDirectory run = RunDirectory.claim(dir.resolve("run"));
        Trainer trainer = SmallTraining.of(reader, 1, 9).saveEvery(4).trainer()) {
      trainer.watch(meters).watch(new Bar(9, 3, bars::add)).into(run).run();
    }
    assertThat(meters.steps.sum()).isEqualTo(9);
    assertThat(meters.checkpoints.sum()).isEqualTo(3); // 4, 8, and the last
    assertThat(meters.loss).isBetween(0.5, 4.0);
    assertThat(bars).containsExactly("[=  ] 3/9", "[== ] 6/9", "[===] 9/9");
  }

  @Test
  void aReceiverThatHangsHoldsNothingUp() throws IOException {
    CountDownLatch hanging = new CountDownLatch(1);
    List<Long> sent = new ArrayList<>();
    Sender sender =
        new Sender(
            (step, loss) -> {
              await(hanging);
              sent.add(step);
              if (step == 2) {
                throw new IOException("refused");
              }
            },
            2);
    try (Trainer trainer = SmallTraining.of(reader, 1, 6).trainer()) {
      assertThat(trainer.watch(sender).run().step()).isEqualTo(6);
      assertThat(sender.lost.sum()).as("one hangs, two wait").isEqualTo(3);
      hanging.countDown();
    }
    assertThat(sent).containsExactly(1L, 2L, 3L);
    assertThat(sender.lost.sum()).isEqualTo(4);
  }

  private static void await(CountDownLatch latch) {
    try {
      latch.await();
    } catch (InterruptedException e) {
      throw new IllegalStateException(e);
    }
  }

  /** A rule that measures the model ends the run, and moves no bit of it. */
  @Test
  void aRuleEndsTheRunWithTheBitsOfAShorterOne() throws IOException {
    GoodEnough rule = new GoodEnough(cpu, reader.model(), new Drawings(2, 20), 3, 0);
    try (Trainer trainer = SmallTraining.of(reader, 1, 100).stopWhen(rule).trainer()) {
      Trainer.Outcome outcome = trainer.run();
      assertThat(outcome.step()).isEqualTo(3);
      assertThat(outcome.interrupted()).isFalse();
      assertThat(outcome.ended()).matches("\\d+ % of the drawings are read correctly");
    }
    assertThat(reader.weights().toFloats()).isEqualTo(weightsAfter(3));
  }

  private static float[] weightsAfter(int steps) throws IOException {
    try (Cpu other = Cpu.open(1);
        var same = SmallTraining.reader(other, 1);
        Trainer trainer = SmallTraining.of(same, 1, steps).trainer()) {
      trainer.run();
      return same.weights().toFloats();
    }
  }

  /** All on the training thread. */
  @Test
  void callsComeInThisOrderOnTheThreadThatTrains() throws IOException {
    List<String> calls = new ArrayList<>();
    Thread me = Thread.currentThread();
    Watcher watcher =
        new Watcher() {
          @Override
          public void begins(long step, long place, int rows) {
            call("begins");
          }

          @Override
          public void advanced(long step) {
            call("advanced");
          }

          @Override
          public void evaluated(long step, Evaluation evaluation) {
            call("evaluated");
          }

          @Override
          public void logged(StepMetrics metrics) {
            call("logged");
          }

          @Override
          public void saved(Checkpoint checkpoint) {
            call("saved");
          }

          @Override
          public void ended() {
            call("ended");
          }

          @Override
          public void close() {
            call("close");
          }

          private void call(String name) {
            assertThat(Thread.currentThread()).isEqualTo(me);
            calls.add(name);
          }
        };
    StepHook hook =
        new StepHook() {
          @Override
          public String name() {
            return "order";
          }

          @Override
          public After after(long step) {
            calls.add("hook");
            return After.GO_ON;
          }

          @Override
          public void close() {}
        };
    StopRule rule =
        new StopRule() {
          @Override
          public String name() {
            return "order";
          }

          @Override
          public @Nullable String reason(Progress now) {
            calls.add("rule");
            return null;
          }
        };
    Training training =
        SmallTraining.of(reader, 1, 1)
            .validation(BatchSource.once(new Drawings(2, 16)), 0)
            .hook((p, o) -> hook)
            .stopWhen(rule);
    try (RunDirectory run = RunDirectory.claim(dir.resolve("run"));
        Trainer trainer = training.trainer()) {
      trainer.watch(watcher).into(run).run();
    }
    assertThat(String.join(" → ", calls))
        .isEqualTo("begins → advanced → hook → evaluated → rule → logged → saved → ended → close");
  }

  @Test
  void anExceptionEndsTheRunAndLosesNoStep() throws IOException {
    try (RunDirectory run = RunDirectory.claim(dir.resolve("run"));
        Trainer trainer = SmallTraining.of(reader, 1, 6).trainer()) {
      trainer.watch(failing(4)).into(run);
      Pages.says(PAGE, "the mail server is down", trainer::run);
      Checkpoint saved = Objects.requireNonNull(run.start("auto", line -> {}));
      assertThat(saved.step()).isEqualTo(4);
      assertThat(trainer.run().step()).isEqualTo(6);
    }
    assertThat(reader.weights().toFloats()).isEqualTo(weightsAfter(6));
  }

  @Test
  void whatAWatcherMustNotDoIsRefused() throws IOException {
    try (Trainer trainer = SmallTraining.of(reader, 1, 2).trainer()) {
      trainer.watch(
          new Watcher() {
            @Override
            public void advanced(long step) {
              assertThatThrownBy(trainer::close).isInstanceOf(IllegalStateException.class);
              throw new IllegalStateException(caught(trainer::close) + caught(trainer::run));
            }
          });
      Pages.says(PAGE, "a watcher cannot close the trainer that it follows", trainer::run);
      Pages.says(PAGE, "the trainer is running: one thread, one run at a time", trainer::run);
    }
  }

  private interface Call {
    void run() throws IOException;
  }

  private static String caught(Call call) {
    try {
      call.run();
      return "";
    } catch (IllegalStateException | IOException e) {
      return String.valueOf(e.getMessage());
    }
  }
}
