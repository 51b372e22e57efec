package dev.javelin.nn;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.javelin.autograd.Probe;
import dev.javelin.autograd.Tape;
import dev.javelin.autograd.Tensors;
import dev.javelin.autograd.Var;
import dev.javelin.device.Cpu;
import dev.javelin.device.DType;
import dev.javelin.device.Device;
import dev.javelin.device.Memory;
import dev.javelin.device.RequiresCuda;
import dev.javelin.device.TestCuda;
import dev.javelin.kernels.BundledKernels;
import dev.javelin.nn.family.Gpt2;
import dev.javelin.nn.family.Llama;
import dev.javelin.tensor.Shape;
import dev.javelin.tensor.Tensor;
import dev.javelin.tensor.step.StepState;
import dev.javelin.tensor.step.Workspace;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Objects;
import java.util.Random;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** A probe sees a whole step and leaves no trace in it. */
class ProbeTest {
  private static final int BATCH = 2;
  private static final int LAYERS = 3;

  /** What a probe has seen, as numbers. */
  private static final class Seen implements Probe {
    final List<Step> forward = new ArrayList<>();
    final List<Integer> gradients = new ArrayList<>();
    final List<Integer> backward = new ArrayList<>();
    final List<String> streams = new ArrayList<>();
    final List<double[]> stream = new ArrayList<>();
    double[] normed = {}; // what the last norm gives

    @Override
    public void forward(Step step, long nanos) {
      assertThat(nanos).isNotNegative();
      forward.add(step);
      if (step.part().equals("norm")) {
        normed = Tensors.toDoubles(step.outputs().getLast().value());
      }
    }

    @Override
    public void gradient(Step step) {
      assertThat(step.outputs()).anyMatch(out -> out.dyOrNull() != null);
      gradients.add(step.index());
    }

    @Override
    public void backward(Step step, long nanos) {
      assertThat(nanos).isNotNegative();
      backward.add(step.index());
    }

    @Override
    public void stream(String part, int layer, Var sum, @Nullable Var pending) {
      streams.add(layer == NO_LAYER ? part : layer + " " + part);
      double[] x = Tensors.toDoubles(sum.value());
      if (pending != null) {
        double[] h = Tensors.toDoubles(pending.value());
        for (int i = 0; i < x.length; i++) {
          x[i] += h[i];
        }
      }
      stream.add(x);
    }
  }

  private record Step(double loss, float[] gradients, long fingerprint) {}

  @ParameterizedTest
  @CsvSource({"gpt2, FP32", "llama, FP32", "llama, BF16", "gpt2, FP16"})
  void aStepHasTheSameBitsWithAndWithoutOne(String name, String precision) {
    try (Cpu cpu = Cpu.open(2)) {
      compare(cpu, name, precision);
    }
  }

  @RequiresCuda
  @ParameterizedTest
  @CsvSource({"llama, BF16"})
  void onTheOtherDeviceToo(String name, String precision) {
    try (Device cuda = TestCuda.open(new BundledKernels())) {
      compare(cuda, name, precision);
    }
  }

  private static void compare(Device device, String name, String precision) {
    TransformerConfig config = config(name);
    Step plain = step(device, config, precision);
    Seen seen = new Seen();
    assertThat(step(device, config, precision, seen, new Seen()))
        .usingRecursiveComparison()
        .isEqualTo(plain);
    assertThat(seen.forward).isNotEmpty();
    assertThat(seen.backward).isEqualTo(seen.gradients);
    assertThat(seen.backward).hasSameSizeAs(seen.forward);
  }

  @Test
  void itIsShownTheWholePassInOrder() {
    Seen seen = new Seen();
    try (Cpu cpu = Cpu.open(1)) {
      step(cpu, config("llama"), "FP32", seen);
    }
    assertThat(seen.forward).extracting(Probe.Step::index).isSorted();
    assertThat(seen.backward.reversed()).isSorted().doesNotHaveDuplicates();
    assertThat(seen.streams)
        .containsExactly(
            "embedding", "0 attention", "0 mlp", "1 attention", "1 mlp", "2 attention", "2 mlp");
    assertThat(
            seen.forward.stream().filter(s -> s.layer() == 1).map(s -> s.part() + " " + s.name()))
        .containsExactly(
            "attention add_rms_norm",
            "attention linear",
            "attention qk_rope",
            "attention attention",
            "attention linear",
            "attention dropout",
            "mlp add_rms_norm",
            "mlp linear",
            "mlp glu",
            "mlp linear",
            "mlp dropout");
    assertThat(seen.forward.getFirst().part()).isEqualTo("embedding");
    assertThat(seen.forward.getLast().name()).isEqualTo("linear_cross_entropy");
    assertThat(seen.forward.getLast().part()).isEqualTo("head");
    Probe.Step qkv = seen.forward.stream().filter(s -> s.name().equals("linear")).findFirst().get();
    Var weight = qkv.inputs().get(1);
    assertThat(Objects.requireNonNull(weight.parameter()).name()).contains("0").contains("qkv");
    Probe.Step attention =
        seen.forward.stream().filter(s -> s.name().equals("attention")).findFirst().get();
    assertThat(attention.inputs().get(2).origin()).isSameAs(qkv.outputs().getFirst());
    assertThat(attention.to()).isGreaterThan(attention.from());
  }

  /** The stream behind the last block, normalised by hand, is what the model's last norm gives. */
  @Test
  void theStreamIsWhatTheNextNormReads() {
    Seen seen = new Seen();
    TransformerConfig config = config("llama");
    try (Cpu cpu = Cpu.open(1)) {
      step(cpu, config, "FP32", seen);
    }
    double[] x = seen.stream.getLast();
    int c = config.hidden();
    for (int row = 0; row < x.length / c; row++) {
      double square = 0;
      for (int i = 0; i < c; i++) {
        square += x[row * c + i] * x[row * c + i] / c;
      }
      for (int i = 0; i < c; i++) { // weights of a fresh norm are 1
        assertThat(seen.normed[row * c + i])
            .isCloseTo(x[row * c + i] / Math.sqrt(square + config.norm().eps()), within(1e-4));
      }
    }
  }

  private static TransformerConfig config(String name) {
    return (name.equals("gpt2")
            ? Gpt2.config(31, LAYERS, 4, 32, 16)
            : Llama.config(31, LAYERS, 4, 2, 32, 96, 16))
        .withDropout(new TransformerConfig.Dropout(0.1, 0.2, 0.1));
  }

  private static Step step(
      Device device, TransformerConfig config, String precision, Probe... probes) {
    int seqLen = config.positions();
    int[] ids = new Random(3).ints((long) BATCH * seqLen, 0, config.vocab()).toArray();
    Precision numbers = Precision.named(precision.toLowerCase(Locale.ROOT));
    try (ParameterBuffer<Transformer> buffer =
            Transformer.allocate(device, config, numbers, Grouping.decayMatrices(0.1f));
        Workspace workspace = Workspace.poisoned(device, 16 << 20);
        StepState state = StepState.on(device);
        Memory batch = device.allocate(DType.I32.bytes(ids.length))) {
      Init.normal(buffer, 5);
      Tensor tokens = Tensor.of(batch, 0, DType.I32, Shape.of(BATCH, seqLen));
      tokens.fromHost(MemorySegment.ofArray(ids));
      state.begin(99, 7, 0, 1f / ids.length);
      Tape tape = new Tape(workspace);
      for (Probe probe : probes) {
        Probe.on(tape, probe);
      }
      tape.backward(NextTokenLoss.of(buffer.model(), tape, tokens, tokens, state));
      return new Step(state.loss(), buffer.gradients().toFloats(), workspace.fingerprint());
    }
  }
}
