package dev.javelin.nn;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.javelin.autograd.Tape;
import dev.javelin.device.Cpu;
import dev.javelin.device.DType;
import dev.javelin.device.Memory;
import dev.javelin.kernels.Quantization;
import dev.javelin.nn.adapter.Adapters;
import dev.javelin.nn.adapter.LoraConfig;
import dev.javelin.nn.family.Llama;
import dev.javelin.tensor.Parameter;
import dev.javelin.tensor.Shape;
import dev.javelin.tensor.Tensor;
import dev.javelin.tensor.step.StepState;
import dev.javelin.tensor.step.Workspace;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class QuantizedModelTest {
  private static final TransformerConfig CONFIG = Llama.config(31, 2, 4, 2, 64, 128, 16);

  @TempDir Path dir;

  /** Loss, and gradients of adapters, of a base in few bits and of the numbers those stand for. */
  @ParameterizedTest
  @EnumSource
  void isTheModelOfTheNumbersThatItsBitsStandFor(Quantization q) {
    save();
    try (Cpu cpu = Cpu.open(2);
        ParameterBuffer<Transformer> few = load(cpu, Grouping.quantized(q));
        ParameterBuffer<Transformer> wide =
            Transformer.allocate(cpu, CONFIG, Precision.FP32, Grouping.frozen())) {
      int quantized = 0;
      for (Parameter p : few.named().values()) {
        float[] values = few.values(p);
        wide.put(wide.get(p.name()), 0, values, values.length);
        quantized += p.quantized() == null ? 0 : 1;
      }
      assertThat(quantized).isEqualTo(CONFIG.layers() * 4); // qkv, out, gate and up, down
      assertThat(few.get("tokens").quantized()).isNull();
      assertThat(step(cpu, few)).isDeepEqualTo(step(cpu, wide));
    }
  }

  /** The loss, then the gradients of adapters of rank 4, flat. */
  private static double[][] step(Cpu cpu, ParameterBuffer<Transformer> base) {
    int[] ids = new Random(3).ints(4 * 16, 0, CONFIG.vocab()).toArray();
    try (ParameterBuffer<Adapters> adapters =
            Adapters.create(
                base, Precision.FP32, LoraConfig.of(4), Grouping.decayMatrices(0), 1, 5);
        Workspace workspace = Workspace.poisoned(cpu, 16 << 20);
        StepState state = StepState.on(cpu);
        Memory batch = cpu.allocate(DType.I32.bytes(ids.length))) {
      Tensor tokens = Tensor.of(batch, 0, DType.I32, Shape.of(4, 16));
      tokens.fromHost(MemorySegment.ofArray(ids));
      state.begin(99, 7, 0, 1f / ids.length);
      Tape tape = new Tape(workspace);
      Transformer model = adapters.model().on(base.model());
      tape.backward(NextTokenLoss.of(model, tape, tokens, tokens, state));
      float[] gradients = adapters.gradients().toFloats();
      double[] wide = new double[gradients.length];
      double sum = 0;
      for (int i = 0; i < wide.length; i++) {
        wide[i] = gradients[i];
        sum += Math.abs(wide[i]);
      }
      assertThat(sum).isPositive();
      return new double[][] {{state.loss()}, wide};
    }
  }

  /** 8 + 32/in bits a weight, and 4 + 8/64 bits, 32 for 256 blocks and an offset. */
  @ParameterizedTest
  @EnumSource
  void frozenBytesAreTheArithmetic(Quantization q) {
    save();
    try (Cpu cpu = Cpu.open(1);
        ParameterBuffer<Transformer> few = load(cpu, Grouping.quantized(q))) {
      long bytes = 0;
      for (int[] s : new int[][] {{128, 64}, {64, 64}, {256, 64}, {64, 128}}) {
        long n = (long) s[0] * s[1];
        long one = q == Quantization.INT8 ? n + 4L * s[0] : n / 2 + n / 64 + 4 + 4;
        bytes += CONFIG.layers() * padded(one, 128);
      }
      long rest = 0; // tokens, norms, head
      for (Parameter p : few.named().values()) {
        rest += p.quantized() == null ? padded(p.value().elements(), 128) * 4 : 0;
      }
      assertThat(few.weightBytes()).isEqualTo(bytes + rest);
      assertThat(few.flats()).isEmpty(); // no gradients, masters or moments
      assertThatThrownBy(few::gradients).isInstanceOf(IllegalStateException.class);
    }
  }

  private static long padded(long n, long to) {
    return (n + to - 1) / to * to;
  }

  @Test
  void itsWeightsAreNotSavedAsNumbers() {
    save();
    try (Cpu cpu = Cpu.open(1);
        ParameterBuffer<Transformer> few = load(cpu, Grouping.quantized(Quantization.NF4))) {
      assertThatThrownBy(() -> HuggingFace.save(few, dir.resolve("again")))
          .isInstanceOf(IllegalStateException.class)
          .hasMessageContaining("save the adapter");
    }
  }

  private void save() {
    try (Cpu cpu = Cpu.open(1);
        ParameterBuffer<Transformer> buffer =
            Transformer.allocate(cpu, CONFIG, Precision.FP32, Grouping.frozen())) {
      Init.normal(buffer, 5);
      HuggingFace.save(buffer, dir);
    }
  }

  private ParameterBuffer<Transformer> load(Cpu cpu, Grouping grouping) {
    return HuggingFace.load(cpu, CONFIG, Precision.FP32, grouping, dir);
  }
}
