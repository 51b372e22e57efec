package dev.javelin.train;

import static java.lang.foreign.ValueLayout.JAVA_INT;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.javelin.autograd.Functional;
import dev.javelin.autograd.Losses;
import dev.javelin.autograd.Tape;
import dev.javelin.autograd.Tensors;
import dev.javelin.autograd.Var;
import dev.javelin.device.Cpu;
import dev.javelin.device.Cuda;
import dev.javelin.device.DType;
import dev.javelin.device.Device;
import dev.javelin.device.Memory;
import dev.javelin.device.RequiresCuda;
import dev.javelin.device.RequiresEmulator;
import dev.javelin.device.TestCuda;
import dev.javelin.kernels.Activation;
import dev.javelin.kernels.BundledKernels;
import dev.javelin.nn.Grouping;
import dev.javelin.nn.ParameterBuffer;
import dev.javelin.nn.Precision;
import dev.javelin.tensor.FlatWeights;
import dev.javelin.tensor.Grad;
import dev.javelin.tensor.Parameter;
import dev.javelin.tensor.Shape;
import dev.javelin.tensor.Tensor;
import dev.javelin.tensor.op.AdamW;
import dev.javelin.tensor.op.Elementwise;
import dev.javelin.tensor.op.GlobalNorm;
import dev.javelin.tensor.op.LossOptions;
import dev.javelin.tensor.step.LossScaling;
import dev.javelin.tensor.step.StepGraph;
import dev.javelin.tensor.step.StepState;
import dev.javelin.tensor.step.Workspace;
import java.io.File;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.Random;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * A language model of an embedding and a two-layer perceptron is trained on a GPU (or the emulated
 * one): kernel by kernel, and as a recorded graph, against the CPU.
 */
@RequiresCuda
class MlpTrainingTest {
  private static final int VOCABULARY = 31;
  private static final int CHANNELS = 32;
  private static final int HIDDEN = 48;
  private static final int TOKENS = 32;
  private static final float EPS = 1e-5f;
  private static final float MAX_NORM = 1;

  private record Mlp(
      Parameter table,
      Parameter norm1,
      Parameter up,
      Parameter bias,
      Parameter down,
      Parameter norm2,
      Parameter head) {

    Var logits(Tape tape, Tensor ids) {
      Var x = Functional.embedding(tape.param(table), ids);
      Var h = Functional.rmsNorm(x, tape.param(norm1), EPS);
      h = Functional.linear(h, tape.param(up), tape.param(bias));
      h = Functional.activate(h, Activation.SILU);
      h = Functional.linear(h, tape.param(down), null);
      h = Functional.addRmsNorm(x, h, tape.param(norm2), EPS).norm();
      return Functional.linear(h, tape.param(head), null);
    }
  }

  /** A model, its optimizer's state and its batch, on one device. */
  private static final class Session implements AutoCloseable {
    final ParameterBuffer<Mlp> parameters;
    final Workspace workspace;
    final StepState state;
    final LossScaling scaling;
    final Memory memory;
    final Tensor moment1;
    final Tensor moment2;
    final Tensor tokens;
    final Tensor targets;
    final Tensor fault; // added to a gradient: 0, or what must not come through

    Session(Device device, Precision precision, LossScaling scaling, double disturbance) {
      this.parameters =
          ParameterBuffer.allocate(
              device,
              precision,
              Grouping.decayMatrices(0.1f),
              d ->
                  new Mlp(
                      d.parameter(VOCABULARY, CHANNELS),
                      d.parameter(CHANNELS),
                      d.parameter(HIDDEN, CHANNELS),
                      d.parameter(HIDDEN),
                      d.parameter(CHANNELS, HIDDEN),
                      d.parameter(CHANNELS),
                      d.parameter(VOCABULARY, CHANNELS)));
      this.workspace = Workspace.on(device, 4 << 20);
      this.state = StepState.on(device);
      this.scaling = scaling;
      state.restore(new StepState.Carried(scaling.initialScale(), 0, 0, 0));
      long flat = DType.F32.bytes(parameters.flat().elements());
      long batch = 1024;
      this.memory = device.allocate(2 * flat + 3 * batch);
      this.moment1 = Tensor.of(memory, 0, DType.F32, parameters.flat());
      this.moment2 = Tensor.of(memory, flat, DType.F32, parameters.flat());
      this.tokens = Tensor.of(memory, 2 * flat, DType.I32, Shape.of(TOKENS));
      this.targets = Tensor.of(memory, 2 * flat + batch, DType.I32, Shape.of(TOKENS));
      this.fault = Tensor.of(memory, 2 * flat + 2 * batch, DType.F32, Shape.of(1));
      initialise(disturbance);
    }

    /** Weights from a seed, each moved by a relative {@code disturbance} up or down. */
    private void initialise(double disturbance) {
      Random random = new Random(7);
      Tensor master = parameters.master();
      for (Parameter p : parameters.named().values()) {
        double scale = p.value().rank() == 1 ? 0 : 0.3;
        double shift = p.name().startsWith("norm") ? 1 : 0;
        double[] w = new double[(int) p.value().elements()];
        for (int i = 0; i < w.length; i++) {
          w[i] = shift + scale * random.nextGaussian();
          w[i] *= 1 + (random.nextBoolean() ? disturbance : -disturbance);
        }
        Tensors.fill(p.value(), w);
        if (master != null) {
          Tensors.fill(parameters.part(master, p), w);
        }
      }
    }

    /** The host's part of a step: batch, learning rate and the like, into fixed memory. */
    void prepare(int step, float faultValue) {
      Random random = new Random(step);
      int[] ids = new int[TOKENS];
      int[] next = new int[TOKENS];
      for (int i = 0; i < TOKENS; i++) {
        ids[i] = random.nextInt(VOCABULARY);
        next[i] = i % 8 == 7 ? LossOptions.IGNORED : (5 * ids[i] + 3) % VOCABULARY;
      }
      put(tokens, ids);
      put(targets, next);
      put(fault, new int[] {Float.floatToRawIntBits(faultValue)});
      state.begin(1, step, 0.01f, 1f / (TOKENS - TOKENS / 8));
    }

    /** The device's part: what is recorded. */
    void step() {
      Tape tape = new Tape(workspace);
      Var losses =
          Losses.crossEntropy(parameters.model().logits(tape, tokens), targets, LossOptions.PLAIN);
      Var loss = Losses.stepLoss(losses, state);
      tape.backward(List.of(loss), List.of(state.lossScaleTensor()));
      Tensor gradients = parameters.gradients();
      Tensor one = gradients.slice(0, 0, 1).slice(1, 0, 1).reshape(1);
      Elementwise.scaleBackward(new Grad(one, true), fault, 1);
      GlobalNorm.run(state, gradients, MAX_NORM, scaling);
      AdamW.step(
          new FlatWeights(
              parameters.weights(), parameters.master(), gradients, parameters.segments()),
          moment1,
          moment2,
          state,
          0.9f,
          0.95f,
          1e-6f);
    }

    /** Losses of so many steps, run kernel by kernel or as a graph where the device has them. */
    double[] train(int steps, boolean recorded) {
      double[] losses = new double[steps];
      try (StepGraph graph = new StepGraph("step", workspace)) {
        for (int s = 0; s < steps; s++) {
          prepare(s, 0);
          run(graph, recorded);
          losses[s] = state.loss();
        }
        assertThat(graph.isRecorded())
            .isEqualTo(recorded && workspace.device() instanceof Cuda && steps > 2);
      }
      return losses;
    }

    void run(StepGraph graph, boolean recorded) {
      if (recorded) {
        graph.run(this::step);
      } else {
        workspace.reset();
        step();
      }
    }

    double[] weights() {
      return Tensors.toDoubles(parameters.weights());
    }

    private static void put(Tensor t, int[] values) {
      MemorySegment bytes = MemorySegment.ofArray(values);
      t.fromHost(bytes.asSlice(0, JAVA_INT.byteSize() * values.length));
    }

    @Override
    public void close() {
      workspace.close();
      parameters.close();
      state.close();
      memory.close();
    }
  }

  /**
   * The measure of what may differ is what the model itself makes of differences: two trainings on
   * the CPU whose first weights are one rounding apart. A device that rounds otherwise in every
   * operation of a step (some twenty in a row) disturbs the weights like a few such roundings.
   */
  @ParameterizedTest
  @ValueSource(strings = {"fp32", "bf16"})
  void theLossCurveIsTheCpusAndTheSameBitsRecordedOrNot(String name) {
    Precision precision = Precision.named(name);
    double eps = precision == Precision.FP32 ? 0x1p-23 : 0x1p-8;
    int steps = 100;
    double[] expected;
    double[] disturbed;
    try (Cpu cpu = Cpu.open(1)) {
      expected = train(cpu, precision, 0, steps);
      disturbed = train(cpu, precision, eps, steps);
    }
    assertThat(expected[steps - 1]).isLessThan(0.3 * expected[0]);
    double[] eager;
    double[] weights;
    try (Cuda cuda = TestCuda.open(new BundledKernels())) {
      try (Session session = new Session(cuda, precision, LossScaling.NONE, 0)) {
        eager = session.train(steps, false);
        weights = session.weights();
      }
      try (Session session = new Session(cuda, precision, LossScaling.NONE, 0)) {
        assertThat(session.train(steps, true)).containsExactly(eager);
        assertThat(session.weights()).containsExactly(weights);
      }
    }
    double sensitivity = 0;
    for (int s = 0; s < steps; s++) {
      sensitivity = Math.max(sensitivity, Math.abs(disturbed[s] - expected[s]));
      assertThat(eager[s])
          .as("%s: loss of step %d", name, s)
          .isCloseTo(expected[s], within(8 * sensitivity + 16 * eps * expected[s]));
    }
  }

  private static double[] train(Device device, Precision precision, double disturbance, int steps) {
    try (Session session = new Session(device, precision, LossScaling.NONE, disturbance)) {
      return session.train(steps, true);
    }
  }

  @Test
  @RequiresEmulator
  void aStepAsksTheDriverForNothingButItsKernelsAndRecordedForOneCall() {
    try (Cuda cuda = TestCuda.open(new BundledKernels());
        Session session = new Session(cuda, Precision.BF16, LossScaling.NONE, 0);
        StepGraph graph = new StepGraph("step", session.workspace)) {
      session.prepare(0, 0);
      session.run(graph, true);
      session.prepare(1, 0);
      long allocations = cuda.allocations();
      long launches = cuda.launches();
      long kernels = TestCuda.calls("cuLaunchKernel");
      long fills = TestCuda.calls("cuMemset");
      long calls = TestCuda.calls("cu");
      session.run(graph, true);
      kernels = TestCuda.calls("cuLaunchKernel") - kernels;
      assertThat(kernels).isEqualTo(cuda.launches() - launches).isPositive();
      assertThat(TestCuda.calls("cu") - calls)
          .as("calls of a step that is not recorded")
          .isEqualTo(kernels + TestCuda.calls("cuMemset") - fills);
      for (int s = 2; s < 6; s++) {
        session.prepare(s, 0);
        calls = TestCuda.calls("cu");
        long graphs = TestCuda.calls("cuGraphLaunch");
        session.run(graph, true);
        assertThat(TestCuda.calls("cuGraphLaunch") - graphs).isOne();
        if (s > 2) {
          assertThat(TestCuda.calls("cu") - calls).as("calls of a replayed step").isOne();
        }
      }
      assertThat(cuda.allocations()).isEqualTo(allocations);
    }
  }

  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void fp16SkipsTheStepsThatOverflowAndMovesItsScaleAsPyTorchDoes(boolean recorded)
      throws IOException {
    JsonNode golden =
        new ObjectMapper()
            .readTree(new File("../tensor/src/test/resources/golden/optim/loss_scaling.json"))
            .get("sequences")
            .get("main");
    LossScaling scaling =
        new LossScaling(
            golden.get("init_scale").floatValue(),
            golden.get("growth_factor").floatValue(),
            golden.get("backoff_factor").floatValue(),
            golden.get("growth_interval").asInt(),
            1);
    try (Cuda cuda = TestCuda.open(new BundledKernels());
        Session session = new Session(cuda, Precision.FP16, scaling, 0);
        StepGraph graph = new StepGraph("step", session.workspace)) {
      double[] before = session.weights();
      int step = 0;
      double first = 0;
      for (JsonNode s : golden.get("steps")) {
        assertThat((double) session.state.lossScale()).isEqualTo(s.get("scale_before").asDouble());
        session.prepare(
            step,
            switch (s.get("event").asText()) {
              case "inf" -> Float.POSITIVE_INFINITY;
              case "-inf" -> Float.NEGATIVE_INFINITY;
              case "nan" -> Float.NaN;
              default -> 0;
            });
        session.run(graph, recorded);
        boolean skipped = s.get("skipped").asBoolean();
        double[] after = session.weights();
        assertThat(session.state.overflow()).as("step %d", step).isEqualTo(skipped);
        assertThat(IntStream.range(0, after.length).allMatch(i -> after[i] == before[i]))
            .as("step %d leaves the weights alone", step)
            .isEqualTo(skipped);
        System.arraycopy(after, 0, before, 0, after.length);
        assertThat((double) session.state.lossScale()).isEqualTo(s.get("scale_after").asDouble());
        assertThat(session.state.skippedSteps()).isEqualTo(s.get("total_skipped").asInt());
        first = step++ == 0 ? session.state.loss() : first;
      }
      assertThat(session.state.loss()).isLessThan(0.8 * first);
    }
  }
}
