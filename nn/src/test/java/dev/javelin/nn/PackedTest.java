package dev.javelin.nn;

import static org.assertj.core.api.Assertions.assertThat;

import dev.javelin.autograd.Tape;
import dev.javelin.device.Cpu;
import dev.javelin.device.DType;
import dev.javelin.nn.family.Gpt2;
import dev.javelin.nn.family.Llama;
import dev.javelin.nn.family.Qwen3;
import dev.javelin.tensor.Shape;
import dev.javelin.tensor.Tensor;
import dev.javelin.tensor.op.AttentionMask;
import dev.javelin.tensor.step.Workspace;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;
import org.assertj.core.api.Assertions;
import org.assertj.core.data.Offset;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Documents packed into one row, each with positions of its own, read as they are read alone. */
class PackedTest {
  private static final int[] FIRST = {3, 1, 4, 1, 5, 9, 2};
  private static final int[] SECOND = {6, 5, 3, 5, 8};

  static List<TransformerConfig> models() {
    TransformerConfig llama = Llama.config(17, 2, 4, 2, 32, 48, 16);
    return List.of(
        llama,
        llama.with(
            b ->
                b.family(new Qwen3()).attention(new TransformerConfig.Attention(4, 2, 8, 3, true))),
        Gpt2.config(17, 2, 4, 32, 16));
  }

  @ParameterizedTest
  @MethodSource("models")
  void readAsAlone(TransformerConfig config) {
    try (Cpu cpu = Cpu.open();
        ParameterBuffer<Transformer> buffer =
            Transformer.allocate(cpu, config, Precision.FP32, Grouping.frozen());
        Workspace workspace = Workspace.on(cpu)) {
      Init.normal(buffer, 7);
      float[] alone = hidden(buffer.model(), workspace, FIRST, null, null);
      float[] other = hidden(buffer.model(), workspace, SECOND, null, null);
      float[] packed =
          hidden(
              buffer.model(),
              workspace,
              new int[] {3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8},
              new int[] {0, 1, 2, 3, 4, 5, 6, 0, 1, 2, 3, 4},
              new int[] {0, 0, 0, 0, 0, 0, 0, 7, 7, 7, 7, 7});
      for (int i = 0; i < packed.length; i++) {
        float expected = i < alone.length ? alone[i] : other[i - alone.length];
        assertThat(packed[i]).as("element %d", i).isCloseTo(expected, within(1e-5f));
      }
    }
  }

  private static Offset<Float> within(float offset) {
    return Assertions.within(offset);
  }

  private static float[] hidden(
      Transformer model,
      Workspace workspace,
      int[] ids,
      int @Nullable [] positions,
      int @Nullable [] starts) {
    workspace.reset();
    Pass pass = Pass.PLAIN;
    if (positions != null && starts != null) {
      pass =
          pass.masked(AttentionMask.CAUSAL.documents(row(workspace, starts)))
              .at(row(workspace, positions));
    }
    Tensor y = model.hidden(Tape.inference(workspace), row(workspace, ids), pass).value();
    return y.toHost().toArray(ValueLayout.JAVA_FLOAT);
  }

  private static Tensor row(Workspace workspace, int[] values) {
    Tensor t = workspace.alloc(DType.I32, Shape.of(1, values.length));
    t.fromHost(MemorySegment.ofArray(values));
    return t;
  }
}
