package dev.javelin.nn;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.javelin.autograd.Tape;
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
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Whatever is computed again, losses and gradients are those of a pass that keeps everything. */
class RecomputationTest {
  private static final int BATCH = 3;

  private record Step(double loss, float[] gradients, long peakBytes) {}

  @ParameterizedTest
  @CsvSource({
    "gpt2, FP32",
    "gpt2, BF16",
    "llama, FP32",
    "llama, BF16",
    "llama, FP16",
  })
  void everyWayGivesTheSameBitsInLessMemory(String name, String precision) {
    try (Cpu cpu = Cpu.open(2)) {
      compare(cpu, name, precision);
    }
  }

  @RequiresCuda
  @ParameterizedTest
  @CsvSource({"gpt2, FP32", "llama, BF16"})
  void onTheOtherDeviceToo(String name, String precision) {
    try (Device cuda = TestCuda.open(new BundledKernels())) {
      compare(cuda, name, precision);
    }
  }

  private static void compare(Device device, String name, String precision) {
    TransformerConfig config =
        name.equals("gpt2") ? Gpt2.config(31, 7, 4, 32, 16) : Llama.config(31, 7, 4, 2, 32, 96, 16);
    config = config.withDropout(new TransformerConfig.Dropout(0.1, 0.2, 0.1));
    Step kept = step(device, config, precision, Recomputation.NONE);
    assertThat(kept.loss).isFinite().isNotZero();
    for (String way : new String[] {"blocks", "blocks:2", "blocks:3", "attention", "mlp"}) {
      Step again = step(device, config, precision, Recomputation.named(way));
      assertThat(again.loss).as(way).isEqualTo(kept.loss);
      assertThat(again.gradients).as(way).isEqualTo(kept.gradients);
      assertThat(again.peakBytes).as(way).isLessThan(kept.peakBytes);
    }
  }

  private static Step step(
      Device device, TransformerConfig config, String precision, Recomputation way) {
    int seqLen = config.positions();
    int[] ids = new Random(3).ints((long) BATCH * seqLen, 0, config.vocab()).toArray();
    Precision numbers = Precision.named(precision.toLowerCase(java.util.Locale.ROOT));
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
      Transformer model = buffer.model().withRecompute(way);
      tape.backward(NextTokenLoss.of(model, tape, tokens, tokens, state));
      return new Step(state.loss(), buffer.gradients().toFloats(), workspace.peakBytes());
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"none", "blocks", "blocks:4", "attention", "mlp"})
  void eachHasAName(String name) {
    assertThat(Recomputation.named(name).label()).isEqualTo(name);
  }

  @Test
  void anotherNameIsRefused() {
    for (String wrong : new String[] {"", "block", "blocks:0", "blocks:-1", "blocks:9999999"}) {
      assertThatThrownBy(() -> Recomputation.named(wrong))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage("must be none, blocks, blocks:K, attention or mlp, got " + wrong);
    }
  }
}
