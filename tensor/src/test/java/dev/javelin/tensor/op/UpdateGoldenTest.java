package dev.javelin.tensor.op;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static org.assertj.core.api.Assertions.assertThat;

import dev.javelin.device.Cpu;
import dev.javelin.device.Cuda;
import dev.javelin.device.Device;
import dev.javelin.device.RequiresCuda;
import dev.javelin.device.TestCuda;
import dev.javelin.kernels.BundledKernels;
import dev.javelin.tensor.FlatWeights;
import dev.javelin.tensor.Segment;
import dev.javelin.tensor.Tensor;
import dev.javelin.tensor.io.JsonObject;
import dev.javelin.tensor.step.LossScaling;
import dev.javelin.tensor.step.StepState;
import dev.javelin.tensor.step.Workspace;
import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.Objects;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Ten steps of each rule against PyTorch, in double, or the rule's formula in double. */
class UpdateGoldenTest {
  private static final double TOLERANCE = 1e-5; // of the way that a parameter has gone

  /** The rules whose cases stand here; the others have tests of their own. */
  static List<String> cases() {
    return OptimizerGolden.json("manifest.json").array("cases").stream()
        .map(OptimizerGolden::object)
        .filter(c -> UpdateRules.of(c.text("optimizer")) != null)
        .map(c -> c.text("case"))
        .toList();
  }

  @ParameterizedTest
  @MethodSource("cases")
  void theCpuFollowsItsReference(String name) {
    try (Cpu cpu = Cpu.open(2)) {
      follow(cpu, name);
    }
  }

  @ParameterizedTest
  @MethodSource("cases")
  @RequiresCuda
  void theGpuFollowsItsReference(String name) {
    try (Cuda cuda = TestCuda.open(new BundledKernels())) {
      follow(cuda, name);
    }
  }

  private static void follow(Device device, String name) {
    JsonObject golden = OptimizerGolden.caseNamed("cases", name);
    JsonObject hyper = golden.object("hyper");
    float targets = (float) hyper.number("batch_tokens", 1);
    double[] lr = OptimizerGolden.numbers(golden.array("lr_per_step"));
    for (Object parameter : golden.array("params")) {
      String p = (String) parameter;
      float[] init = OptimizerGolden.tensors("init." + p);
      float[] grads = OptimizerGolden.tensors("grads." + p);
      float[] steps = OptimizerGolden.tensors(name + "/" + p + ".steps");
      int n = init.length;
      try (Workspace ws = Workspace.poisoned(device, 1 << 20);
          StepState state = StepState.on(device)) {
        Tensor w = UpdateRules.zeros(ws, n);
        Tensor g = UpdateRules.zeros(ws, n);
        w.fromHost(MemorySegment.ofArray(init));
        Segment all = new Segment(0, n, 1, (float) hyper.number("weight_decay", 0));
        FlatWeights flat = new FlatWeights(w, null, g, List.of(all));
        UpdateRules.Step step =
            Objects.requireNonNull(UpdateRules.of(golden.text("optimizer")))
                .apply(UpdateRules.Kept.on(ws, n, hyper));
        for (int t = 0; t < lr.length; t++) {
          step.before(t, p, flat, state);
          g.fromHost(MemorySegment.ofArray(grads).asSlice(4L * t * n, 4L * n));
          state.begin(0, t, (float) lr[t], 1 / targets);
          GlobalNorm.run(state, g, Float.POSITIVE_INFINITY, LossScaling.NONE);
          step.run(flat, state);
          float[] got = w.toHost().toArray(JAVA_FLOAT);
          double moved = 0;
          double error = 0;
          for (int i = 0; i < n; i++) {
            double expected = steps[t * n + i];
            moved = Math.max(moved, Math.abs(expected - init[i]));
            error = Math.max(error, Math.abs(expected - got[i]));
          }
          // Rounding a weight of size 1 to fp32 in each step is the floor.
          assertThat(error)
              .as("%s %s after step %d", name, p, t + 1)
              .isLessThan(TOLERANCE * moved + (t + 1) * 0x1p-24);
          assertThat(g.toHost().toArray(JAVA_FLOAT)).containsOnly(0);
        }
      }
    }
  }
}
