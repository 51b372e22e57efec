package dev.javelin.probe;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.javelin.autograd.Losses;
import dev.javelin.autograd.Tape;
import dev.javelin.device.Cpu;
import dev.javelin.device.DType;
import dev.javelin.device.Memory;
import dev.javelin.nn.ConfigReader;
import dev.javelin.nn.Families;
import dev.javelin.nn.Family;
import dev.javelin.nn.Grouping;
import dev.javelin.nn.HuggingFace;
import dev.javelin.nn.Init;
import dev.javelin.nn.NameTable;
import dev.javelin.nn.ParameterBuffer;
import dev.javelin.nn.Pass;
import dev.javelin.nn.Precision;
import dev.javelin.nn.Transformer;
import dev.javelin.nn.TransformerConfig;
import dev.javelin.nn.family.Llama;
import dev.javelin.tensor.FlatWeights;
import dev.javelin.tensor.Shape;
import dev.javelin.tensor.Tensor;
import dev.javelin.tensor.io.FileFormatException;
import dev.javelin.tensor.io.Json;
import dev.javelin.tensor.io.Safetensors;
import dev.javelin.tensor.op.AdamW;
import dev.javelin.tensor.op.GlobalNorm;
import dev.javelin.tensor.op.LossOptions;
import dev.javelin.tensor.step.LossScaling;
import dev.javelin.tensor.step.StepState;
import dev.javelin.tensor.step.Workspace;
import java.io.IOException;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A family of a user's own: Llama under other names, with one other key in its configuration. */
class FamilyProbeTest {
  private static final int BATCH = 4;
  private static final int LENGTH = 8;

  @TempDir Path dir;

  /** Found by a line in {@code META-INF/services/dev.javelin.nn.Family}. */
  public record Castle() implements Family {
    private static final Llama LLAMA = new Llama();

    @Override
    public String modelType() {
      return "castle";
    }

    @Override
    public String className() {
      return "CastleForCausalLM";
    }

    @Override
    public TransformerConfig read(ConfigReader json) {
      return LLAMA.read(json.alias("hidden_size", "d_model")).with(b -> b.family(this));
    }

    @Override
    public void write(TransformerConfig config, Map<String, @Nullable Object> json) {
      LLAMA.write(config, json);
      json.put("d_model", json.remove("hidden_size"));
    }

    @Override
    public NameTable names(TransformerConfig config) {
      return LLAMA
          .names(config)
          .renamed("castle.", name -> name.replace("model.layers.", "castle.towers."));
    }
  }

  private static double train(Cpu cpu, ParameterBuffer<Transformer> buffer, int steps) {
    long bytes = DType.F32.bytes(buffer.flat().elements());
    try (Workspace workspace = Workspace.on(cpu, 8 << 20);
        StepState state = StepState.on(cpu);
        Memory m = cpu.allocate(bytes);
        Memory v = cpu.allocate(bytes);
        Memory batch = cpu.allocate(2L * BATCH * LENGTH * 4)) {
      Tensor ids = Tensor.of(batch, 0, DType.I32, Shape.of(BATCH, LENGTH));
      Tensor next = Tensor.of(batch, BATCH * LENGTH * 4L, DType.I32, Shape.of(BATCH, LENGTH));
      for (int i = 0; i < BATCH * LENGTH; i++) {
        ids.segment().setAtIndex(ValueLayout.JAVA_INT, i, i % 11);
        next.segment().setAtIndex(ValueLayout.JAVA_INT, i, (i + 1) % 11);
      }
      for (int step = 0; step < steps; step++) {
        state.begin(1, step, 0.01f, 1f / (BATCH * LENGTH));
        workspace.reset();
        Tape tape = new Tape(workspace);
        Transformer model = buffer.model();
        tape.backward(
            Losses.linearCrossEntropy(
                model.hidden(tape, ids, Pass.training(state)),
                model.headWeight(tape),
                next,
                LossOptions.PLAIN,
                state));
        GlobalNorm.run(state, buffer.gradients(), 1, LossScaling.NONE);
        AdamW.step(
            new FlatWeights(
                buffer.weights(), buffer.master(), buffer.gradients(), buffer.segments()),
            Tensor.of(m, 0, DType.F32, buffer.flat()),
            Tensor.of(v, 0, DType.F32, buffer.flat()),
            state,
            0.9f,
            0.95f,
            1e-8f);
      }
      return state.loss();
    }
  }

  @Test
  void aFamilyOfAUsersOwnIsTrainedWrittenAndReadAgain() {
    TransformerConfig config =
        Llama.config(11, 2, 4, 2, 16, 12, LENGTH)
            .with(b -> b.family(Families.named("castle")).tied(false));
    try (Cpu cpu = Cpu.open(1);
        var first =
            Transformer.allocate(cpu, config, Precision.FP32, Grouping.decayMatrices(0.1f))) {
      Init.normal(first, 1);
      assertThat(train(cpu, first, 30)).isLessThan(1.5);
      HuggingFace.save(first, dir);

      assertThat(Json.read(dir.resolve("config.json")).members())
          .containsEntry("model_type", "castle")
          .containsEntry("d_model", 16L)
          .doesNotContainKey("hidden_size");
      try (Safetensors file = Safetensors.open(dir.resolve("model.safetensors"))) {
        assertThat(file.entries().keySet())
            .contains("castle.towers.1.mlp.up_proj.weight", "model.norm.weight", "lm_head.weight");
      }
      assertThat(TransformerConfig.read(dir)).isEqualTo(config);
      try (var second =
          Transformer.allocate(
              cpu, TransformerConfig.read(dir), Precision.FP32, Grouping.decayMatrices(0.1f))) {
        HuggingFace.load(second, dir);
        assertThat(second.weights().segment().mismatch(first.weights().segment())).isEqualTo(-1);
        assertThat(train(cpu, second, 5)).isLessThan(1);
      }
    }
  }

  @Test
  void itsErrorsNameItsOwnKey() throws IOException {
    Llama.config(11, 2, 4, 2, 16, 12, LENGTH)
        .with(b -> b.family(Families.named("castle")))
        .write(dir, DType.F32);
    Path file = dir.resolve("config.json");
    Files.writeString(file, Files.readString(file).replace("\"d_model\": 16", "\"d_model\": 0"));
    assertThatThrownBy(() -> TransformerConfig.read(dir))
        .isInstanceOf(FileFormatException.class)
        .hasMessageContaining("d_model must be from 1");
    Files.writeString(file, Files.readString(file).replace("\"d_model\"", "\"hidden_size\""));
    assertThatThrownBy(() -> TransformerConfig.read(dir))
        .isInstanceOf(FileFormatException.class)
        .hasMessageContaining("d_model is missing");
  }
}
