package dev.javelin.nn;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.javelin.autograd.Tape;
import dev.javelin.device.Cpu;
import dev.javelin.device.DType;
import dev.javelin.device.Memory;
import dev.javelin.nn.TransformerConfig.Dropout;
import dev.javelin.nn.family.Gpt2;
import dev.javelin.nn.family.Llama;
import dev.javelin.tensor.FlatWeights;
import dev.javelin.tensor.Shape;
import dev.javelin.tensor.Tensor;
import dev.javelin.tensor.op.AdamW;
import dev.javelin.tensor.op.GlobalNorm;
import dev.javelin.tensor.op.LossOptions;
import dev.javelin.tensor.step.LossScaling;
import dev.javelin.tensor.step.StepState;
import dev.javelin.tensor.step.Workspace;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class TransformerTest {
  private static final TransformerConfig LLAMA = Llama.config(31, 2, 4, 2, 32, 48, 16);
  private static final TransformerConfig GPT2 = Gpt2.config(31, 2, 4, 32, 16);

  /** A model, its optimizer state and one step of eight sequences with some targets ignored. */
  private static final class Bench implements AutoCloseable {
    static final int SEQUENCES = 8;

    final Cpu cpu;
    final ParameterBuffer<Transformer> buffer;
    final Workspace workspace;
    final StepState state;
    final Memory moments;
    final Memory batch;
    final int seqLen;
    final int valid;
    Transformer model;

    Bench(TransformerConfig config, Precision precision, int threads) {
      cpu = Cpu.open(threads);
      buffer = Transformer.allocate(cpu, config, precision, Grouping.decayMatrices(0.1f));
      Init.normal(buffer, 5);
      model = buffer.model();
      workspace = Workspace.poisoned(cpu, 64 << 20);
      state = StepState.on(cpu);
      moments = cpu.allocate(2 * DType.F32.bytes(buffer.flat().elements()));
      seqLen = config.positions();
      batch = cpu.allocate(2L * 4 * SEQUENCES * seqLen);
      SplittableRandom random = new SplittableRandom(11);
      int count = 0;
      for (int i = 0; i < SEQUENCES * seqLen; i++) {
        boolean ignored = random.nextInt(5) == 0;
        int target = ignored ? LossOptions.IGNORED : random.nextInt(config.vocab());
        put(i, random.nextInt(config.vocab()));
        put(SEQUENCES * seqLen + i, target);
        count += ignored ? 0 : 1;
      }
      valid = count;
    }

    private void put(int i, int value) {
      Tensor all = Tensor.of(batch, 0, DType.I32, Shape.of(2 * SEQUENCES * seqLen));
      all.segment().setAtIndex(ValueLayout.JAVA_INT, i, value);
    }

    Tensor tokens(int first, int count) {
      return Tensor.of(batch, 4L * first * seqLen, DType.I32, Shape.of(count, seqLen));
    }

    Tensor targets(int first, int count) {
      long offset = 4L * (SEQUENCES + first) * seqLen;
      return Tensor.of(batch, offset, DType.I32, Shape.of(count, seqLen));
    }

    /** The gradient of one step, in micro-batches of {@code micro} sequences. */
    void gradient(int step, int micro) {
      state.begin(99, step, 1e-2f, 1f / valid);
      for (int first = 0; first < SEQUENCES; first += micro) {
        state.firstSequence(first);
        workspace.reset();
        Tape tape = new Tape(workspace);
        tape.backward(
            NextTokenLoss.of(model, tape, tokens(first, micro), targets(first, micro), state));
      }
    }

    double step(int step) {
      gradient(step, SEQUENCES);
      GlobalNorm.run(state, buffer.gradients(), 1f, LossScaling.NONE);
      Tensor m = Tensor.of(moments, 0, DType.F32, buffer.flat());
      Tensor v = Tensor.of(moments, moments.byteSize() / 2, DType.F32, buffer.flat());
      AdamW.step(
          new FlatWeights(buffer.weights(), buffer.master(), buffer.gradients(), buffer.segments()),
          m,
          v,
          state,
          0.9f,
          0.99f,
          1e-8f);
      return state.loss();
    }

    double evaluate() {
      state.begin(99, 0, 0, 1f / valid);
      workspace.reset();
      NextTokenLoss.of(
          model, Tape.inference(workspace), tokens(0, SEQUENCES), targets(0, SEQUENCES), state);
      return state.loss();
    }

    float[] gradients() {
      return buffer.gradients().segment().toArray(ValueLayout.JAVA_FLOAT);
    }

    @Override
    public void close() {
      batch.close();
      moments.close();
      state.close();
      workspace.close();
      buffer.close();
      cpu.close();
    }
  }

  private static TransformerConfig config(String name) {
    return name.equals("gpt2") ? GPT2 : LLAMA;
  }

  @ParameterizedTest
  @ValueSource(strings = {"gpt2", "llama"})
  void overfitsOneBatch(String name) {
    try (Bench b = new Bench(config(name), Precision.FP32, 2)) {
      double first = b.step(0);
      double last = first;
      for (int i = 1; i < 60; i++) {
        last = b.step(i);
      }
      assertThat(first).isBetween(3.3, 3.6); // ln 31 = 3.43
      assertThat(last).isLessThan(0.5);
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"fp32", "bf16"})
  void threeStepsGiveTheSameBitsForAnyNumberOfThreads(String precision) {
    TransformerConfig config = GPT2.withDropout(new Dropout(0.1, 0.1, 0.1));
    try (Bench one = new Bench(config, Precision.named(precision), 1)) {
      for (int i = 0; i < 3; i++) {
        one.step(i);
      }
      for (int threads : new int[] {2, 4}) {
        try (Bench many = new Bench(config, Precision.named(precision), threads)) {
          for (int i = 0; i < 3; i++) {
            many.step(i);
          }
          assertThat(many.state.loss()).isEqualTo(one.state.loss());
          MemorySegment weights = many.buffer.weights().segment();
          assertThat(weights.mismatch(one.buffer.weights().segment())).isEqualTo(-1);
        }
      }
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"gpt2", "llama"})
  void microBatchesGiveTheGradientOfTheWholeStep(String name) {
    TransformerConfig config = config(name).withDropout(new Dropout(0.2, 0.2, 0.2));
    try (Bench whole = new Bench(config, Precision.FP32, 2)) {
      whole.gradient(3, 8);
      for (int micro : new int[] {1, 2, 4}) {
        try (Bench parts = new Bench(config, Precision.FP32, 2)) {
          parts.gradient(3, micro);
          assertThat(parts.state.loss()).isCloseTo(whole.state.loss(), within(1e-5));
          assertClose(parts.gradients(), whole.gradients(), 2e-5);
        }
      }
    }
  }

  private static void assertClose(float[] got, float[] ref, double tolerance) {
    double worst = 0;
    double scale = 0;
    for (int i = 0; i < ref.length; i++) {
      worst = Math.max(worst, Math.abs((double) got[i] - ref[i]));
      scale = Math.max(scale, Math.abs((double) ref[i]));
    }
    assertThat(worst).isLessThanOrEqualTo(tolerance * scale);
  }

  @Test
  void dropoutIsKeyedByStepAndSparesEvaluation() {
    for (Dropout d : new Dropout[] {new Dropout(0.3, 0, 0.3), new Dropout(0, 0.3, 0)}) {
      dropoutIsKeyedByStepAndSparesEvaluation(GPT2.withDropout(d));
    }
  }

  private static void dropoutIsKeyedByStepAndSparesEvaluation(TransformerConfig config) {
    try (Bench dropped = new Bench(config, Precision.FP32, 2);
        Bench plain = new Bench(GPT2, Precision.FP32, 2)) {
      dropped.gradient(0, 8);
      double first = dropped.state.loss();
      dropped.gradient(1, 8);
      assertThat(dropped.state.loss()).isNotEqualTo(first);
      dropped.gradient(0, 8);
      assertThat(dropped.state.loss()).isEqualTo(first);
      assertThat(dropped.evaluate()).isEqualTo(plain.evaluate()).isNotEqualTo(first);
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"gpt2", "llama"})
  void recomputationGivesTheSameGradientsInLessMemory(String name) {
    TransformerConfig deep =
        name.equals("gpt2")
            ? Gpt2.config(31, 8, 4, 32, 16).withDropout(new Dropout(0.1, 0.1, 0.1))
            : Llama.config(31, 8, 4, 2, 32, 96, 16);
    try (Bench kept = new Bench(deep, Precision.FP32, 2);
        Bench again = new Bench(deep, Precision.FP32, 2)) {
      kept.gradient(0, 8);
      again.model = again.model.withRecompute(true);
      again.gradient(0, 8);
      assertThat(again.state.loss()).isEqualTo(kept.state.loss());
      assertClose(again.gradients(), kept.gradients(), 1e-6);
      assertThat(again.workspace.peakBytes()).isLessThan(kept.workspace.peakBytes() / 2);
    }
  }

  @Test
  void equalStepsAskForEqualMemory() {
    try (Bench b = new Bench(LLAMA, Precision.BF16, 2)) {
      b.step(0);
      long fingerprint = b.workspace.fingerprint();
      long allocations = b.cpu.allocations();
      b.step(1);
      assertThat(b.workspace.fingerprint()).isEqualTo(fingerprint);
      assertThat(b.cpu.allocations()).isEqualTo(allocations);
    }
  }

  @Test
  void frozenParametersKeepTheirBitsAndTheOthersTheirGradients() {
    Grouping onlyNorms =
        (name, shape) ->
            name.contains("norm")
                ? Grouping.decayAll(0).of(name, shape)
                : Grouping.frozen().of(name, shape);
    try (Bench all = new Bench(LLAMA, Precision.FP32, 1);
        var part = Transformer.allocate(all.cpu, LLAMA, Precision.FP32, onlyNorms)) {
      Init.normal(part, 5);
      all.gradient(0, 8);
      all.state.begin(99, 0, 0, 1f / all.valid);
      all.workspace.reset();
      Tape tape = new Tape(all.workspace);
      tape.backward(
          NextTokenLoss.of(part.model(), tape, all.tokens(0, 8), all.targets(0, 8), all.state));
      var wanted = all.buffer.get("blocks.0.norm2.weight");
      var got = part.get("blocks.0.norm2.weight");
      assertThat(part.get("tokens").grad()).isNull();
      assertClose(
          part.part(part.gradients(), got).segment().toArray(ValueLayout.JAVA_FLOAT),
          all.buffer.part(all.buffer.gradients(), wanted).segment().toArray(ValueLayout.JAVA_FLOAT),
          1e-6);
    }
  }

  @Test
  void refusesWhatItCannotCompute() {
    try (Bench b = new Bench(GPT2, Precision.FP32, 1)) {
      Tensor longer = Tensor.of(b.batch, 0, DType.I32, Shape.of(2, 17));
      assertThatThrownBy(() -> b.model.forward(Tape.inference(b.workspace), longer))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessageContaining("17 tokens is longer than the model's 16 positions");
      b.put(3, 31);
      assertThatThrownBy(b::evaluate)
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessageContaining("31");
    }
  }

  @Test
  void aCacheRefusesMoreThanTheModelHasPositions() {
    try (Bench b = new Bench(LLAMA, Precision.FP32, 1);
        KvCache cache = KvCache.open(b.cpu, LLAMA, DType.F32)) {
      Tensor tokens = Tensor.of(b.batch, 0, DType.I32, Shape.of(1, 10));
      b.model.next(Tape.inference(b.workspace), tokens, cache);
      assertThat(cache.length()).isEqualTo(10);
      assertThatThrownBy(() -> b.model.next(Tape.inference(b.workspace), tokens, cache))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessageContaining("a sequence of 20 tokens is longer than the model's 16 positions");
      cache.truncate(6);
      b.model.next(Tape.inference(b.workspace), tokens, cache);
      assertThat(cache.length()).isEqualTo(16);
    }
  }

  private static float[] values(Tensor t) {
    return t.segment().toArray(ValueLayout.JAVA_FLOAT);
  }
}
