package dev.javelin.probe;

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
import dev.javelin.device.RequiresEmulator;
import dev.javelin.device.TestCuda;
import dev.javelin.kernels.BundledKernels;
import dev.javelin.nn.Grouping;
import dev.javelin.nn.ParameterBuffer;
import dev.javelin.nn.Precision;
import dev.javelin.nn.Weights;
import dev.javelin.tensor.Parameter;
import dev.javelin.tensor.io.Safetensors;
import dev.javelin.tensor.step.LossScaling;
import dev.javelin.tensor.step.StepState;
import dev.javelin.train.Trainer;
import dev.javelin.train.Training;
import dev.javelin.train.checkpoint.Checkpoint;
import dev.javelin.train.data.Batch;
import dev.javelin.train.data.BatchLayout;
import dev.javelin.train.data.BatchLayout.Field;
import dev.javelin.train.data.BatchSource;
import dev.javelin.train.data.Fields;
import dev.javelin.train.data.Order;
import dev.javelin.train.data.Rows;
import dev.javelin.train.objective.Objective;
import dev.javelin.train.optim.GradientClip;
import dev.javelin.train.run.RunDirectory;
import dev.javelin.train.schedule.Schedule;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Objects;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** An optimizer of a user's own: trained, saved, resumed, and what it computes. */
class OwnOptimizerTest {
  private static final int INPUTS = 5;
  private static final int ROWS = 37;
  private static final int BATCH = 4;
  private static final double RATE = 0.05;
  private static final float MU = 0.9f;

  @TempDir Path dir;

  /** {@code y = W·x}, W [1, D]. */
  record Line(Parameter weight) {}

  /** {@code (W·x − y)²}. */
  record Squares(Line line) implements Objective {
    @Override
    public Var loss(Tape tape, Batch batch, StepState state) {
      Var x = tape.constant(batch.get("x")); // [B, D]
      Var y = tape.constant(batch.get("y")); // [B, 1]
      Var error = Algebra.subtract(Functional.linear(x, tape.param(line.weight), null), y);
      return Losses.stepLoss(Algebra.multiply(error, error), state);
    }
  }

  /** Points near a plane, each a function of its number. */
  static final class Points implements Rows {
    @Override
    public BatchLayout layout() {
      return BatchLayout.of(Field.floats("x", INPUTS), Field.floats("y", 1));
    }

    @Override
    public long count() {
      return ROWS;
    }

    @Override
    public long targets(long row) {
      return 1;
    }

    static float x(long row, int i) {
      return (float) Math.sin(1 + row * (i + 1) * 0.7);
    }

    static float y(long row) {
      float y = 0;
      for (int i = 0; i < INPUTS; i++) {
        y += (i - 1.5f) * x(row, i);
      }
      return y;
    }

    @Override
    public void read(long row, Fields into, int at) {
      for (int i = 0; i < INPUTS; i++) {
        into.row("x", at).setAtIndex(JAVA_FLOAT, i, x(row, i));
      }
      into.row("y", at).set(JAVA_FLOAT, 0, y(row));
    }
  }

  private static ParameterBuffer<Line> line(Device device) {
    return ParameterBuffer.allocate(
        device, Precision.FP32, Grouping.decayMatrices(0), d -> new Line(d.parameter(1, INPUTS)));
  }

  private static Training training(ParameterBuffer<Line> line, int steps) {
    return Training.of(
            line, new Squares(line.model()), BatchSource.endless(new Points(), Order.sequential()))
        .batch(BATCH)
        .optimizer(p -> new Momentum(p, MU))
        .clip(GradientClip.byNorm(Float.POSITIVE_INFINITY, LossScaling.NONE))
        .schedule(new Schedule.Constant(RATE, 0))
        .steps(steps);
  }

  private static float[] weights(ParameterBuffer<Line> line) {
    return line.get("weight").value().toHost().toArray(JAVA_FLOAT);
  }

  private static float[] trained(Device device, int steps) throws IOException {
    try (device;
        ParameterBuffer<Line> line = line(device);
        Trainer trainer = training(line, steps).trainer()) {
      trainer.run();
      return weights(line);
    }
  }

  /** The same in a loop of doubles. */
  private static double[] expected(int steps) {
    double[] w = new double[INPUTS];
    double[] v = new double[INPUTS];
    for (int step = 0; step < steps; step++) {
      double[] g = new double[INPUTS];
      for (int b = 0; b < BATCH; b++) {
        long row = ((long) step * BATCH + b) % ROWS;
        double error = -Points.y(row);
        for (int i = 0; i < INPUTS; i++) {
          error += w[i] * Points.x(row, i);
        }
        for (int i = 0; i < INPUTS; i++) {
          g[i] += 2 * error * Points.x(row, i) / BATCH;
        }
      }
      for (int i = 0; i < INPUTS; i++) {
        v[i] = MU * v[i] + g[i];
        w[i] -= RATE * v[i];
      }
    }
    return w;
  }

  @Test
  void itComputesWhatAPlainLoopDoes() throws IOException {
    for (int steps : new int[] {1, 2, 33}) {
      float[] got = trained(Cpu.open(1), steps);
      double[] want = expected(steps);
      for (int i = 0; i < INPUTS; i++) {
        // A few roundings a step, each at most eps of a weight around 1, and errors decay.
        assertThat((double) got[i]).as("step %d", steps).isCloseTo(want[i], within(1e-5));
      }
    }
    float[] end = trained(Cpu.open(1), 400);
    for (int i = 0; i < INPUTS; i++) {
      assertThat(end[i]).isCloseTo(i - 1.5f, within(1e-3f));
    }
  }

  @Test
  @RequiresEmulator
  void aGpuRecordsItWithItsStep() throws IOException {
    float[] cpu = trained(Cpu.open(1), 12);
    try (Cuda cuda = TestCuda.open(new BundledKernels())) {
      float[] gpu = trained(cuda, 12);
      for (int i = 0; i < INPUTS; i++) {
        assertThat(gpu[i]).isCloseTo(cpu[i], within(1e-5f));
      }
    }
  }

  @Test
  void itGoesOnBitForBit() throws IOException {
    float[] whole = trained(Cpu.open(1), 20);
    try (Cpu cpu = Cpu.open(1);
        RunDirectory run = RunDirectory.claim(dir.resolve("run"))) {
      try (ParameterBuffer<Line> line = line(cpu);
          Trainer trainer = training(line, 9).trainer()) {
        trainer.into(run).run();
      }
      Checkpoint checkpoint = Objects.requireNonNull(run.start("auto", damaged -> {}));
      assertThat(checkpoint.state().sequences()).isEqualTo(9 * BATCH);
      try (Safetensors state =
          Safetensors.open(checkpoint.directory().resolve("optimizer.safetensors"))) {
        assertThat(state.entries().keySet()).containsExactly("velocity.weight");
      }
      try (ParameterBuffer<Line> line = line(cpu);
          Trainer trainer = training(line, 20).trainer().into(run)) {
        Weights.load(line, checkpoint.directory().resolve(Training.WEIGHTS_FILE));
        trainer.resume(checkpoint);
        trainer.run();
        assertThat(weights(line)).isEqualTo(whole);
      }
    }
  }
}
