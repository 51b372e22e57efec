package dev.javelin.train.objective;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.javelin.autograd.Tape;
import dev.javelin.autograd.Var;
import dev.javelin.device.Cpu;
import dev.javelin.device.DType;
import dev.javelin.nn.Grouping;
import dev.javelin.nn.Init;
import dev.javelin.nn.ParameterBuffer;
import dev.javelin.nn.Precision;
import dev.javelin.nn.Transformer;
import dev.javelin.nn.TransformerConfig;
import dev.javelin.nn.family.Llama;
import dev.javelin.tensor.Shape;
import dev.javelin.tensor.Tensor;
import dev.javelin.tensor.op.Fill;
import dev.javelin.tensor.step.StepState;
import dev.javelin.tensor.step.Workspace;
import dev.javelin.train.data.Batch;
import dev.javelin.train.data.BatchSource;
import dev.javelin.train.data.TokenSource;
import dev.javelin.train.data.WeightedTargets;
import dev.javelin.train.data.Windows;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class DistillTest {
  private static final int VOCAB = 13;
  private static final int SEQ_LEN = 6;
  private static final int[] TEXT = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 3, 1, 4, 1, 5, 9, 2};

  private static ParameterBuffer<Transformer> model(
      Cpu cpu, int layers, long seed, Grouping grouping) {
    TransformerConfig config = Llama.config(VOCAB, layers, 2, 2, 16, 24, 16);
    ParameterBuffer<Transformer> buffer =
        Transformer.allocate(cpu, config, Precision.FP32, grouping);
    Init.normal(buffer, seed);
    Random random = new Random(seed);
    for (var p : buffer.named().values()) {
      float[] w = p.value().toFloats();
      for (int i = 0; i < w.length; i++) {
        w[i] += 0.3f * (float) random.nextGaussian();
      }
      p.value().fromHost(MemorySegment.ofArray(w));
    }
    return buffer;
  }

  /** The loss and, through the logits, its gradient: both from logits in double. */
  @ParameterizedTest
  @CsvSource({"1, 1", "2, 0.5", "4, 0.9", "1, 0"})
  void isItsFormulaAndSoIsItsGradient(float temperature, float mix) {
    try (Cpu cpu = Cpu.open(1);
        Workspace workspace = Workspace.on(cpu);
        StepState state = StepState.on(cpu);
        ParameterBuffer<Transformer> student = model(cpu, 1, 1, Grouping.decayMatrices(0));
        ParameterBuffer<Transformer> teacher = model(cpu, 2, 2, Grouping.frozen())) {
      BatchSource source =
          BatchSource.once(
              new WeightedTargets(new Windows(TokenSource.of("text", TEXT), SEQ_LEN, VOCAB)));
      Distill objective = new Distill(student.model(), teacher.model(), temperature, mix);
      float[] gradient;
      double loss;
      try (Batch batch = Batch.on(cpu, source.layout(), 4)) { // three windows; one fills up
        batch.load(fields -> source.fill(0, 4, fields));
        state.begin(3, 0, 1e-3f, 1f / source.targets(0, 4));
        Fill.zero(student.gradients());
        workspace.reset();
        Tape tape = new Tape(workspace);
        objective.prepare(batch);
        Var root = objective.loss(tape, batch, state);
        loss = root.value().toFloats()[0];
        tape.backward(root);
        gradient = student.gradients().toFloats();
      }
      double expected = oracle(student, teacher, workspace, temperature, mix);
      assertThat(loss).isCloseTo(expected, within(1e-5 * Math.max(1, expected)));
      double norm = 0;
      for (float g : gradient) {
        norm += (double) g * g;
      }
      norm = Math.sqrt(norm);
      float[] w = student.weights().toFloats();
      double h = 4e-3;
      double[] values = new double[4];
      int[] steps = {-2, -1, 1, 2};
      for (int k = 0; k < 4; k++) {
        float[] moved = w.clone();
        for (int i = 0; i < w.length; i++) {
          moved[i] += (float) (steps[k] * h * gradient[i] / norm);
        }
        student.weights().fromHost(MemorySegment.ofArray(moved));
        values[k] = oracle(student, teacher, workspace, temperature, mix);
      }
      double slope = (8 * (values[2] - values[1]) - (values[3] - values[0])) / (12 * h);
      assertThat(slope).isCloseTo(norm, within(2e-3 * norm));
    }
  }

  private static double oracle(
      ParameterBuffer<Transformer> student,
      ParameterBuffer<Transformer> teacher,
      Workspace workspace,
      double temperature,
      double mix) {
    double sum = 0;
    int count = 0;
    for (int window = 0; window < (TEXT.length - 1) / SEQ_LEN; window++) {
      float[] s = logits(student, workspace, window);
      float[] t = logits(teacher, workspace, window);
      for (int i = 0; i < SEQ_LEN; i++) {
        int at = i * VOCAB;
        int target = TEXT[window * SEQ_LEN + i + 1];
        double hard = logSum(s, at, 1) - s[at + target];
        double divergence = 0;
        for (int v = 0; v < VOCAB; v++) {
          double p = t[at + v] / temperature - logSum(t, at, temperature);
          double q = s[at + v] / temperature - logSum(s, at, temperature);
          divergence += Math.exp(p) * (p - q);
        }
        sum += (1 - mix) * hard + mix * temperature * temperature * divergence;
        count++;
      }
    }
    return sum / count;
  }

  private static double logSum(float[] x, int at, double temperature) {
    double sum = 0;
    for (int v = 0; v < VOCAB; v++) {
      sum += Math.exp(x[at + v] / temperature);
    }
    return Math.log(sum);
  }

  private static float[] logits(
      ParameterBuffer<Transformer> model, Workspace workspace, int window) {
    workspace.reset();
    int[] ids = new int[SEQ_LEN];
    System.arraycopy(TEXT, window * SEQ_LEN, ids, 0, SEQ_LEN);
    Tensor tokens = workspace.alloc(DType.I32, Shape.of(1, SEQ_LEN));
    tokens.fromHost(MemorySegment.ofArray(ids));
    return model
        .model()
        .forward(Tape.inference(workspace), tokens)
        .value()
        .toHost()
        .toArray(ValueLayout.JAVA_FLOAT);
  }

  @Test
  void refusesATeacherOfAnotherVocabulary() {
    try (Cpu cpu = Cpu.open(1);
        ParameterBuffer<Transformer> student = model(cpu, 1, 1, Grouping.frozen());
        ParameterBuffer<Transformer> other =
            Transformer.allocate(
                cpu, Llama.config(14, 1, 2, 2, 16, 24, 16), Precision.FP32, Grouping.frozen())) {
      assertThatThrownBy(() -> new Distill(student.model(), other.model(), 1, 0.5f))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessageContaining("vocabulary of 14");
    }
  }
}
