package dev.javelin.nn;

import static dev.javelin.nn.ModelCase.assertClose;
import static dev.javelin.nn.ModelCase.floats;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.javelin.autograd.Tape;
import dev.javelin.device.Cpu;
import dev.javelin.device.Cuda;
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
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** A step with dropout: the GPU drops what the CPU drops, so that losses and gradients agree. */
@RequiresCuda
class DeviceParityTest {
  private static final int SEQUENCES = 4;
  private static final double FP32 = 1e-4; // sums in another order, over two layers

  private record Step(double loss, double[] gradients) {}

  @ParameterizedTest
  @CsvSource({"gpt2,4,false", "gpt2,2,true", "llama,4,false", "llama,1,true"})
  void aStepWithDropoutIsTheSameOnBothDevices(String name, int micro, boolean recompute) {
    TransformerConfig config =
        name.equals("gpt2") ? Gpt2.config(31, 2, 4, 32, 16) : Llama.config(31, 2, 4, 2, 32, 48, 16);
    try (Cpu cpu = Cpu.open(2);
        Cuda cuda = TestCuda.open(new BundledKernels())) {
      config = config.withDropout(new TransformerConfig.Dropout(0.3, 0.2, 0.3));
      Step expected = step(cpu, config, micro, recompute);
      Step got = step(cuda, config, micro, recompute);
      assertThat(got.loss).isCloseTo(expected.loss, within(FP32 * expected.loss));
      assertClose("gradients", got.gradients, expected.gradients, FP32);
    }
  }

  /** In micro-batches of {@code micro} sequences. */
  private static Step step(Device device, TransformerConfig config, int micro, boolean recompute) {
    int seqLen = config.positions();
    int[] ids = new Random(3).ints((long) SEQUENCES * seqLen, 0, config.vocab()).toArray();
    try (ParameterBuffer<Transformer> buffer =
            Transformer.allocate(device, config, Precision.FP32, Grouping.decayMatrices(0.1f));
        Workspace workspace = Workspace.poisoned(device, 16 << 20);
        StepState state = StepState.on(device);
        Memory batch = device.allocate(DType.I32.bytes(ids.length))) {
      Init.normal(buffer, 5);
      Tensor tokens = Tensor.of(batch, 0, DType.I32, Shape.of(SEQUENCES, seqLen));
      tokens.fromHost(MemorySegment.ofArray(ids));
      Transformer model = buffer.model().withRecompute(recompute);
      state.begin(99, 7, 0, 1f / ids.length);
      for (int first = 0; first < SEQUENCES; first += micro) {
        state.firstSequence(first);
        workspace.reset();
        Tape tape = new Tape(workspace);
        Tensor part = tokens.slice(0, first, first + micro);
        tape.backward(NextTokenLoss.of(model, tape, part, part, state));
      }
      return new Step(state.loss(), floats(buffer.gradients()));
    }
  }
}
