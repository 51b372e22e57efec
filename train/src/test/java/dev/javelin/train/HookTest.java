package dev.javelin.train;

import static org.assertj.core.api.Assertions.assertThat;

import dev.javelin.device.Cpu;
import dev.javelin.device.Cuda;
import dev.javelin.device.Device;
import dev.javelin.device.RequiresCuda;
import dev.javelin.device.TestCuda;
import dev.javelin.kernels.BundledKernels;
import dev.javelin.nn.Precision;
import dev.javelin.tensor.step.StepState;
import dev.javelin.train.checkpoint.Checkpoint;
import dev.javelin.train.checkpoint.TrainingState;
import dev.javelin.train.data.BatchSource;
import dev.javelin.train.data.Order;
import dev.javelin.train.data.TokenSource;
import dev.javelin.train.data.Windows;
import dev.javelin.train.hook.After;
import dev.javelin.train.hook.Progress;
import dev.javelin.train.hook.StepHook;
import dev.javelin.train.hook.StopRule;
import dev.javelin.train.monitor.MetricsFile;
import dev.javelin.train.monitor.StepMetrics;
import dev.javelin.train.monitor.Watcher;
import dev.javelin.train.objective.NextToken;
import dev.javelin.train.run.RunDirectory;
import dev.javelin.train.schedule.LearningRate;
import dev.javelin.train.schedule.Schedule;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.function.ObjDoubleConsumer;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * Hooks, stop rules and learning rates that look at a run: when they are asked, what they can do.
 */
class HookTest {
  private static final int STEPS = 8;

  @TempDir Path dir;

  /** Writes down what it is told. */
  private static class Witness implements StepHook {
    final List<String> calls = new ArrayList<>();
    long seen;

    @Override
    public String name() {
      return "witness";
    }

    @Override
    public void begin(long step, long place, int rows) {
      calls.add("begin %d at %d, %d rows".formatted(step, place, rows));
    }

    @Override
    public void accumulated(int micro, StepState state) {
      calls.add("micro " + micro);
    }

    @Override
    public void gradient(StepState state) {
      calls.add("gradient");
    }

    @Override
    public void decided(StepState state) {
      calls.add("decided");
    }

    @Override
    public void updated(StepState state) {
      calls.add("updated");
      seen++;
    }

    @Override
    public void measure(ObjDoubleConsumer<String> out) {
      out.accept("seen", seen);
    }

    @Override
    public Map<String, double[]> save() {
      return Map.of("seen", new double[] {seen, Double.NaN, Double.NEGATIVE_INFINITY});
    }

    @Override
    public void restore(Map<String, double[]> saved) {
      double[] values = Objects.requireNonNull(saved.get("seen"));
      seen = (long) values[0];
      assertThat(values[1]).isNaN();
      assertThat(values[2]).isEqualTo(Double.NEGATIVE_INFINITY);
    }

    @Override
    public void write(Path directory) throws IOException {
      Files.writeString(directory.resolve("witness.txt"), "seen " + seen);
    }
  }

  private static Training training(LanguageModel model, int parts) {
    Windows windows =
        new Windows(
            TokenSource.of("pattern", TinyModels.ids(500)), TinyModels.SEQ_LEN, TinyModels.VOCAB);
    return Training.of(
            model.parameters(),
            new NextToken(model.transformer()),
            BatchSource.endless(windows, Order.sequential()))
        .batch(2)
        .accumulate(parts)
        .schedule(new Schedule.Constant(1e-2, 0))
        .logEvery(1)
        .steps(STEPS)
        .model("tiny", model::save, model::restore);
  }

  private static LanguageModel model(Device device, Precision precision) {
    return TinyModels.model(device, TinyModels.llama(), precision);
  }

  private static List<Float> weights(LanguageModel model) {
    List<Float> all = new ArrayList<>();
    for (var p : model.parameters().named().values()) {
      for (float v : model.parameters().values(p)) {
        all.add(v);
      }
    }
    return all;
  }

  @Test
  void comesBetweenThePartsOfEachStepAndChangesNoBit() throws IOException {
    try (Cpu cpu = Cpu.open(2)) {
      comesBetweenTheParts(cpu, 1);
      comesBetweenTheParts(cpu, 3);
    }
  }

  @Test
  @RequiresCuda
  void standsBetweenRecordedGraphsToo() throws IOException {
    try (Cuda cuda = TestCuda.open(new BundledKernels())) {
      comesBetweenTheParts(cuda, 1);
      comesBetweenTheParts(cuda, 2);
    }
  }

  private static void comesBetweenTheParts(Device device, int parts) throws IOException {
    Witness witness = new Witness();
    try (LanguageModel plain = model(device, Precision.FP16);
        LanguageModel hooked = model(device, Precision.FP16);
        Trainer without = training(plain, parts).trainer();
        Trainer with = training(hooked, parts).hook((p, o) -> witness).trainer()) {
      without.run();
      with.run();
      assertThat(weights(hooked)).isEqualTo(weights(plain));
    }
    List<String> step = new ArrayList<>();
    step.add("begin 1 at %d, %d rows".formatted(2 * parts, 2 * parts));
    for (int micro = 0; micro < parts; micro++) {
      step.add("micro " + micro);
    }
    step.addAll(List.of("gradient", "decided", "updated"));
    assertThat(witness.calls.subList(step.size(), 2 * step.size())).isEqualTo(step);
    assertThat(witness.calls).hasSize(STEPS * step.size());
  }

  @Test
  void leavesAStepOut() throws IOException {
    try (Cpu cpu = Cpu.open(1)) {
      leavesAStepOut(cpu);
    }
  }

  @Test
  @RequiresCuda
  void leavesAStepOutOnAGpu() throws IOException {
    try (Cuda cuda = TestCuda.open(new BundledKernels())) {
      leavesAStepOut(cuda);
    }
  }

  private static void leavesAStepOut(Device device) throws IOException {
    List<Float> before = new ArrayList<>();
    List<Float> after = new ArrayList<>();
    List<StepMetrics> logged = new ArrayList<>();
    try (LanguageModel model = model(device, Precision.FP32)) {
      Witness skips =
          new Witness() {
            @Override
            public void decided(StepState state) {
              if (state.step() == 4) {
                before.addAll(weights(model));
                state.skip();
              }
            }

            @Override
            public void updated(StepState state) {
              if (state.step() == 4) {
                after.addAll(weights(model));
              }
            }
          };
      try (Trainer trainer =
          training(model, 1).hook((p, o) -> skips).trainer().watch(logging(logged))) {
        assertThat(trainer.run().step()).isEqualTo(STEPS);
      }
      assertThat(after).isEqualTo(before).isNotEqualTo(weights(model));
      assertThat(logged)
          .extracting(StepMetrics::skipped)
          .containsExactly(0L, 0L, 0L, 0L, 1L, 1L, 1L, 1L);
    }
  }

  private static Watcher logging(List<StepMetrics> into) {
    return new Watcher() {
      @Override
      public void logged(StepMetrics metrics) {
        into.add(metrics);
      }
    };
  }

  /** Back to step 4 after step 6, once; the rows go on. */
  private static final class GoesBack extends Witness {
    private boolean done;

    @Override
    public After after(long step) {
      if (step == 6 && !done) {
        done = true;
        return new After.RollBack("a rehearsal");
      }
      return After.GO_ON;
    }
  }

  @Test
  void goesBackToTheNewestCheckpointAndOnBehindTheRowsRead() throws IOException {
    for (Precision precision : List.of(Precision.FP32, Precision.BF16, Precision.FP16)) {
      GoesBack hook = new GoesBack();
      try (Cpu cpu = Cpu.open(1);
          RunDirectory run = RunDirectory.claim(dir.resolve(precision.weights().name()));
          LanguageModel model = model(cpu, precision);
          LanguageModel expected = model(cpu, precision)) {
        try (Trainer trainer =
            training(model, 2).saveEvery(4).hook((p, o) -> hook).trainer().into(run)) {
          trainer.run();
        }
        assertThat(hook.calls).contains("begin 4 at 16, 4 rows", "begin 4 at 24, 4 rows");
        assertThat(hook.calls).contains("begin 7 at 36, 4 rows");
        // The same by hand: the weights of step 4, the optimizer of step 4, the rows from 24 on.
        Checkpoint four = Checkpoint.open(run.path().resolve("checkpoint-4"));
        Checkpoint moved = new Checkpoint(four.directory(), at(four, 24));
        expected.restore(four.directory());
        try (Trainer trainer = training(expected, 2).trainer()) {
          trainer.resume(moved);
          trainer.run();
        }
        assertThat(weights(model)).isEqualTo(weights(expected));
      }
    }
  }

  private static TrainingState at(Checkpoint c, long sequences) {
    var s = c.state();
    return new TrainingState(
        s.step(),
        sequences,
        s.tokens(),
        s.seed(),
        s.carried(),
        s.bestLoss(),
        s.bestStep(),
        s.model());
  }

  @Test
  void remembersAcrossAResumeAndStandsInTheLog() throws IOException {
    try (Cpu cpu = Cpu.open(1);
        RunDirectory run = RunDirectory.claim(dir.resolve("run"));
        LanguageModel model = model(cpu, Precision.FP32)) {
      try (Trainer trainer =
          training(model, 1).steps(3).hook((p, o) -> new Witness()).trainer().into(run)) {
        trainer.run();
      }
      Checkpoint three = Objects.requireNonNull(run.start("auto", damaged -> {}));
      assertThat(three.directory().resolve("witness.txt")).hasContent("seen 3");
      Witness second = new Witness();
      try (Trainer trainer = training(model, 1).hook((p, o) -> second).trainer().into(run)) {
        trainer.resume(three);
        trainer.run();
      }
      assertThat(second.seen).isEqualTo(STEPS);
      assertThat(MetricsFile.read(run.metrics()))
          .extracting(m -> m.more().get("seen"))
          .containsExactly(1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0);
    }
  }

  /** Ends a run after some tokens. */
  private record Enough(long tokens, List<Progress> asked) implements StopRule {
    @Override
    public String name() {
      return "enough";
    }

    @Override
    public @Nullable String reason(Progress now) {
      asked.add(now);
      return now.tokens() < tokens ? null : "that is enough";
    }
  }

  @Test
  void aRuleEndsTheRunWithAnEvaluationAndACheckpoint() throws IOException {
    Enough enough = new Enough(4L * 2 * TinyModels.SEQ_LEN, new ArrayList<>());
    double[] heard = new double[1];
    LearningRate rate =
        new LearningRate() {
          @Override
          public double at(long step) {
            return 1e-2;
          }

          @Override
          public void evaluated(long step, double loss) {
            heard[0] = loss;
          }
        };
    try (Cpu cpu = Cpu.open(1);
        RunDirectory run = RunDirectory.claim(dir.resolve("run"));
        LanguageModel model = model(cpu, Precision.FP32)) {
      Windows held =
          new Windows(
              TokenSource.of("held", TinyModels.ids(200)), TinyModels.SEQ_LEN, TinyModels.VOCAB);
      Training training =
          training(model, 1).schedule(rate).validation(BatchSource.once(held), 0).stopWhen(enough);
      try (Trainer trainer = training.trainer().into(run)) {
        Trainer.Outcome outcome = trainer.run();
        assertThat(outcome.step()).isEqualTo(4);
        assertThat(outcome.ended()).isEqualTo("that is enough");
        assertThat(outcome.interrupted()).isFalse();
        assertThat(Objects.requireNonNull(outcome.evaluation()).loss()).isEqualTo(heard[0]);
      }
      assertThat(enough.asked).hasSize(4);
      assertThat(run.path().resolve("checkpoint-4")).isDirectory();
      assertThat(MetricsFile.read(run.metrics()).getLast().evalLoss()).isEqualTo(heard[0]);
    }
  }

  @Test
  void aHookEndsTheRun() throws IOException {
    Witness stops =
        new Witness() {
          @Override
          public After after(long step) {
            return step == 3 ? new After.Stop("seen enough") : After.GO_ON;
          }
        };
    try (Cpu cpu = Cpu.open(1);
        LanguageModel model = model(cpu, Precision.FP32);
        Trainer trainer = training(model, 1).hook((p, o) -> stops).trainer()) {
      assertThat(trainer.run().ended()).isEqualTo("seen enough");
      assertThat(trainer.step()).isEqualTo(3);
    }
  }
}
