package dev.javelin.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.javelin.autograd.Tape;
import dev.javelin.device.Cpu;
import dev.javelin.device.Device;
import dev.javelin.device.RequiresCuda;
import dev.javelin.device.TestCuda;
import dev.javelin.kernels.BundledKernels;
import dev.javelin.nn.Precision;
import dev.javelin.nn.TransformerConfig;
import dev.javelin.nn.family.Gpt2;
import dev.javelin.nn.family.Llama;
import dev.javelin.nn.family.Qwen3;
import dev.javelin.tensor.op.Fill;
import dev.javelin.tensor.step.StepState;
import dev.javelin.tensor.step.Workspace;
import dev.javelin.train.data.Batch;
import dev.javelin.train.data.BatchSource;
import dev.javelin.train.data.Dataset;
import dev.javelin.train.data.ExampleBuffer;
import dev.javelin.train.data.Order;
import dev.javelin.train.data.PackedExamples;
import dev.javelin.train.data.PaddedExamples;
import dev.javelin.train.data.Rows;
import dev.javelin.train.data.TokenSource;
import dev.javelin.train.monitor.StepMetrics;
import dev.javelin.train.monitor.Watcher;
import dev.javelin.train.objective.NextToken;
import dev.javelin.train.objective.Objective;
import dev.javelin.train.settings.DataSpec;
import dev.javelin.train.settings.RunSettings;
import java.io.IOException;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Examples packed into rows, padded, or each alone: the same loss, the same gradient. */
class PackedTrainingTest {
  private static final int VOCAB = 31;
  private static final int SEQ_LEN = 24;

  static Map<String, TransformerConfig> models() {
    TransformerConfig llama = Llama.config(VOCAB, 2, 4, 2, 32, 48, SEQ_LEN);
    return Map.of(
        "llama", llama,
        "qwen3 with a window of 3",
            llama.with(
                b ->
                    b.family(new Qwen3())
                        .attention(new TransformerConfig.Attention(4, 2, 8, 3, true))),
        "gpt2", Gpt2.config(VOCAB, 2, 4, 32, SEQ_LEN));
  }

  private static TransformerConfig model(String name) {
    return Objects.requireNonNull(models().get(name), name);
  }

  static List<String> names() {
    return models().keySet().stream().sorted().toList();
  }

  /** Sixteen examples of 2 to 24 tokens, of which the latter part is learned. */
  private static TokenSource examples(int from, int to) {
    ExampleBuffer buffer = new ExampleBuffer();
    for (int e = from; e < to; e++) {
      int length = 2 + 7 * e % 23;
      buffer.begin();
      for (int t = 0; t < length; t++) {
        buffer.accept((3 * e + 5 * t + t * t) % VOCAB, t >= length / 3);
      }
    }
    return buffer.finish("examples", e -> "example " + e);
  }

  @ParameterizedTest
  @MethodSource("names")
  void packedIsUnpacked(String model) {
    try (Cpu cpu = Cpu.open(2)) {
      packedIsUnpacked(cpu, model(model));
    }
  }

  @ParameterizedTest
  @MethodSource("names")
  @RequiresCuda
  void packedIsUnpackedOnCuda(String model) {
    try (Device cuda = TestCuda.open(new BundledKernels())) {
      packedIsUnpacked(cuda, model(model));
    }
  }

  private static void packedIsUnpacked(Device device, TransformerConfig config) {
    Rows packed = new PackedExamples(examples(0, 16), SEQ_LEN, VOCAB);
    assertThat(packed.count()).isLessThan(10);
    try (LanguageModel model = TinyModels.model(device, config, Precision.FP32);
        StepState state = StepState.on(device)) {
      long targets = targets(packed);
      List<Rows> alone = new ArrayList<>();
      for (int e = 0; e < 16; e++) {
        TokenSource one = examples(e, e + 1);
        alone.add(new PaddedExamples(one, (int) one.size() - 1, VOCAB)); // without padding
      }
      assertThat(alone.stream().mapToLong(r -> targets(r)).sum()).isEqualTo(targets);
      float[] expected = run(model, state, targets, alone);
      double largest = 0;
      for (int i = 1; i < expected.length; i++) {
        largest = Math.max(largest, Math.abs(expected[i]));
      }
      assertThat(largest).isGreaterThan(1e-2);
      Rows padded = new PaddedExamples(examples(0, 16), SEQ_LEN, VOCAB);
      for (Rows rows : List.of(packed, padded)) {
        float[] got = run(model, state, targets, List.of(rows));
        assertThat((double) got[0]).isCloseTo(expected[0], within(1e-6 * expected[0]));
        for (int i = 1; i < got.length; i++) {
          double off = Math.abs(got[i] - expected[i]) / largest; // a sum's order: some ulps
          assertThat(off).as("%s, gradient %d", rows, i).isLessThan(4e-6);
        }
      }
    }
  }

  private static long targets(Rows rows) {
    return BatchSource.once(rows).targets(0, (int) rows.count());
  }

  /** The loss and the gradient of batches together. */
  private static float[] run(
      LanguageModel model, StepState state, long targets, List<Rows> batches) {
    Device device = model.parameters().weights().device();
    Objective objective = new NextToken(model.transformer());
    Fill.zero(model.parameters().gradients());
    state.begin(1, 0, 0, 1f / targets);
    for (Rows rows : batches) {
      int count = (int) rows.count();
      try (Workspace workspace = Workspace.poisoned(device, 16 << 20);
          Batch batch = Batch.on(device, rows.layout(), count)) {
        batch.load(fields -> BatchSource.once(rows).fill(0, count, fields));
        objective.prepare(batch);
        Tape tape = new Tape(workspace);
        tape.backward(objective.loss(tape, batch, state));
        device.synchronize();
      }
    }
    float[] gradient = model.parameters().gradients().toHost().toArray(ValueLayout.JAVA_FLOAT);
    float[] result = new float[gradient.length + 1];
    result[0] = (float) state.loss();
    System.arraycopy(gradient, 0, result, 1, gradient.length);
    return result;
  }

  /** Rows of examples go through the loop, whose lines tell real tokens and padding. */
  @Test
  void theLogTellsTokensAndPadding() throws IOException {
    RunSettings settings =
        TinyModels.settings(5)
            .withBatch(b -> b.withSeqLen(SEQ_LEN).withBatchSize(2))
            .withData(d -> d.withOrder(DataSpec.Order.SEQUENTIAL));
    TokenSource source = examples(0, 16);
    for (boolean packing : new boolean[] {true, false}) {
      List<StepMetrics> lines = new ArrayList<>();
      try (Cpu cpu = Cpu.open(1);
          LanguageModel model = TinyModels.model(cpu, model("llama"), Precision.FP32);
          Trainer trainer =
              TextTraining.of(
                      model,
                      new Dataset(source, source, null),
                      settings.withData(d -> d.withPacking(packing)))
                  .trainer()) {
        trainer
            .watch(
                new Watcher() {
                  @Override
                  public void logged(StepMetrics metrics) {
                    lines.add(metrics);
                  }
                })
            .run();
      }
      Rows rows = TextTraining.rows(source, SEQ_LEN, VOCAB, packing);
      BatchSource places = BatchSource.endless(rows, Order.sequential());
      long seen = 0;
      for (int i = 0; i < 5; i++) {
        seen += places.targets(2 * i, 2);
        assertThat(lines.get(i).tokens()).isEqualTo(seen);
        double padding = places.padding(2 * i, 2);
        double all = padding + places.tokens(2 * i, 2);
        assertThat(packing ? all : 2 * SEQ_LEN).isEqualTo(2 * SEQ_LEN);
        assertThat(lines.get(i).padding()).isEqualTo(padding / all);
      }
      assertThat(packing || lines.stream().anyMatch(l -> l.padding() > 0)).isTrue();
      assertThat(lines.getLast().evalLoss()).isNotNull();
    }
  }

  /** Steps of several widths, each recorded by itself, against the CPU, which records none. */
  @Test
  @RequiresCuda
  void everyWidthIsRecorded() throws IOException {
    try (Cpu cpu = Cpu.open(2);
        Device cuda = TestCuda.open(new BundledKernels())) {
      List<StepMetrics> expected = padded(cpu);
      List<StepMetrics> got = padded(cuda);
      assertThat(expected.stream().map(StepMetrics::padding).distinct().count()).isGreaterThan(3);
      for (int i = 0; i < expected.size(); i++) {
        assertThat(got.get(i).padding()).isEqualTo(expected.get(i).padding());
        assertThat(got.get(i).loss()).isCloseTo(expected.get(i).loss(), within(1e-3));
      }
    }
  }

  /** Thirty steps over padded examples, evaluated twice. */
  private static List<StepMetrics> padded(Device device) throws IOException {
    TokenSource source = examples(0, 16);
    RunSettings settings =
        TinyModels.settings(30)
            .withBatch(b -> b.withSeqLen(SEQ_LEN).withBatchSize(2).withGradientAccumulationSteps(2))
            .withRun(r -> r.withEvalEvery(15))
            .withSchedule(s -> s.withLearningRate(1e-3))
            .withData(d -> d.withPacking(false));
    List<StepMetrics> lines = new ArrayList<>();
    try (LanguageModel model = TinyModels.model(device, model("llama"), Precision.FP32);
        Trainer trainer =
            TextTraining.of(model, new Dataset(source, source, null), settings).trainer()) {
      trainer
          .watch(
              new Watcher() {
                @Override
                public void logged(StepMetrics metrics) {
                  lines.add(metrics);
                }
              })
          .run();
    }
    return lines;
  }
}
