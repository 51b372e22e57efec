package dev.javelin.example.handbook;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.javelin.autograd.Tape;
import dev.javelin.autograd.Var;
import dev.javelin.device.Cpu;
import dev.javelin.device.DType;
import dev.javelin.nn.Grouping;
import dev.javelin.nn.Init;
import dev.javelin.nn.ParameterBuffer;
import dev.javelin.nn.Precision;
import dev.javelin.tensor.Grad;
import dev.javelin.tensor.Shape;
import dev.javelin.tensor.Tensor;
import dev.javelin.tensor.op.LossOptions;
import dev.javelin.tensor.step.Workspace;
import dev.javelin.train.Trainer;
import dev.javelin.train.Training;
import dev.javelin.train.data.BatchSource;
import dev.javelin.train.data.Order;
import dev.javelin.train.schedule.Schedule;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;

/**
 * The handbook's objective: its formula, its gradient, and that it does not see how batches are
 * cut.
 */
class FocalLossTest {
  private static final int ROWS = 7;
  private static final int CLASSES = 10;

  private static double focal(double[] logits, int row, int digit) {
    double sum = 0;
    for (int c = 0; c < CLASSES; c++) {
      sum += Math.exp(logits[row * CLASSES + c]);
    }
    double p = Math.exp(logits[row * CLASSES + digit]) / sum;
    return -(1 - p) * (1 - p) * Math.log(p);
  }

  @Test
  void itIsItsFormulaAndSoIsItsGradient() {
    Random random = new Random(1);
    int[] digits = {0, 3, 9, LossOptions.IGNORED, 1, 7, 7};
    double[] logits = new double[ROWS * CLASSES];
    float[] given = new float[logits.length];
    for (int i = 0; i < logits.length; i++) {
      given[i] = 2 * random.nextFloat() - 1;
      logits[i] = given[i];
    }
    float[] losses;
    float[] gradient;
    try (Cpu cpu = Cpu.open(1);
        Workspace workspace = Workspace.on(cpu, 1 << 20)) {
      Tensor x = workspace.alloc(DType.F32, Shape.of(ROWS, CLASSES), "the test");
      Tensor dx = workspace.alloc(DType.F32, Shape.of(ROWS, CLASSES), "the test");
      Tensor t = workspace.alloc(DType.I32, Shape.of(ROWS), "the test");
      Tensor ones = workspace.alloc(DType.F32, Shape.of(ROWS), "the test");
      x.fromHost(MemorySegment.ofArray(given));
      t.fromHost(MemorySegment.ofArray(digits));
      ones.fromHost(MemorySegment.ofArray(new float[] {1, 1, 1, 1, 1, 1, 1}));
      Tape tape = new Tape(workspace);
      Var out = FocalLoss.losses(tape.leaf(x, new Grad(dx, false)), t);
      losses = out.value().toFloats();
      tape.backward(List.of(out), List.of(ones));
      gradient = dx.toFloats();
    }
    double h = 1e-5;
    for (int r = 0; r < ROWS; r++) {
      boolean counts = digits[r] != LossOptions.IGNORED;
      double want = counts ? focal(logits, r, digits[r]) : 0;
      assertThat((double) losses[r]).isCloseTo(want, within(2e-6));
      for (int i = r * CLASSES; i < (r + 1) * CLASSES; i++) {
        double slope = 0;
        if (counts) {
          double at = logits[i];
          logits[i] = at + h;
          slope += focal(logits, r, digits[r]) / (2 * h);
          logits[i] = at - h;
          slope -= focal(logits, r, digits[r]) / (2 * h);
          logits[i] = at;
        }
        assertThat((double) gradient[i]).isCloseTo(slope, within(2e-6));
      }
    }
  }

  private static float[] trained(int rows, int parts, int steps) throws IOException {
    try (Cpu cpu = Cpu.open(2);
        var parameters =
            ParameterBuffer.allocate(
                cpu, Precision.FP32, Grouping.decayMatrices(0), Digits.Reader::declare)) {
      Init.normal(parameters, 1);
      BatchSource source = BatchSource.endless(new Digits.Drawings(1, 20_000), Order.sequential());
      try (Trainer trainer =
          Training.of(parameters, new FocalLoss(parameters.model()), source)
              .batch(rows)
              .accumulate(parts)
              .schedule(new Schedule.Constant(5e-3, 10))
              .steps(steps)
              .trainer()) {
        trainer.run();
      }
      if (steps > 100) {
        Digits.Drawings held = new Digits.Drawings(2, 1000);
        assertThat(Digits.accuracy(cpu, parameters.model(), held)).isGreaterThan(0.95);
      }
      return parameters.weights().toFloats();
    }
  }

  @Test
  void theDigitsAreLearnt() throws IOException {
    trained(64, 1, 600);
  }

  /** After one step only the order of sums differs; AdamW moves each weight by the rate at most. */
  @Test
  void aBatchInPartsIsTheSameBatch() throws IOException {
    float[] whole = trained(24, 1, 1);
    float[] parts = trained(8, 3, 1);
    int apart = 0;
    for (int i = 0; i < whole.length; i++) {
      apart += Math.abs(whole[i] - parts[i]) > 1e-6 ? 1 : 0;
    }
    assertThat(apart).isLessThan(whole.length / 100); // gradients near 0, whose direction rounds
  }
}
