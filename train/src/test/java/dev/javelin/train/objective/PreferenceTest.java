package dev.javelin.train.objective;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.javelin.autograd.Tape;
import dev.javelin.device.Cpu;
import dev.javelin.device.DType;
import dev.javelin.device.Device;
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
import dev.javelin.train.data.AnswerPairs;
import dev.javelin.train.data.Batch;
import dev.javelin.train.data.BatchSource;
import dev.javelin.train.data.InputException;
import dev.javelin.train.data.PairRows;
import dev.javelin.train.data.TokenSource;
import dev.javelin.train.objective.Preference.Kind;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.Random;
import java.util.function.DoubleSupplier;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class PreferenceTest {
  private static final int VOCAB = 19;
  private static final int SEQ_LEN = 9;
  private static final int[][] PROMPTS = {{1, 2, 3}, {4, 5}, {6, 7, 8}};
  private static final int[][] CHOSEN = {{9, 10, 11}, {12, 3, 1, 2, 9}, {5}};
  private static final int[][] REJECTED = {{13, 2}, {3, 3, 3}, {14, 15, 16, 17}};

  static TransformerConfig config() {
    return Llama.config(VOCAB, 2, 4, 2, 32, 48, 16);
  }

  /** Prompts with answers; the answers are learned. */
  static TokenSource examples(int[][] answers) {
    return new Examples(PROMPTS, answers);
  }

  /** Examples in memory. */
  record Examples(int[][] prompts, int[][] answers) implements TokenSource {
    private int[] ids(int e) {
      int[] ids = Arrays.copyOf(prompts[e], prompts[e].length + answers[e].length);
      System.arraycopy(answers[e], 0, ids, prompts[e].length, answers[e].length);
      return ids;
    }

    @Override
    public String name() {
      return "pairs";
    }

    @Override
    public long size() {
      return exampleStart(prompts.length);
    }

    @Override
    public long examples() {
      return prompts.length;
    }

    @Override
    public boolean isText() {
      return false;
    }

    @Override
    public long exampleStart(long example) {
      long at = 0;
      for (int e = 0; e < example; e++) {
        at += ids(e).length;
      }
      return at;
    }

    @Override
    public void read(long from, int[] into, int count) {
      each(from, count, (i, e, at) -> into[i] = ids(e)[at]);
    }

    @Override
    public void readLearned(long from, boolean[] into, int count) {
      each(from, count, (i, e, at) -> into[i] = at >= prompts[e].length);
    }

    private interface Place {
      void at(int i, int example, int position);
    }

    private void each(long from, int count, Place place) {
      for (int i = 0; i < count; i++) {
        int e = 0;
        while (exampleStart(e + 1L) <= from + i) {
          e++;
        }
        place.at(i, e, (int) (from + i - exampleStart(e)));
      }
    }

    @Override
    public boolean allLearned() {
      return false;
    }

    @Override
    public void close() {}
  }

  private static ParameterBuffer<Transformer> model(Device device, long seed, Grouping grouping) {
    ParameterBuffer<Transformer> buffer =
        Transformer.allocate(device, config(), Precision.FP32, grouping);
    Init.normal(buffer, seed);
    Random random = new Random(seed);
    buffer.named().values().forEach(p -> stir(p.value(), random));
    return buffer;
  }

  /** Weights large enough to tell answers apart. */
  private static void stir(Tensor weights, Random random) {
    float[] w = weights.toFloats();
    for (int i = 0; i < w.length; i++) {
      w[i] += 0.15f * (float) random.nextGaussian();
    }
    weights.fromHost(MemorySegment.ofArray(w));
  }

  private static Preference objective(
      Kind kind, Transformer model, Transformer reference, float beta, float smoothing) {
    return new Preference(model, kind == Kind.ORPO ? null : reference, kind, beta, smoothing);
  }

  @ParameterizedTest
  @CsvSource({"DPO, 0.7, 0", "DPO, 0.1, 0.2", "IPO, 0.4, 0", "ORPO, 0.5, 0"})
  void isItsFormulaAndSoIsItsGradient(Kind kind, float beta, float smoothing) {
    try (Cpu cpu = Cpu.open(1);
        Workspace workspace = Workspace.on(cpu);
        StepState state = StepState.on(cpu);
        ParameterBuffer<Transformer> model = model(cpu, 1, Grouping.decayMatrices(0));
        ParameterBuffer<Transformer> reference = model(cpu, 2, Grouping.frozen())) {
      Preference objective = objective(kind, model.model(), reference.model(), beta, smoothing);
      double[] frozen = new double[6];
      double expected = oracle(kind, beta, smoothing, model, reference, workspace, frozen);
      assertThat((double) loss(objective, model, workspace, state))
          .isCloseTo(expected, within(2e-5 * Math.max(1, Math.abs(expected))));

      float[] gradient = model.gradients().toFloats();
      float[] w = model.weights().toFloats();
      Random random = new Random(9);
      for (int direction = 0; direction < 3; direction++) {
        double norm = 0;
        for (float g : gradient) {
          norm += (double) g * g;
        }
        float[] d = new float[w.length];
        double slope = 0;
        for (int i = 0; i < w.length; i++) { // uphill, each weight as far as chance wants
          d[i] = (float) (2 * random.nextFloat() * gradient[i] / Math.sqrt(norm));
          slope += (double) d[i] * gradient[i];
        }
        DoubleSupplier value =
            () -> oracle(kind, beta, smoothing, model, reference, workspace, frozen);
        double h = 4e-3;
        double near = at(model, w, d, h, value) - at(model, w, d, -h, value);
        double far = at(model, w, d, 2 * h, value) - at(model, w, d, -2 * h, value);
        assertThat((8 * near - far) / (12 * h)).isCloseTo(slope, within(2e-3 * slope));
      }
    }
  }

  private static double at(
      ParameterBuffer<Transformer> model, float[] w, float[] d, double h, DoubleSupplier value) {
    float[] moved = new float[w.length];
    for (int i = 0; i < w.length; i++) {
      moved[i] = (float) (w[i] + h * d[i]);
    }
    model.weights().fromHost(MemorySegment.ofArray(moved));
    double result = value.getAsDouble();
    model.weights().fromHost(MemorySegment.ofArray(w));
    return result;
  }

  private static float loss(
      Preference objective,
      ParameterBuffer<Transformer> model,
      Workspace workspace,
      StepState state) {
    BatchSource source =
        BatchSource.once(
            new PairRows(new AnswerPairs(examples(CHOSEN), examples(REJECTED)), SEQ_LEN, VOCAB));
    try (Batch batch = Batch.on(model.weights().device(), source.layout(), 4)) { // one fills up
      batch.load(fields -> source.fill(0, 4, fields));
      state.begin(3, 0, 1e-3f, 1f / source.targets(0, 4));
      Fill.zero(model.gradients());
      workspace.reset();
      Tape tape = new Tape(workspace);
      objective.prepare(batch);
      var root = objective.loss(tape, batch, state);
      float value = root.value().toFloats()[0];
      tape.backward(root);
      return value;
    }
  }

  /** From the logits of each answer alone, in double. */
  private static double oracle(
      Kind kind,
      float beta,
      float smoothing,
      ParameterBuffer<Transformer> model,
      ParameterBuffer<Transformer> reference,
      Workspace workspace,
      double[] kept) {
    double sum = 0;
    for (int e = 0; e < PROMPTS.length; e++) {
      double c = answer(model, workspace, e, CHOSEN);
      double r = answer(model, workspace, e, REJECTED);
      if (kept[2 * e] == 0) {
        kept[2 * e] = answer(reference, workspace, e, CHOSEN);
        kept[2 * e + 1] = answer(reference, workspace, e, REJECTED);
      }
      double refC = kept[2 * e];
      double refR = kept[2 * e + 1];
      int nc = CHOSEN[e].length;
      int nr = REJECTED[e].length;
      sum +=
          switch (kind) {
            case DPO -> {
              double margin = beta * (c - refC - (r - refR));
              yield -(1 - smoothing) * Math.log(sigmoid(margin))
                  - smoothing * Math.log(sigmoid(-margin));
            }
            case IPO -> Math.pow((c - refC) / nc - (r - refR) / nr - 1 / (2.0 * beta), 2);
            case ORPO -> {
              double pc = Math.exp(c / nc);
              double pr = Math.exp(r / nr);
              double ratio = Math.log(pc / (1 - pc)) - Math.log(pr / (1 - pr));
              yield -c / nc - beta * Math.log(sigmoid(ratio));
            }
          };
    }
    return sum / PROMPTS.length;
  }

  private static double sigmoid(double x) {
    return 1 / (1 + Math.exp(-x));
  }

  private static double answer(
      ParameterBuffer<Transformer> model, Workspace workspace, int e, int[][] answers) {
    int[] ids = Arrays.copyOf(PROMPTS[e], PROMPTS[e].length + answers[e].length);
    System.arraycopy(answers[e], 0, ids, PROMPTS[e].length, answers[e].length);
    workspace.reset();
    Tensor tokens = workspace.alloc(DType.I32, Shape.of(1, ids.length));
    tokens.fromHost(MemorySegment.ofArray(ids));
    float[] logits =
        model
            .model()
            .forward(Tape.inference(workspace), tokens)
            .value()
            .toHost()
            .toArray(ValueLayout.JAVA_FLOAT);
    double sum = 0;
    for (int t = PROMPTS[e].length - 1; t + 1 < ids.length; t++) {
      double total = 0;
      for (int v = 0; v < VOCAB; v++) {
        total += Math.exp(logits[t * VOCAB + v]);
      }
      sum += logits[t * VOCAB + ids[t + 1]] - Math.log(total);
    }
    return sum;
  }

  @Test
  void startsAtLog2WhereModelAndReferenceAreOne() {
    try (Cpu cpu = Cpu.open(1);
        Workspace workspace = Workspace.on(cpu);
        StepState state = StepState.on(cpu);
        ParameterBuffer<Transformer> model = model(cpu, 1, Grouping.decayMatrices(0));
        ParameterBuffer<Transformer> same = model(cpu, 1, Grouping.frozen())) {
      Preference dpo = new Preference(model.model(), same.model(), Kind.DPO, 0.1f, 0);
      assertThat((double) loss(dpo, model, workspace, state)).isCloseTo(Math.log(2), within(1e-6));
    }
  }

  @Test
  void refusesWhatMakesNoPairs() {
    assertThatThrownBy(
            () ->
                new PairRows(
                    new AnswerPairs(examples(CHOSEN), examples(new int[][] {{}, {}, {}})),
                    SEQ_LEN,
                    VOCAB))
        .isInstanceOf(InputException.class);
    assertThatThrownBy(() -> objectiveWith(null, Kind.DPO))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("needs a reference");
  }

  private static Preference objectiveWith(@Nullable Transformer reference, Kind kind) {
    try (Cpu cpu = Cpu.open(1);
        ParameterBuffer<Transformer> model = model(cpu, 1, Grouping.frozen())) {
      return new Preference(model.model(), reference, kind, 0.1f, 0);
    }
  }
}
