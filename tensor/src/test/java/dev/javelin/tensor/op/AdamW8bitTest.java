package dev.javelin.tensor.op;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.javelin.device.Cpu;
import dev.javelin.device.Cuda;
import dev.javelin.device.DType;
import dev.javelin.device.Device;
import dev.javelin.device.RequiresCuda;
import dev.javelin.device.TestCuda;
import dev.javelin.kernels.BundledKernels;
import dev.javelin.tensor.FlatWeights;
import dev.javelin.tensor.Segment;
import dev.javelin.tensor.Shape;
import dev.javelin.tensor.Tensor;
import dev.javelin.tensor.step.LossScaling;
import dev.javelin.tensor.step.StepState;
import dev.javelin.tensor.step.Workspace;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class AdamW8bitTest {
  private static final int BLOCK = AdamW8bit.BLOCK;

  private static AdamW8bit.Moment moment(Workspace ws, int n) {
    Tensor codes = ws.alloc(DType.U8, Shape.of(n / BLOCK, BLOCK));
    Fill.zero(codes);
    return new AdamW8bit.Moment(codes, OptimizerCase.zeros(ws, n / BLOCK));
  }

  /**
   * The moments are off by 1/16 and 1/32 at most, and by that again with each step's fresh part;
   * the distance moved is that of fp32 within a tenth.
   */
  @ParameterizedTest
  @ValueSource(strings = {"adamw", "adamw_lr_schedule", "adam"})
  void followsPyTorchWithinItsCodes(String name) {
    try (Cpu cpu = Cpu.open(2)) {
      follow(cpu, name);
    }
  }

  @RequiresCuda
  @ParameterizedTest
  @ValueSource(strings = {"adamw", "adamw_lr_schedule", "adam"})
  void followsPyTorchWithinItsCodesOnAGpu(String name) {
    try (Cuda cuda = TestCuda.open(new BundledKernels())) {
      follow(cuda, name);
    }
  }

  private static void follow(Device device, String name) {
    OptimizerCase c = OptimizerCase.named(name);
    double[] betas = OptimizerGolden.numbers(c.hyper().array("betas"));
    c.follow(
        device,
        0.1,
        BLOCK,
        (flat, shape, state, ws) -> {
          AdamW8bit.Moment m = moment(ws, BLOCK);
          AdamW8bit.Moment v = moment(ws, BLOCK);
          return () ->
              AdamW8bit.step(
                  flat,
                  m,
                  v,
                  state,
                  (float) betas[0],
                  (float) betas[1],
                  Epsilon.of(c.number("eps")),
                  null);
        });
  }

  /** What steps leave behind: the weights, and what the moments' codes stand for. */
  private record Outcome(float[] weights, byte[] m, float[] mScales, byte[] v, float[] vScales) {}

  private static Outcome run(Device device, int n, DType type, int steps) {
    Random random = new Random(n);
    try (Workspace ws = Workspace.poisoned(device, 1 << 22);
        StepState state = StepState.on(device)) {
      Tensor master = OptimizerCase.zeros(ws, n);
      Tensor half = type == DType.F32 ? master : ws.alloc(type, Shape.of(n));
      Tensor g = OptimizerCase.zeros(ws, n);
      AdamW8bit.Moment m = moment(ws, n);
      AdamW8bit.Moment v = moment(ws, n);
      int cut = n / (2 * BLOCK) * BLOCK;
      var flat =
          new FlatWeights(
              half,
              type == DType.F32 ? null : master,
              g,
              List.of(new Segment(0, cut, 1, 0.1f), new Segment(cut, n, 2, 0)));
      for (int t = 0; t < steps; t++) {
        float[] gradient = new float[n];
        for (int i = 0; i < n; i++) {
          double size = Math.pow(10, -(i / BLOCK) % 9 - (i % 3));
          gradient[i] = i % 11 == 0 ? 0 : (float) (random.nextGaussian() * size);
        }
        if (t == 1) {
          gradient[n - 1] = Float.NaN; // skipped
        }
        g.fromHost(MemorySegment.ofArray(gradient));
        state.begin(0, t, 0.1f, 1);
        GlobalNorm.run(state, g, Float.POSITIVE_INFINITY, LossScaling.NONE);
        AdamW8bit.step(flat, m, v, state, 0.9f, 0.95f, Epsilon.of(1e-8f), null);
        assertThat(OptimizerCase.values(g)).containsOnly(0);
      }
      return new Outcome(
          OptimizerCase.values(master),
          m.codes().toHost().toArray(ValueLayout.JAVA_BYTE),
          OptimizerCase.values(m.scales()),
          v.codes().toHost().toArray(ValueLayout.JAVA_BYTE),
          OptimizerCase.values(v.scales()));
    }
  }

  @RequiresCuda
  @ParameterizedTest
  @CsvSource({"128, F32", "384, BF16", "2176, F16", "33280, F32"})
  void codesAndScalesAreTheCpus(int n, DType type) {
    Outcome want;
    Outcome got;
    try (Cpu cpu = Cpu.open(2)) {
      want = run(cpu, n, type, 4);
    }
    try (Cuda cuda = TestCuda.open(new BundledKernels())) {
      got = run(cuda, n, type, 4);
    }
    // One ends in a fused product, the other not; where that meets the middle of two codes, they
    // are neighbours.
    assertNeighbours(got.m, want.m);
    assertNeighbours(got.v, want.v);
    assertClose(got.mScales, want.mScales, 1e-4f);
    assertClose(got.vScales, want.vScales, 1e-4f);
  }

  private static void assertNeighbours(byte[] got, byte[] want) {
    int differing = 0;
    for (int i = 0; i < want.length; i++) {
      assertThat(Math.abs(got[i] - want[i])).as("code %d", i).isLessThanOrEqualTo(1);
      differing += got[i] == want[i] ? 0 : 1;
    }
    assertThat(differing).isLessThanOrEqualTo(want.length / 100);
  }

  private static void assertClose(float[] got, float[] want, float tolerance) {
    for (int i = 0; i < want.length; i++) {
      assertThat(Math.abs(got[i] - want[i])).isLessThanOrEqualTo(tolerance * Math.abs(want[i]));
    }
  }

  @Test
  void threadsChangeNoBit() {
    try (Cpu one = Cpu.open(1);
        Cpu three = Cpu.open(3)) {
      Outcome a = run(one, 33280, DType.BF16, 3);
      Outcome b = run(three, 33280, DType.BF16, 3);
      assertThat(b.weights).isEqualTo(a.weights);
      assertThat(b.m).isEqualTo(a.m);
      assertThat(b.v).isEqualTo(a.v);
      assertThat(b.mScales).isEqualTo(a.mScales);
      assertThat(b.vScales).isEqualTo(a.vScales);
    }
  }

  /** Ten orders of magnitude in a block: an element whose code would be 0 is not divided by it. */
  @Test
  void aSecondMomentFarBelowTheLargestKeepsUpdatesBounded() {
    try (Cpu cpu = Cpu.open(1);
        Workspace ws = Workspace.on(cpu);
        StepState state = StepState.on(cpu)) {
      Tensor w = OptimizerCase.zeros(ws, BLOCK);
      Tensor g = OptimizerCase.zeros(ws, BLOCK);
      AdamW8bit.Moment m = moment(ws, BLOCK);
      AdamW8bit.Moment v = moment(ws, BLOCK);
      var flat = new FlatWeights(w, null, g, List.of(new Segment(0, BLOCK, 1, 0)));
      float[] before = new float[BLOCK];
      for (int t = 0; t < 30; t++) {
        float[] gradient = new float[BLOCK];
        for (int i = 0; i < BLOCK; i++) {
          gradient[i] = (float) Math.pow(10, -10.0 * i / BLOCK) * (t % 2 == 0 ? 1 : 1.5f);
        }
        g.fromHost(MemorySegment.ofArray(gradient));
        state.begin(0, t, 1, 1);
        GlobalNorm.run(state, g, Float.POSITIVE_INFINITY, LossScaling.NONE);
        AdamW8bit.step(flat, m, v, state, 0.9f, 0.95f, Epsilon.of(1e-30f), null);
        float[] after = OptimizerCase.values(w);
        for (int i = 0; i < BLOCK; i++) {
          assertThat(after[i] - before[i]).isBetween(-2f, 0f);
        }
        before = after;
      }
    }
  }

  @Test
  void refusesSegmentsThatCutABlock() {
    try (Cpu cpu = Cpu.open(1);
        Workspace ws = Workspace.on(cpu);
        StepState state = StepState.on(cpu)) {
      Tensor w = OptimizerCase.zeros(ws, BLOCK);
      Tensor g = OptimizerCase.zeros(ws, BLOCK);
      var flat = new FlatWeights(w, null, g, List.of(new Segment(0, 100, 1, 0)));
      AdamW8bit.Moment m = moment(ws, BLOCK);
      assertThatThrownBy(
              () -> AdamW8bit.step(flat, m, m, state, 0.9f, 0.95f, Epsilon.of(1e-8f), null))
          .hasMessageContaining("must begin and end at multiples of 128");
    }
  }
}
