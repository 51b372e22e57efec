package dev.javelin.train.health;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.javelin.autograd.Algebra;
import dev.javelin.autograd.Functional;
import dev.javelin.autograd.Losses;
import dev.javelin.autograd.Tape;
import dev.javelin.autograd.Var;
import dev.javelin.device.Cpu;
import dev.javelin.device.Cuda;
import dev.javelin.device.Device;
import dev.javelin.device.RequiresCuda;
import dev.javelin.device.TestCuda;
import dev.javelin.kernels.BundledKernels;
import dev.javelin.kernels.VectorNorm;
import dev.javelin.nn.Declare;
import dev.javelin.nn.Grouping;
import dev.javelin.nn.ParameterBuffer;
import dev.javelin.nn.Precision;
import dev.javelin.tensor.Parameter;
import dev.javelin.tensor.step.LossScaling;
import dev.javelin.tensor.step.StepState;
import dev.javelin.train.Trainer;
import dev.javelin.train.Training;
import dev.javelin.train.data.Batch;
import dev.javelin.train.data.BatchLayout;
import dev.javelin.train.data.BatchLayout.Field;
import dev.javelin.train.data.BatchSource;
import dev.javelin.train.data.Fields;
import dev.javelin.train.data.Order;
import dev.javelin.train.data.Rows;
import dev.javelin.train.hook.StepHook;
import dev.javelin.train.monitor.StepMetrics;
import dev.javelin.train.monitor.Watcher;
import dev.javelin.train.objective.Objective;
import dev.javelin.train.optim.GradientClip;
import dev.javelin.train.ranks.Communicator;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * A linear loss w·x of noisy x: the gradient of a target is x itself, so that G is the mean of x
 * and Σ its covariance, whatever the weights are.
 */
class NoiseScaleTest {
  private static final int DIM = 256;
  private static final int BATCH = 4;
  private static final int MICRO = 4;

  /**
   * Of an element of G, and of the noise: ‖G‖² = DIM/4, tr(Σ) = DIM·4, 16 targets of noise scale.
   */
  private static final double MEAN = 0.5;

  private static final double NOISE = 2;
  private static final double SCALE = NOISE * NOISE / (MEAN * MEAN);

  record Linear(Parameter w) {
    static Linear declare(Declare d) {
      return new Linear(d.parameter(1, DIM));
    }
  }

  /** A row's x is the sum of those of its targets, one or as many as {@code most}. */
  private record Noisy(int most) implements Rows {
    @Override
    public BatchLayout layout() {
      return BatchLayout.of(Field.floats("x", DIM));
    }

    @Override
    public long count() {
      return 1 << 20;
    }

    @Override
    public long targets(long row) {
      return 1 + row % most;
    }

    @Override
    public void read(long row, Fields into, int at) {
      SplittableRandom random = new SplittableRandom(77 + 1_000_003 * row);
      double n = targets(row);
      for (int i = 0; i < DIM; i++) {
        double x = n * MEAN + Math.sqrt(n) * NOISE * random.nextGaussian();
        into.row("x", at).setAtIndex(JAVA_FLOAT, i, (float) x);
      }
    }
  }

  /** Σ w·x / N over the targets of the step. */
  private record Dot(Linear model) implements Objective {
    @Override
    public Var loss(Tape tape, Batch batch, StepState state) {
      Var x = tape.constant(batch.get("x"));
      Var products = Functional.linear(x, tape.param(model.w), null);
      return Losses.stepLoss(Algebra.sum(products, false, 1), state);
    }
  }

  private static ParameterBuffer<Linear> allocate(Device device) {
    return ParameterBuffer.allocate(
        device, Precision.FP32, Grouping.decayMatrices(0), Linear::declare);
  }

  /** The noise scale in targets, and what the last line of the log has. */
  private record Found(double trace, double signal, StepMetrics line) {}

  private static Found found(Device device, int most, int micro, int steps, LossScaling scaling)
      throws IOException {
    List<NoiseScale> made = new ArrayList<>();
    List<StepMetrics> lines = new ArrayList<>();
    BatchSource source = BatchSource.endless(new Noisy(most), Order.sequential());
    StepHook.Maker maker =
        (p, o) -> {
          made.add(new NoiseScale(p, source, BATCH, Communicator.SELF));
          return made.getFirst();
        };
    try (ParameterBuffer<Linear> parameters = allocate(device);
        Trainer trainer =
            Training.of(parameters, new Dot(parameters.model()), source)
                .batch(BATCH)
                .accumulate(micro)
                .clip(new GradientClip(VectorNorm.L2, 1, Float.POSITIVE_INFINITY, scaling))
                .steps(steps)
                .logEvery(steps)
                .hook(maker)
                .trainer()) {
      trainer.watch(
          new Watcher() {
            @Override
            public void logged(StepMetrics metrics) {
              lines.add(metrics);
            }
          });
      trainer.run();
      return new Found(made.getFirst().trace(), made.getFirst().signal(), lines.getLast());
    }
  }

  private static void check(Found found, double targetsPerRow) {
    assertThat(found.trace).isCloseTo(DIM * NOISE * NOISE, within(0.15 * DIM * NOISE * NOISE));
    assertThat(found.signal).isCloseTo(DIM * MEAN * MEAN, within(0.15 * DIM * MEAN * MEAN));
    assertThat(found.line.more().get("critical_batch")).isCloseTo(SCALE, within(0.15 * SCALE));
    assertThat(found.line.more().get("noise_scale"))
        .isCloseTo(SCALE / targetsPerRow, within(0.15 * SCALE / targetsPerRow));
  }

  @Test
  void isThatOfTheProblem() throws IOException {
    try (Cpu cpu = Cpu.open(2)) {
      check(found(cpu, 1, MICRO, 400, LossScaling.NONE), 1);
    }
  }

  /** Rows of one to three targets: a micro-batch has its own share of them. */
  @Test
  void countsTargetsNotRows() throws IOException {
    try (Cpu cpu = Cpu.open(2)) {
      check(found(cpu, 3, MICRO, 400, LossScaling.NONE), 2);
    }
  }

  /** The scale rises to where gradients overflow, and falls, again and again. */
  @Test
  void theLossScaleDoesNotMatter() throws IOException {
    LossScaling wild = new LossScaling(0x1p120f, 2, 0.5f, 3, 1);
    try (Cpu cpu = Cpu.open(2)) {
      Found found = found(cpu, 1, MICRO, 400, wild);
      assertThat(found.line.skipped()).as("steps that overflow").isGreaterThan(10);
      check(found, 1);
    }
  }

  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  @RequiresCuda
  void theGpuMeasuresTheSame(boolean scaled) throws IOException {
    LossScaling scaling = scaled ? new LossScaling(65536, 2, 0.5f, 20, 1) : LossScaling.NONE;
    Found cpus;
    try (Cpu cpu = Cpu.open(2)) {
      cpus = found(cpu, 3, MICRO, 150, scaling);
    }
    try (Cuda cuda = TestCuda.open(new BundledKernels())) {
      Found found = found(cuda, 3, MICRO, 150, scaling);
      assertThat(found.trace).isCloseTo(cpus.trace, within(1e-4 * cpus.trace));
      assertThat(found.signal).isCloseTo(cpus.signal, within(1e-3 * cpus.signal));
      check(found, 2);
    }
  }

  @Test
  void oneMicroBatchSaysNothing() throws IOException {
    try (Cpu cpu = Cpu.open(1)) {
      Found found = found(cpu, 1, 1, 5, LossScaling.NONE);
      assertThat(found.line.more()).doesNotContainKeys("noise_scale", "critical_batch");
    }
  }

  @Test
  void whatItRemembersGoesOn() {
    BatchSource source = BatchSource.endless(new Noisy(1), Order.sequential());
    try (Cpu cpu = Cpu.open(1);
        ParameterBuffer<Linear> parameters = allocate(cpu);
        NoiseScale one = new NoiseScale(parameters, source, BATCH, Communicator.SELF);
        NoiseScale other = new NoiseScale(parameters, source, BATCH, Communicator.SELF);
        StepState state = StepState.on(cpu)) {
      for (int step = 0; step < 200; step++) { // more than the device keeps
        one.begin(step, 16L * step, 16);
        parameters.gradients().segment().setAtIndex(JAVA_FLOAT, 0, 1 + step % 3);
        one.accumulated(0, state);
        parameters.gradients().segment().setAtIndex(JAVA_FLOAT, 0, 2 + step % 5);
        one.gradient(state);
        one.updated(state);
        one.after(step + 1);
      }
      other.restore(one.save());
      assertThat(other.trace()).isEqualTo(one.trace());
      assertThat(other.signal()).isEqualTo(one.signal());
    }
  }
}
