package dev.javelin.nn;

import static dev.javelin.nn.ModelCase.assertClose;
import static dev.javelin.nn.ModelCase.floats;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.javelin.autograd.Tape;
import dev.javelin.device.Cpu;
import dev.javelin.device.DType;
import dev.javelin.device.Memory;
import dev.javelin.tensor.Shape;
import dev.javelin.tensor.Tensor;
import dev.javelin.tensor.io.FileFormatException;
import dev.javelin.tensor.io.Json;
import dev.javelin.tensor.io.Safetensors;
import dev.javelin.tensor.step.Workspace;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** A decoder whose last hidden state is scored. */
class DecoderClassifierTest {
  private static final Labels THREE = new Labels(List.of("bad", "good", "ugly"));

  @TempDir Path dir;

  private static ParameterBuffer<DecoderClassifier> load(
      Cpu cpu, Path from, Labels labels, long seed) {
    TransformerConfig config = TransformerConfig.read(from);
    return Classifiers.load(cpu, from, config, labels, Precision.FP32, Grouping.frozen(), seed);
  }

  /** The reference's hidden states of padded rows, times the score, are the logits. */
  @ParameterizedTest
  @ValueSource(strings = {"llama-tiny", "gpt2-tiny", "qwen2-tiny", "mistral-window-tiny"})
  void theLastRealTokenIsScored(String name) {
    Path golden = Path.of("src/test/resources/golden/models", name);
    try (Cpu cpu = Cpu.open(2);
        var buffer = load(cpu, golden, THREE, 5);
        Workspace ws = Workspace.on(cpu);
        Safetensors ref = Safetensors.open(golden.resolve("reference.safetensors"));
        Memory memory = cpu.allocate(1 << 16)) {
      DecoderClassifier model = buffer.model();
      int[] ids = ModelCase.integers(ref.get("input_ids"));
      Shape shape = ref.get("input_ids").shape();
      int batch = shape.dim(0);
      int seqLen = shape.dim(1);
      int[] lengths = new int[batch];
      int[] last = new int[batch];
      for (int b = 0; b < batch; b++) {
        lengths[b] = seqLen - 3 * b;
        last[b] = b * seqLen + lengths[b] - 1;
        for (int t = lengths[b]; t < seqLen; t++) {
          ids[b * seqLen + t] = 0;
        }
      }
      Tensor tokens = tensor(memory, 0, ids, shape);
      Tensor ends = tensor(memory, 4096, last, Shape.of(batch));
      Tensor real = tensor(memory, 8192, lengths, Shape.of(batch));
      double[] logits =
          floats(model.classLogits(Tape.inference(ws), tokens, real, ends, null).value());
      int layers = model.decoder().blocks().size();
      double[] hidden = floats(ref.get("hidden_states." + layers));
      double[] score = floats(model.score().weight().value());
      int width = score.length / 3;
      double[] expected = new double[3 * batch];
      for (int i = 0; i < expected.length; i++) {
        for (int c = 0; c < width; c++) {
          expected[i] += hidden[last[i / 3] * width + c] * score[i % 3 * width + c];
        }
      }
      assertClose("logits", logits, expected, 1e-4);
    }
  }

  private static Tensor tensor(Memory memory, long offset, int[] values, Shape shape) {
    Tensor t = Tensor.of(memory, offset, DType.I32, shape);
    t.fromHost(MemorySegment.ofArray(values));
    return t;
  }

  @ParameterizedTest
  @ValueSource(strings = {"llama-tiny", "gpt2-hubnames-tiny", "qwen3-tiny"})
  void whatIsWrittenIsReadAndAnotherHeadIsDrawn(String name) {
    Path golden = Path.of("src/test/resources/golden/models", name);
    assertThat(Classifiers.labels(golden)).isNull();
    try (Cpu cpu = Cpu.open(1);
        var written = load(cpu, golden, THREE, 5)) {
      Classifiers.save(written, dir, HuggingFace.SHARD_BYTES);
      assertThat(Classifiers.labels(dir)).isEqualTo(THREE);
      try (var read = load(cpu, dir, THREE, 6);
          var two = load(cpu, dir, Labels.numbered(2), 6)) {
        for (String p : written.named().keySet()) {
          assertThat(same(read, written, p)).as(p).isTrue();
          assertThat(p.equals("score.weight") || same(two, written, p)).as(p).isTrue();
        }
      }
    }
    assertThat(Json.read(dir.resolve("config.json")).array("architectures").toString())
        .isIn(
            "[LlamaForSequenceClassification]",
            "[GPT2ForSequenceClassification]",
            "[Qwen3ForSequenceClassification]");
    try (Safetensors file = Safetensors.open(dir.resolve("model.safetensors"))) {
      assertThat(file.entries()).containsKey("score.weight").doesNotContainKey("lm_head.weight");
    }
  }

  private static boolean same(ParameterBuffer<?> a, ParameterBuffer<?> b, String name) {
    return a.get(name).value().segment().mismatch(b.get(name).value().segment()) == -1;
  }

  @Test
  void aClassifierIsNoLanguageModel() {
    Path golden = Path.of("src/test/resources/golden/models/llama-tiny");
    try (Cpu cpu = Cpu.open(1);
        var written = load(cpu, golden, THREE, 5)) {
      Classifiers.save(written, dir, HuggingFace.SHARD_BYTES);
      TransformerConfig config = TransformerConfig.read(dir);
      assertThatThrownBy(
              () -> HuggingFace.load(cpu, config, Precision.FP32, Grouping.frozen(), dir))
          .isInstanceOf(FileFormatException.class)
          .hasMessageContaining("tensor score.weight is unexpected");
    }
  }
}
