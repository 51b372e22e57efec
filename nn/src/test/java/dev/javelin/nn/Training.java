package dev.javelin.nn;

import dev.javelin.autograd.Tape;
import dev.javelin.device.DType;
import dev.javelin.device.Memory;
import dev.javelin.tensor.FlatWeights;
import dev.javelin.tensor.Shape;
import dev.javelin.tensor.Tensor;
import dev.javelin.tensor.io.JsonObject;
import dev.javelin.tensor.io.Safetensors;
import dev.javelin.tensor.op.AdamW;
import dev.javelin.tensor.op.GlobalNorm;
import dev.javelin.tensor.step.LossScaling;
import dev.javelin.tensor.step.StepState;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/** The training that the reference curves record: AdamW, accumulation, clipping, cosine. */
final class Training {
  private Training() {}

  record Step(float learningRate, double loss, double gradNorm) {}

  static List<JsonObject> reference(ModelCase c, String curve) {
    return RopeConfigTest.objects(c.json("training_curve.json"), curve);
  }

  static List<Step> run(ModelCase c, LossScaling scaling) {
    JsonObject settings = c.json("training_curve.json").object("training");
    c.state.restore(new StepState.Carried(scaling.initialScale(), 0, 0, 0));
    List<Step> steps = new ArrayList<>();
    long bytes = DType.F32.bytes(c.buffer.flat().elements());
    try (Safetensors batches = c.file("training_batches.safetensors");
        Memory m = c.device.allocate(bytes);
        Memory v = c.device.allocate(bytes)) {
      Tensor m1 = Tensor.of(m, 0, DType.F32, c.buffer.flat());
      Tensor m2 = Tensor.of(v, 0, DType.F32, c.buffer.flat());
      Shape shape = batches.get("inputs").shape();
      int[] inputs = ModelCase.integers(batches.get("inputs"));
      int[] targets = ModelCase.integers(batches.get("targets"));
      int micro = shape.dim(2) * shape.dim(3);
      int perStep = shape.dim(1) * micro;
      for (int step = 0; step < shape.dim(0); step++) {
        int first = step * perStep;
        long valid =
            Arrays.stream(targets, first, first + perStep).filter(target -> target >= 0).count();
        c.state.begin(0, step, (float) learningRate(settings, step), (float) (1.0 / valid));
        for (int from = first; from < first + perStep; from += micro) {
          Shape batch = Shape.of(shape.dim(2), shape.dim(3));
          Tensor tokens = c.ids(Arrays.copyOfRange(inputs, from, from + micro), batch);
          Tensor next = c.ids(Arrays.copyOfRange(targets, from, from + micro), batch);
          c.workspace.reset();
          Tape tape = new Tape(c.workspace);
          tape.backward(NextTokenLoss.of(c.model(), tape, tokens, next, c.state));
        }
        GlobalNorm.run(c.state, c.buffer.gradients(), (float) settings.number("clip"), scaling);
        AdamW.step(
            new FlatWeights(
                c.buffer.weights(), c.buffer.master(), c.buffer.gradients(), c.buffer.segments()),
            m1,
            m2,
            c.state,
            (float) settings.number("beta1"),
            (float) settings.number("beta2"),
            (float) settings.number("eps"));
        steps.add(new Step(c.state.learningRate(), c.state.loss(), c.state.gradNorm()));
      }
    }
    return steps;
  }

  private static double learningRate(JsonObject s, int step) {
    double max = s.number("max_lr");
    double min = s.number("min_lr");
    int warmup = s.integer("warmup_steps", 1, 1000);
    int steps = s.integer("steps", 1, 1000);
    return step < warmup
        ? max * (step + 1) / warmup
        : min + 0.5 * (1 + Math.cos(Math.PI * (step - warmup) / (steps - warmup))) * (max - min);
  }
}
