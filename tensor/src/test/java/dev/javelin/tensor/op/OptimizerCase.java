package dev.javelin.tensor.op;

import static org.assertj.core.api.Assertions.assertThat;

import dev.javelin.device.DType;
import dev.javelin.device.Device;
import dev.javelin.tensor.FlatWeights;
import dev.javelin.tensor.Segment;
import dev.javelin.tensor.Shape;
import dev.javelin.tensor.Tensor;
import dev.javelin.tensor.io.JsonObject;
import dev.javelin.tensor.step.LossScaling;
import dev.javelin.tensor.step.StepState;
import dev.javelin.tensor.step.Workspace;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.List;

/** A case of {@code golden/optim}, run by a rule on a device. */
record OptimizerCase(String name, JsonObject golden, JsonObject hyper) {

  /** A rule, on one parameter. */
  @FunctionalInterface
  interface Rule {
    /** Makes the rule's step, which is then called ten times. */
    Runnable on(FlatWeights flat, int[] shape, StepState state, Workspace ws);
  }

  static OptimizerCase named(String name) {
    JsonObject golden = OptimizerGolden.caseNamed("cases", name);
    return new OptimizerCase(name, golden, golden.object("hyper"));
  }

  boolean flag(String key) {
    return hyper.flag(key, false);
  }

  float number(String key) {
    return (float) hyper.number(key, 0);
  }

  static Tensor tensor(Workspace ws, float... values) {
    Tensor t = ws.alloc(DType.F32, Shape.of(values.length));
    t.fromHost(MemorySegment.ofArray(values));
    return t;
  }

  static Tensor zeros(Workspace ws, int n) {
    return tensor(ws, new float[n]);
  }

  static float[] values(Tensor t) {
    return t.toHost().toArray(ValueLayout.JAVA_FLOAT);
  }

  /**
   * Runs all parameters of the case and compares each after each step.
   *
   * @param tolerance relative to the largest distance moved so far
   * @param pad elements to which a parameter is padded with zeros
   */
  void follow(Device device, double tolerance, int pad, Rule rule) {
    double[] lr = OptimizerGolden.numbers(golden.array("lr_per_step"));
    for (Object p : golden.array("params")) {
      int[] shape = shape((String) p);
      float[] init = OptimizerGolden.tensors("init." + p);
      float[] grads = OptimizerGolden.tensors("grads." + p);
      float[] steps = OptimizerGolden.tensors(name + "/" + p + ".steps");
      int n = init.length;
      int padded = (n + pad - 1) / pad * pad;
      try (Workspace ws = Workspace.poisoned(device, 1 << 20);
          StepState state = StepState.on(device)) {
        Tensor w = tensor(ws, Arrays.copyOf(init, padded));
        Tensor g = zeros(ws, padded);
        Segment all = new Segment(0, padded, 1, number("weight_decay"));
        Runnable step = rule.on(new FlatWeights(w, null, g, List.of(all)), shape, state, ws);
        for (int t = 0; t < lr.length; t++) {
          float[] gradient = Arrays.copyOfRange(grads, t * n, (t + 1) * n);
          g.fromHost(MemorySegment.ofArray(Arrays.copyOf(gradient, padded)));
          state.begin(0, t, (float) lr[t], 1);
          GlobalNorm.run(state, g, Float.POSITIVE_INFINITY, LossScaling.NONE);
          step.run();
          compare(t, init, Arrays.copyOfRange(steps, t * n, (t + 1) * n), values(w), tolerance);
          assertThat(values(g)).as("gradients of %s", p).containsOnly(0);
        }
      }
    }
  }

  private void compare(int t, float[] init, float[] want, float[] got, double tolerance) {
    double moved = 0;
    double error = 0;
    for (int i = 0; i < init.length; i++) {
      moved = Math.max(moved, Math.abs(want[i] - init[i]));
      error = Math.max(error, Math.abs(want[i] - got[i]));
    }
    // Rounding a weight of size 1 to fp32 in each step is the floor.
    assertThat(error)
        .as("%s after step %d, moved by %s", name, t + 1, moved)
        .isLessThan(tolerance * moved + (t + 1) * 0x1p-24);
  }

  private static int[] shape(String p) {
    Object dims = OptimizerGolden.json("manifest.json").object("shapes").array(p);
    return Arrays.stream(OptimizerGolden.numbers((List<?>) dims)).mapToInt(d -> (int) d).toArray();
  }
}
