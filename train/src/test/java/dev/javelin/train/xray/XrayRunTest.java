package dev.javelin.train.xray;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.javelin.autograd.Losses;
import dev.javelin.autograd.Tape;
import dev.javelin.device.Cpu;
import dev.javelin.device.DType;
import dev.javelin.device.Memory;
import dev.javelin.nn.ParameterBuffer;
import dev.javelin.nn.Pass;
import dev.javelin.nn.Precision;
import dev.javelin.nn.TransformerConfig;
import dev.javelin.nn.family.Gpt2;
import dev.javelin.tensor.Parameter;
import dev.javelin.tensor.Shape;
import dev.javelin.tensor.Tensor;
import dev.javelin.tensor.op.Fill;
import dev.javelin.tensor.op.LossOptions;
import dev.javelin.tensor.step.StepState;
import dev.javelin.tensor.step.Workspace;
import dev.javelin.train.LanguageModel;
import dev.javelin.train.Trainer;
import dev.javelin.train.Training;
import dev.javelin.train.data.BatchSource;
import dev.javelin.train.data.Order;
import dev.javelin.train.data.TokenSource;
import dev.javelin.train.data.Windows;
import dev.javelin.train.hook.After;
import dev.javelin.train.hook.StepHook;
import dev.javelin.train.objective.NextToken;
import dev.javelin.train.optim.FlatState;
import dev.javelin.train.optim.Optimizer;
import dev.javelin.train.schedule.Schedule;
import dev.javelin.train.settings.RunSettings;
import dev.javelin.train.xray.Xray.ParameterFacts;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** An X-ray between two steps of a training. */
class XrayRunTest {
  private static final int AT = 3;
  private static final double RATE = 3e-3;
  private static final String TEXT = "abc abd";

  /** Learned positions, biases, dropout. */
  private static TransformerConfig config() {
    return Gpt2.config(256, 2, 2, 16, 16).withDropout(new TransformerConfig.Dropout(0.1, 0.1, 0.1));
  }

  private static RunSettings settings(String rule) {
    return RunSettings.DEFAULT
        .withOptimizer(o -> o.withOptimizer(rule))
        .withSchedule(s -> s.withLearningRate(RATE));
  }

  /** Looks after some steps, or only goes along. */
  private static final class Looking implements StepHook {
    private final Optimizer optimizer;
    private final Runnable atStep;
    private StepState.@Nullable Carried carried;

    Looking(Optimizer optimizer, Runnable atStep) {
      this.optimizer = optimizer;
      this.atStep = atStep;
    }

    @Override
    public String name() {
      return "looking";
    }

    @Override
    public void updated(StepState state) {
      carried = state.carried();
    }

    @Override
    public After after(long step) {
      if (step == AT) {
        atStep.run();
      }
      return After.GO_ON;
    }
  }

  /** What a training of a few steps leaves, and what was seen in its middle. */
  private static final class Run {
    final List<byte[]> left = new ArrayList<>();
    @Nullable Xray seen;
    @Nullable Looking hook;
  }

  private interface Middle {
    void look(LanguageModel model, Run run);
  }

  private static Run run(String rule, Precision precision, @Nullable Middle middle)
      throws IOException {
    Run run = new Run();
    RunSettings settings = settings(rule);
    int[] ids = IntStream.range(0, 400).map(i -> "abcd efg".charAt(i * i % 8)).toArray();
    try (Cpu cpu = Cpu.open(1);
        LanguageModel model =
            LanguageModel.create(
                cpu,
                config(),
                precision,
                settings.optimizer().groups(),
                5,
                XrayFixture.TOKENIZER)) {
      Optimizer[] made = new Optimizer[1];
      try (Trainer trainer =
          Training.of(
                  model.parameters(),
                  new NextToken(model.transformer()),
                  BatchSource.endless(
                      new Windows(TokenSource.of("pattern", ids), 16, 256), Order.sequential()))
              .batch(2)
              .optimizer(p -> made[0] = settings.optimizer().create(p, settings.rule().constants()))
              .clip(settings.optimizer().clip(precision.lossScaling()))
              .schedule(new Schedule.Constant(RATE, 0))
              .steps(2 * AT)
              .hook(
                  (p, optimizer) ->
                      run.hook =
                          new Looking(
                              optimizer,
                              () -> {
                                if (middle != null) {
                                  middle.look(model, run);
                                }
                              }))
              .trainer()) {
        trainer.run();
        for (ParameterBuffer.Flat flat : model.parameters().flats()) {
          run.left.add(bytes(flat.weights()));
          if (flat.master() != null) {
            run.left.add(bytes(flat.master()));
          }
        }
        made[0].state().forEach(s -> run.left.add(bytes(s.buffer())));
      }
    }
    return run;
  }

  private static byte[] bytes(Tensor t) {
    return t.segment().toArray(ValueLayout.JAVA_BYTE);
  }

  private static void look(LanguageModel model, String rule, Run run) {
    Looking hook = Objects.requireNonNull(run.hook);
    run.seen =
        XrayFixture.step(model, settings(rule))
            .during(hook.optimizer, AT, RATE, Objects.requireNonNull(hook.carried))
            .on(TEXT);
  }

  @ParameterizedTest
  @CsvSource({"adamw, FP32", "adamw, BF16", "adamw, FP16", "adamw8bit, FP32", "muon, FP32"})
  void aRunWithOneInTheMiddleHasTheSameBits(String rule, String precision) throws IOException {
    Precision numbers = Precision.named(precision.toLowerCase(Locale.ROOT));
    Run plain = run(rule, numbers, null);
    Run looked = run(rule, numbers, (model, run) -> look(model, rule, run));
    assertThat(Objects.requireNonNull(looked.seen).subject().step()).isEqualTo(AT);
    assertThat(looked.seen.clip().skipped()).isFalse();
    assertThat(looked.seen.loss().after()).isLessThan(looked.seen.loss().before());
    assertThat(looked.left).hasSameSizeAs(plain.left);
    for (int i = 0; i < plain.left.size(); i++) {
      assertThat(Arrays.equals(looked.left.get(i), plain.left.get(i))).isTrue();
    }
  }

  /** The update of the step after the third one, by hand, with moments that are not zero. */
  @Test
  void theUpdateIsAdamWsFormula() throws IOException {
    run("adamw", Precision.FP32, XrayRunTest::byHand);
  }

  private static void byHand(LanguageModel model, Run run) {
    Optimizer rule = Objects.requireNonNull(run.hook).optimizer;
    Map<String, double[]> gradients = gradients(model);
    Map<String, FlatState> state =
        rule.state().stream().collect(Collectors.toMap(FlatState::name, s -> s));
    double square = 0;
    for (double[] g : gradients.values()) {
      square += squares(g);
    }
    double factor = Math.min(1, 1 / (Math.sqrt(square) + 1e-6));
    look(model, "adamw", run);
    Xray x = Objects.requireNonNull(run.seen);
    assertThat(x.clip().norm()).isCloseTo(Math.sqrt(square), within(1e-6 * Math.sqrt(square)));
    assertThat(x.clip().threshold()).isEqualTo(1);
    assertThat(x.clip().factor()).isCloseTo(factor, within(1e-6));

    double bias1 = 1 - Math.pow(0.9, AT + 1);
    double bias2 = 1 - Math.pow(0.95, AT + 1);
    try (LanguageModel moved =
        LanguageModel.create(
            model.device(),
            config(),
            Precision.FP32,
            settings("adamw").optimizer().groups(),
            1,
            null)) {
      for (ParameterFacts facts : x.parameters()) {
        Parameter p = model.parameters().get(facts.name());
        double[] g = Objects.requireNonNull(gradients.get(facts.name()));
        float[] w = p.value().toFloats();
        float[] m = Objects.requireNonNull(state.get("exp_avg")).part(p).toFloats();
        float[] v = Objects.requireNonNull(state.get("exp_avg_sq")).part(p).toFloats();
        double decay = w.length > 0 && p.shape().rank() >= 2 ? 0.1 : 0;
        double[] update = new double[w.length];
        double sumM = 0;
        double sumV = 0;
        float[] after = new float[w.length];
        for (int i = 0; i < w.length; i++) {
          double clipped = g[i] * factor;
          double mNow = 0.9 * m[i] + 0.1 * clipped;
          double vNow = 0.95 * v[i] + 0.05 * clipped * clipped;
          update[i] =
              -RATE * decay * w[i] - RATE * (mNow / bias1) / (Math.sqrt(vNow / bias2) + 1e-8);
          sumM += mNow * mNow;
          sumV += vNow;
          after[i] = (float) (w[i] + update[i]);
        }
        moved.parameters().put(moved.parameters().get(facts.name()), 0, after, after.length);
        double n = w.length;
        double weights = 0;
        for (float value : w) {
          weights += (double) value * value;
        }
        close(facts.weightNorm(), Math.sqrt(weights), 1e-9);
        close(facts.weightRms(), Math.sqrt(weights / n), 1e-9);
        close(facts.updateRms(), Math.sqrt(squares(update) / n), 1e-3);
        close(facts.updateRatio(), Math.sqrt(squares(update) / weights), 1e-3);
        close(facts.momentRms(), Math.sqrt(sumM / n), 1e-4);
        close(facts.rootVarianceRms(), Math.sqrt(sumV / n), 1e-4);
        assertThat(facts.decay()).isCloseTo(decay, within(1e-8));
        assertThat(facts.learningRate()).isEqualTo(RATE);
        assertThat(facts.frozen()).isFalse();
      }
      assertThat(x.loss().after()).isCloseTo(loss(moved, moved.parameters()), within(1e-5));
      assertThat(x.loss().before()).isCloseTo(loss(model, model.parameters()), within(1e-6));
    }
  }

  private static void close(double got, double expected, double relative) {
    assertThat(got).isCloseTo(expected, within(relative * Math.abs(expected) + 1e-15));
  }

  private static double squares(double[] x) {
    return Arrays.stream(x).map(v -> v * v).sum();
  }

  /** Gradients of the loss of {@link #TEXT}, of a pass of its own, by parameter. */
  private static Map<String, double[]> gradients(LanguageModel model) {
    loss(model, model.parameters(), true);
    Map<String, double[]> all =
        model.parameters().named().values().stream()
            .collect(
                Collectors.toMap(
                    Parameter::name, p -> Sums.doubles(Objects.requireNonNull(p.grad()))));
    Fill.zero(model.parameters().gradients());
    return all;
  }

  private static double loss(LanguageModel model, ParameterBuffer<?> parameters) {
    return loss(model, parameters, false);
  }

  private static double loss(LanguageModel model, ParameterBuffer<?> parameters, boolean train) {
    int[] ids = XrayFixture.TOKENIZER.encode(TEXT);
    int[] targets = Arrays.copyOfRange(ids, 1, ids.length + 1);
    targets[ids.length - 1] = LossOptions.IGNORED;
    try (Workspace workspace = Workspace.on(parameters.device());
        StepState state = StepState.on(parameters.device());
        Memory memory = parameters.device().allocate(8L * ids.length)) {
      Tensor tokens = Tensor.of(memory, 0, DType.I32, Shape.of(1, ids.length));
      Tensor next = Tensor.of(memory, 4L * ids.length, DType.I32, Shape.of(1, ids.length));
      tokens.fromHost(MemorySegment.ofArray(ids));
      next.fromHost(MemorySegment.ofArray(targets));
      state.begin(1, 0, 0, 1f / (ids.length - 1));
      Tape tape = train ? new Tape(workspace) : Tape.inference(workspace);
      var loss =
          Losses.linearCrossEntropy(
              model.transformer().hidden(tape, tokens, Pass.PLAIN),
              model.transformer().headWeight(tape),
              next,
              model.transformer().lossOptions(),
              state);
      if (train) {
        tape.backward(loss);
      }
      return state.loss();
    }
  }
}
