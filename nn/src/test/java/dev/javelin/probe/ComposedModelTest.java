package dev.javelin.probe;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.javelin.autograd.Algebra;
import dev.javelin.autograd.Functional;
import dev.javelin.autograd.Losses;
import dev.javelin.autograd.Tape;
import dev.javelin.autograd.Var;
import dev.javelin.device.Cpu;
import dev.javelin.device.DType;
import dev.javelin.device.Memory;
import dev.javelin.kernels.Activation;
import dev.javelin.nn.Adapter;
import dev.javelin.nn.Attention;
import dev.javelin.nn.Block;
import dev.javelin.nn.Declare;
import dev.javelin.nn.Embedding;
import dev.javelin.nn.Grouping;
import dev.javelin.nn.Init;
import dev.javelin.nn.LayerNorm;
import dev.javelin.nn.Linear;
import dev.javelin.nn.Mlp;
import dev.javelin.nn.Norm;
import dev.javelin.nn.Norm.Stream;
import dev.javelin.nn.ParameterBuffer;
import dev.javelin.nn.Pass;
import dev.javelin.nn.Precision;
import dev.javelin.nn.RmsNorm;
import dev.javelin.nn.RopeConfig;
import dev.javelin.nn.RotaryTable;
import dev.javelin.nn.Weights;
import dev.javelin.tensor.FlatWeights;
import dev.javelin.tensor.Group;
import dev.javelin.tensor.Parameter;
import dev.javelin.tensor.Shape;
import dev.javelin.tensor.Tensor;
import dev.javelin.tensor.io.FileFormatException;
import dev.javelin.tensor.io.Safetensors;
import dev.javelin.tensor.op.AdamW;
import dev.javelin.tensor.op.AttentionMask;
import dev.javelin.tensor.op.GlobalNorm;
import dev.javelin.tensor.op.LossOptions;
import dev.javelin.tensor.step.LossScaling;
import dev.javelin.tensor.step.StepState;
import dev.javelin.tensor.step.Workspace;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.List;
import java.util.Random;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** A model of a user's own, made of the public layers: an encoder with a classification head. */
class ComposedModelTest {
  private static final int VOCABULARY = 16;
  private static final int CLASSES = 3;
  private static final int WIDTH = 16;
  private static final int BATCH = 8;
  private static final int LENGTH = 6;

  @TempDir Path dir;

  /** Reads both ways, and tells the class from the first position. */
  private record Encoder(Embedding words, List<Block> blocks, Norm norm, Linear classes) {
    static Encoder declare(Declare d, boolean adapted) {
      RotaryTable rotary = RotaryTable.declare(d, RopeConfig.of(10_000), LENGTH, WIDTH / 2);
      return new Encoder(
          Embedding.declare(d, VOCABULARY, WIDTH),
          IntStream.range(0, 2).mapToObj(i -> block(d, i, rotary)).toList(),
          LayerNorm.declare(d, WIDTH, 1e-5),
          head(d, adapted));
    }

    private static Block block(Declare d, int index, RotaryTable rotary) {
      return Block.of(
          RmsNorm.declare(d, WIDTH, 1e-6),
          Attention.declare(d, index, WIDTH, 2, rotary),
          LayerNorm.declare(d, WIDTH, 1e-5),
          index == 0
              ? Mlp.Gated.declare(d, WIDTH, 24, Activation.SILU, true)
              : Mlp.Plain.declare(d, WIDTH, 24, Activation.GELU, false),
          0.1);
    }

    private static Linear head(Declare d, boolean adapted) {
      Linear plain = Linear.declare(d, CLASSES, WIDTH, true);
      return adapted
          ? plain.withAdapter(new LowRank(d.parameter(2, WIDTH), d.parameter(CLASSES, 2)))
          : plain;
    }

    Var logits(Tape tape, Tensor ids, Pass pass) {
      Stream stream = Stream.of(words.forward(tape, ids));
      for (Block block : blocks) {
        stream = block.forward(stream, pass);
      }
      Var first = Algebra.slice(norm.forward(stream).norm(), 1, 0, 1); // [B, 1, C]
      return classes.forward(first).reshape(ids.dim(0), CLASSES);
    }
  }

  private record LowRank(Parameter down, Parameter up) implements Adapter {
    @Override
    public Var forward(Linear base, Var x, Pass pass) {
      Var own = Algebra.cast(x, down.value().dtype());
      Var h = Functional.linear(own, x.tape().param(down), null);
      Var delta = Functional.linear(h, x.tape().param(up), null);
      return Algebra.add(base.forward(x, pass), Algebra.cast(delta, x.value().dtype()));
    }
  }

  /** Everything that trains it by hand. */
  private static final class Session implements AutoCloseable {
    final Cpu cpu = Cpu.open(2);
    final ParameterBuffer<Encoder> buffer;
    final Workspace workspace = Workspace.on(cpu, 8 << 20);
    final StepState state = StepState.on(cpu);
    final Memory batch = cpu.allocate(4096);
    final Tensor ids = Tensor.of(batch, 0, DType.I32, Shape.of(BATCH, LENGTH));
    final Tensor lengths = Tensor.of(batch, 1024, DType.I32, Shape.of(BATCH));
    final Tensor labels = Tensor.of(batch, 2048, DType.I32, Shape.of(BATCH));

    Session(Precision precision, Grouping grouping, boolean adapted) {
      buffer = ParameterBuffer.allocate(cpu, precision, grouping, d -> Encoder.declare(d, adapted));
      Init.normal(buffer, 5);
      Random random = new Random(3);
      for (int b = 0; b < BATCH; b++) {
        int length = 2 + random.nextInt(LENGTH - 1);
        int sum = 0;
        for (int t = 0; t < LENGTH; t++) {
          int id = random.nextInt(VOCABULARY);
          set(ids, b * LENGTH + t, id);
          sum += t < length ? id : 0;
        }
        set(lengths, b, length);
        set(labels, b, sum % CLASSES);
      }
    }

    static void set(Tensor t, int i, int value) {
      t.segment().setAtIndex(ValueLayout.JAVA_INT, i, value);
    }

    /** Ignores what stands behind a row's length. */
    Pass pass(boolean training) {
      Pass pass = training ? Pass.training(state) : Pass.PLAIN;
      return pass.masked(AttentionMask.FULL.lengths(lengths));
    }

    float[] logits() {
      workspace.reset();
      Var logits = buffer.model().logits(Tape.inference(workspace), ids, pass(false));
      return Algebra.cast(logits, DType.F32).value().segment().toArray(ValueLayout.JAVA_FLOAT);
    }

    double train(int steps) {
      long bytes = DType.F32.bytes(buffer.flat().elements());
      try (Memory m = cpu.allocate(bytes);
          Memory v = cpu.allocate(bytes)) {
        for (int step = 0; step < steps; step++) {
          state.begin(1, step, 0.02f, 1f / BATCH);
          workspace.reset();
          Tape tape = new Tape(workspace);
          Var logits = buffer.model().logits(tape, ids, pass(true));
          Var losses = Losses.crossEntropy(logits, labels, LossOptions.PLAIN);
          tape.backward(List.of(Losses.stepLoss(losses, state)), List.of(state.lossScaleTensor()));
          GlobalNorm.run(state, buffer.gradients(), 1, LossScaling.NONE);
          AdamW.step(
              new FlatWeights(
                  buffer.weights(), buffer.master(), buffer.gradients(), buffer.segments()),
              Tensor.of(m, 0, DType.F32, buffer.flat()),
              Tensor.of(v, 0, DType.F32, buffer.flat()),
              state,
              0.9f,
              0.95f,
              1e-8f);
        }
        return state.loss();
      }
    }

    byte[] bytes(String parameter) {
      MemorySegment values = buffer.get(parameter).value().toHost();
      return values.toArray(ValueLayout.JAVA_BYTE);
    }

    @Override
    public void close() {
      batch.close();
      state.close();
      workspace.close();
      buffer.close();
      cpu.close();
    }
  }

  @Test
  void aModelOfPublicLayersLearnsAndIsSavedUnderItsOwnNames() {
    Path file = dir.resolve("model.safetensors");
    float[] wanted;
    try (Session s = new Session(Precision.FP32, Grouping.decayMatrices(0), false)) {
      assertThat(s.train(1)).isCloseTo(Math.log(CLASSES), org.assertj.core.data.Offset.offset(0.1));
      assertThat(s.train(120)).isLessThan(0.1);
      wanted = s.logits();
      Weights.save(s.buffer, file);
    }
    try (Safetensors st = Safetensors.open(file)) {
      assertThat(st.entries().keySet())
          .contains("words.weight", "blocks.1.attn.qkv.weight", "blocks.0.mlp.gateUp.bias")
          .contains("blocks.0.norm2.bias", "classes.bias");
    }
    try (Session s = new Session(Precision.FP32, Grouping.frozen(), false)) {
      assertThat(s.logits()).isNotEqualTo(wanted);
      Weights.load(s.buffer, file);
      assertThat(s.logits()).isEqualTo(wanted);
    }
  }

  @Test
  void paddingChangesNothing() {
    try (Session s = new Session(Precision.FP32, Grouping.frozen(), false)) {
      float[] before = s.logits();
      for (int b = 0; b < BATCH; b++) {
        int length = s.lengths.segment().getAtIndex(ValueLayout.JAVA_INT, b);
        for (int t = length; t < LENGTH; t++) {
          Session.set(s.ids, b * LENGTH + t, (b + t) % VOCABULARY);
        }
      }
      assertThat(s.logits()).isEqualTo(before);
    }
  }

  /** The base in its own type, the adapter in the same or in fp32. */
  @ParameterizedTest
  @CsvSource({"fp32,F32", "bf16,BF16", "bf16,F32"})
  void anAdapterLearnsBesideAFrozenBase(String base, DType type) {
    Grouping adapters =
        (name, shape) ->
            name.contains(".adapter.")
                ? new Group("adapters", 1, 0, false, type)
                : new Group("base", 0, 0, true);
    try (Session s = new Session(Precision.named(base), adapters, true)) {
      assertThat(s.buffer.get("words.weight").value().dtype().name())
          .isEqualToIgnoringCase(base.replace("fp", "f"));
      byte[] before = s.bytes("classes.weight");
      byte[] up = s.bytes("classes.adapter.up");
      s.train(3);
      assertThat(s.bytes("classes.weight")).isEqualTo(before);
      assertThat(s.bytes("classes.adapter.up")).isNotEqualTo(up);
      assertThat(s.buffer.weights().elements()).isEqualTo(2 * 128);
      assertThat(s.buffer.weights().dtype()).isEqualTo(type);
    }
  }

  @Test
  void anotherModelsFileIsRefusedByName() {
    Path file = dir.resolve("model.safetensors");
    try (Session s = new Session(Precision.FP32, Grouping.frozen(), true)) {
      Weights.save(s.buffer, file);
    }
    try (Session s = new Session(Precision.FP32, Grouping.frozen(), false)) {
      assertThatThrownBy(() -> Weights.load(s.buffer, file))
          .isInstanceOf(FileFormatException.class)
          .hasMessageContaining("tensor classes.adapter.down is unexpected (2 such in all)");
    }
  }
}
