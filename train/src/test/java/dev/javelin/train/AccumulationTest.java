package dev.javelin.train;

import static org.assertj.core.api.Assertions.assertThat;

import dev.javelin.autograd.Losses;
import dev.javelin.autograd.Tape;
import dev.javelin.device.Cpu;
import dev.javelin.device.DType;
import dev.javelin.device.HostMemory;
import dev.javelin.nn.Pass;
import dev.javelin.nn.Precision;
import dev.javelin.nn.Transformer;
import dev.javelin.nn.TransformerConfig;
import dev.javelin.tensor.Shape;
import dev.javelin.tensor.Tensor;
import dev.javelin.tensor.op.LossOptions;
import dev.javelin.tensor.step.LossScaling;
import dev.javelin.tensor.step.StepState;
import dev.javelin.tensor.step.Workspace;
import dev.javelin.train.optim.AdamW;
import dev.javelin.train.optim.AdamWConfig;
import dev.javelin.train.optim.GradientClip;
import dev.javelin.train.optim.Optimizer;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** One batch of eight, two of four, eight of one: the same step, whatever is masked. */
class AccumulationTest {
  private static final int ROWS = 8;
  private static final int STEPS = 3;
  private static final int IGNORED = -100;

  @ParameterizedTest
  @CsvSource({"2, false", "2, true", "8, false", "8, true"})
  void splitsOfABatchGiveTheSameWeights(int parts, boolean masked) {
    float[] whole = train(1, masked, TransformerConfig.Dropout.NONE);
    assertThat(distance(train(parts, masked, TransformerConfig.Dropout.NONE), whole))
        .isLessThan(2e-6);
  }

  @Test
  void splitsOfABatchDropTheSameElements() {
    TransformerConfig.Dropout dropout = new TransformerConfig.Dropout(0.2, 0, 0.2);
    float[] whole = train(1, true, dropout);
    assertThat(distance(train(4, true, dropout), whole)).isLessThan(2e-6);
    assertThat(distance(train(1, true, TransformerConfig.Dropout.NONE), whole)).isGreaterThan(1e-4);
  }

  /** The weights after some steps; SGD-like where Adam would blow rounding up: a large eps. */
  private static float[] train(int parts, boolean masked, TransformerConfig.Dropout dropout) {
    int batch = ROWS / parts;
    Shape shape = Shape.of(batch, TinyModels.SEQ_LEN);
    try (Cpu cpu = Cpu.open(1);
        Workspace workspace = Workspace.on(cpu);
        StepState state = StepState.on(cpu);
        LanguageModel model =
            TinyModels.model(cpu, TinyModels.llama().withDropout(dropout), Precision.FP32);
        Optimizer optimizer = new AdamW(model.parameters(), new AdamWConfig(0.9f, 0.95f, 1e-2f));
        HostMemory memory = cpu.allocate(2 * DType.I32.bytes(shape.elements()))) {
      Tensor tokens = Tensor.of(memory, 0, DType.I32, shape);
      Tensor targets = Tensor.of(memory, DType.I32.bytes(shape.elements()), DType.I32, shape);
      for (int step = 0; step < STEPS; step++) {
        int[][] rows = rows(step, masked);
        state.begin(11, step, 1e-2f, 1f / valid(rows));
        for (int part = 0; part < parts; part++) {
          state.firstSequence(part * batch);
          fill(tokens, targets, rows, part * batch);
          workspace.reset();
          Tape tape = new Tape(workspace);
          Transformer transformer = model.transformer();
          tape.backward(
              Losses.linearCrossEntropy(
                  transformer.hidden(tape, tokens, Pass.training(state)),
                  transformer.headWeight(tape),
                  targets,
                  LossOptions.PLAIN,
                  state));
        }
        GradientClip.byNorm(1, LossScaling.NONE).run(state, model.parameters().gradients());
        optimizer.step(state);
      }
      Tensor weights = model.parameters().weights();
      return weights.segment().toArray(ValueLayout.JAVA_FLOAT);
    }
  }

  /** Tokens and targets of each row; a mask leaves rows with very unequal shares. */
  private static int[][] rows(int step, boolean masked) {
    Random random = new Random(step);
    int t = TinyModels.SEQ_LEN;
    int[][] rows = new int[ROWS][2 * t];
    for (int r = 0; r < ROWS; r++) {
      for (int i = 0; i < t; i++) {
        rows[r][i] = random.nextInt(TinyModels.VOCAB);
        boolean counts = !masked || i < r % 4 || r == 5 && i == 0;
        rows[r][t + i] = counts ? random.nextInt(TinyModels.VOCAB) : IGNORED;
      }
    }
    return rows;
  }

  private static int valid(int[][] rows) {
    int n = 0;
    for (int[] row : rows) {
      for (int i = TinyModels.SEQ_LEN; i < row.length; i++) {
        n += row[i] == IGNORED ? 0 : 1;
      }
    }
    return n;
  }

  private static void fill(Tensor tokens, Tensor targets, int[][] rows, int first) {
    int t = TinyModels.SEQ_LEN;
    MemorySegment inputs = tokens.segment();
    MemorySegment outputs = targets.segment();
    for (int r = 0; r < tokens.dim(0); r++) {
      MemorySegment.copy(rows[first + r], 0, inputs, ValueLayout.JAVA_INT, 4L * r * t, t);
      MemorySegment.copy(rows[first + r], t, outputs, ValueLayout.JAVA_INT, 4L * r * t, t);
    }
  }

  private static double distance(float[] a, float[] b) {
    double max = 0;
    for (int i = 0; i < a.length; i++) {
      max = Math.max(max, Math.abs(a[i] - b[i]));
    }
    return max;
  }
}
