package dev.javelin.nn;

import static dev.javelin.nn.ModelCase.assertClose;
import static dev.javelin.nn.ModelCase.floats;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.javelin.autograd.Tape;
import dev.javelin.device.DType;
import dev.javelin.device.Memory;
import dev.javelin.nn.adapter.Adapters;
import dev.javelin.nn.adapter.LoraConfig;
import dev.javelin.tensor.FlatWeights;
import dev.javelin.tensor.Shape;
import dev.javelin.tensor.Tensor;
import dev.javelin.tensor.io.Json;
import dev.javelin.tensor.io.JsonObject;
import dev.javelin.tensor.io.Safetensors;
import dev.javelin.tensor.op.AdamW;
import dev.javelin.tensor.op.GlobalNorm;
import dev.javelin.tensor.step.LossScaling;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;

/** An adapter that PEFT wrote, on the tiny Llama, with what PEFT computed with it. */
final class PeftCase implements AutoCloseable {
  static final List<String> NAMES = List.of("lora", "lora-all", "lora-ranks", "rslora", "dora");
  static final String BASE = "llama-tiny";

  final ModelCase base;
  final Path directory;
  final ParameterBuffer<Adapters> adapters;
  final Transformer model;

  PeftCase(ModelCase base, String name, Precision precision) {
    this.base = base;
    this.directory = directory(name);
    this.adapters =
        Adapters.load(
            base.buffer,
            precision,
            LoraConfig.read(directory),
            Grouping.decayMatrices(0),
            1,
            directory);
    this.model = adapters.model().on(base.model());
  }

  static Path directory(String name) {
    return Path.of("src/test/resources/golden/peft", name);
  }

  static PeftCase open(String name) {
    return new PeftCase(ModelCase.open(BASE, Precision.FP32), name, Precision.FP32);
  }

  Safetensors reference() {
    return Safetensors.open(directory.resolve("reference.safetensors"));
  }

  void assertLogits(Transformer of, String expected, double tolerance) {
    try (Safetensors ref = reference()) {
      base.workspace.reset();
      Tensor logits =
          of.forward(Tape.inference(base.workspace), base.ids(ref.get("input_ids"))).value();
      assertClose(expected, floats(logits), floats(ref.get(expected)), tolerance);
    }
  }

  void assertGradients(boolean recompute, double loss, double gradients) {
    try (Safetensors ref = reference();
        Safetensors grads = Safetensors.open(directory.resolve("reference_grads.safetensors"))) {
      Tensor targets = base.targets(ref.get("labels"));
      base.workspace.reset();
      base.beginStep(targets);
      Tape tape = new Tape(base.workspace);
      tape.backward(
          NextTokenLoss.of(
              model.withRecompute(recompute),
              tape,
              base.ids(ref.get("input_ids")),
              targets,
              base.state));
      double expected = Json.read(directory.resolve("reference.json")).number("loss");
      assertThat(base.state.loss()).isCloseTo(expected, within(loss * expected));
      List<Safetensors.Item> items =
          Weights.items(adapters, "", p -> adapters.part(adapters.gradients(), p));
      assertThat(items.stream().map(Safetensors.Item::name))
          .containsExactlyInAnyOrderElementsOf(grads.entries().keySet());
      for (Safetensors.Item item : items) {
        assertClose(item.name(), floats(item), floats(grads.get(item.name())), gradients);
      }
    }
  }

  /** Ten steps of AdamW as the reference's {@code curve_rule} says. */
  void assertCurve(double tolerance) {
    JsonObject json = Json.read(directory.resolve("reference.json"));
    List<JsonObject> curve = json.objects("curve");
    long bytes = DType.F32.bytes(adapters.flat().elements());
    try (Safetensors ref = reference();
        Memory m = base.device.allocate(bytes);
        Memory v = base.device.allocate(bytes)) {
      Tensor m1 = Tensor.of(m, 0, DType.F32, adapters.flat());
      Tensor m2 = Tensor.of(v, 0, DType.F32, adapters.flat());
      Shape shape = ref.get("inputs").shape();
      Shape batch = Shape.of(shape.dim(1), shape.dim(2));
      int size = (int) batch.elements();
      int[] inputs = ModelCase.integers(ref.get("inputs"));
      int[] targets = ModelCase.integers(ref.get("targets"));
      for (int step = 0; step < curve.size(); step++) {
        Tensor tokens = base.ids(Arrays.copyOfRange(inputs, step * size, (step + 1) * size), batch);
        Tensor next = base.ids(Arrays.copyOfRange(targets, step * size, (step + 1) * size), batch);
        int valid = 0;
        for (int target : next.toHost().toArray(ValueLayout.JAVA_INT)) {
          valid += target >= 0 ? 1 : 0;
        }
        base.state.begin(0, step, 5e-3f, 1f / valid);
        base.workspace.reset();
        Tape tape = new Tape(base.workspace);
        tape.backward(NextTokenLoss.of(model, tape, tokens, next, base.state));
        GlobalNorm.run(base.state, adapters.gradients(), 1, LossScaling.NONE);
        double loss = curve.get(step).number("loss");
        double norm = curve.get(step).number("grad_norm");
        assertThat(base.state.loss())
            .as("loss of step %d", step)
            .isCloseTo(loss, within(tolerance * loss));
        assertThat((double) base.state.gradNorm())
            .as("norm of step %d", step)
            .isCloseTo(norm, within(10 * tolerance * norm));
        AdamW.step(
            new FlatWeights(
                adapters.weights(), adapters.master(), adapters.gradients(), adapters.segments()),
            m1,
            m2,
            base.state,
            0.9f,
            0.95f,
            1e-8f);
      }
    }
  }

  @Override
  public void close() {
    adapters.close();
    base.close();
  }
}
