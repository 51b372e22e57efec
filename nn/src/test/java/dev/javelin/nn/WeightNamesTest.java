package dev.javelin.nn;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.javelin.device.Cpu;
import dev.javelin.device.DType;
import dev.javelin.nn.family.Gpt2;
import dev.javelin.nn.family.Llama;
import dev.javelin.tensor.Parameter;
import dev.javelin.tensor.Shape;
import dev.javelin.tensor.io.FileFormatException;
import dev.javelin.tensor.io.Json;
import dev.javelin.tensor.io.Safetensors;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The same weights under the names and in the types in which others write them. */
class WeightNamesTest {
  private static final TransformerConfig TINY = Llama.config(11, 2, 4, 2, 16, 12, 8);

  @TempDir Path dir;

  private final Cpu cpu = Cpu.open(1);

  @AfterEach
  void close() {
    cpu.close();
  }

  private ParameterBuffer<Transformer> model(TransformerConfig config, long seed) {
    var buffer = Transformer.allocate(cpu, config, Precision.FP32, Grouping.frozen());
    Init.normal(buffer, seed);
    return buffer;
  }

  /** Writes a model's tensors under other names, reads them, and expects the same weights. */
  private void readsBack(TransformerConfig config, UnaryOperator<String> rename) {
    try (var written = model(config, 1);
        var read = model(config, 2)) {
      List<Safetensors.Item> items = new ArrayList<>();
      for (Safetensors.Item item : HuggingFace.items(written, "", Parameter::value)) {
        String name = rename.apply(item.name());
        items.add(new Safetensors.Item(name, item.dtype(), item.shape(), item.data()));
      }
      Safetensors.write(dir.resolve("model.safetensors"), Map.of(), items);
      HuggingFace.load(read, dir);
      assertSame(read, written);
    }
  }

  private static void assertSame(ParameterBuffer<?> got, ParameterBuffer<?> expected) {
    expected
        .named()
        .forEach(
            (name, p) ->
                assertThat(got.get(name).value().toHost().mismatch(p.value().toHost()))
                    .as(name)
                    .isEqualTo(-1));
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "module.",
        "_orig_mod.",
        "module._orig_mod.",
        "_orig_mod.module.",
        "module.module.",
        "_fsdp_wrapped_module.",
      })
  void whatWrappersPutBeforeNamesIsLeftOut(String prefix) {
    TransformerConfig untied = TINY.with(b -> b.tied(false));
    readsBack(untied, name -> prefix + name);
    readsBack(Gpt2.config(11, 1, 2, 8, 6), name -> prefix + name);
  }

  @Test
  void layersCompiledOrCheckpointedByThemselvesAreFound() {
    readsBack(TINY, name -> name.replaceAll("layers\\.(\\d+)\\.", "layers.$1._orig_mod."));
    readsBack(
        TINY,
        name -> name.replaceAll("layers\\.(\\d+)\\.", "layers.$1._checkpoint_wrapped_module."));
  }

  @ParameterizedTest
  @ValueSource(strings = {"", "module.", "_orig_mod."})
  void aModelWithoutItsHeadLeavesThePrefixOut(String prefix) {
    readsBack(TINY, name -> prefix + name.replaceFirst("^model\\.", ""));
    readsBack(Gpt2.config(11, 1, 2, 8, 6), n -> prefix + n.replaceFirst("^transformer\\.", ""));
  }

  @Test
  void theSameTensorUnderTwoNamesIsRefused() {
    try (var buffer = model(TINY, 1)) {
      var items = new ArrayList<>(HuggingFace.items(buffer, "", Parameter::value));
      Safetensors.Item norm = items.getLast();
      items.add(
          new Safetensors.Item("module." + norm.name(), DType.F32, norm.shape(), norm.data()));
      Safetensors.write(dir.resolve("model.safetensors"), Map.of(), items);
      assertThatThrownBy(() -> HuggingFace.load(buffer, dir))
          .isInstanceOf(FileFormatException.class)
          .hasMessageContaining("tensor model.norm.weight occurs twice");
    }
  }

  @Test
  void ofATiedHeadEitherNameIsEnough() {
    readsBack(TINY, name -> name.equals("model.embed_tokens.weight") ? "lm_head.weight" : name);
  }

  @Test
  void theArchitectureMayBeThatOfTheModelWithoutItsHead() throws IOException {
    for (String name : List.of("LlamaModel", "LlamaForCausalLM")) {
      architecture(name);
      assertThat(TransformerConfig.read(dir)).isEqualTo(TINY);
    }
    architecture("MistralModel");
    assertThatThrownBy(() -> TransformerConfig.read(dir))
        .isInstanceOf(FileFormatException.class)
        .hasMessageContaining("architectures must name LlamaForCausalLM");
    assertThat(new Gpt2().baseClassName()).isEqualTo("GPT2Model");
  }

  /** A model without its head whose head is not its embedding lacks a tensor, and is refused. */
  @Test
  void aHeadThatIsNowhereIsMissing() {
    TransformerConfig untied = TINY.with(b -> b.tied(false));
    try (var buffer = model(untied, 1)) {
      var items = new ArrayList<>(HuggingFace.items(buffer, "module.", Parameter::value));
      items.removeIf(i -> i.name().equals("module.lm_head.weight"));
      Safetensors.write(dir.resolve("model.safetensors"), Map.of(), items);
      assertThatThrownBy(() -> HuggingFace.load(buffer, dir))
          .isInstanceOf(FileFormatException.class)
          .hasMessageContaining("tensor lm_head.weight is missing")
          .hasMessageContaining("tie_word_embeddings");
    }
  }

  private void architecture(String name) throws IOException {
    TINY.write(dir, DType.F32);
    Map<String, Object> json = new LinkedHashMap<>(Json.read(dir.resolve("config.json")).members());
    json.put("architectures", List.of(name));
    Files.writeString(dir.resolve("config.json"), Json.write(json));
  }

  @Test
  void doublesAreRoundedToTheWeightsType() throws IOException {
    try (var written = model(TINY, 1);
        var read = model(TINY, 2);
        var half = Transformer.allocate(cpu, TINY, Precision.BF16, Grouping.frozen())) {
      writeDoubles(HuggingFace.items(written, "", Parameter::value));
      HuggingFace.load(read, dir);
      assertSame(read, written);
      HuggingFace.load(half, dir);
      MemorySegment rounded = half.model().tokens().value().segment();
      MemorySegment exact = written.model().tokens().value().segment();
      for (int i = 0; i < 100; i++) {
        assertThat(FloatBits.get(rounded, DType.BF16, i))
            .isEqualTo(FloatBits.round(FloatBits.get(exact, DType.F32, i), DType.BF16));
      }
    }
  }

  /** A file as numpy and PyTorch write doubles; {@link Safetensors} itself writes none. */
  private void writeDoubles(List<Safetensors.Item> items) throws IOException {
    Map<String, Object> header = new LinkedHashMap<>();
    long end = 0;
    for (Safetensors.Item item : items) {
      long bytes = 8 * item.shape().elements();
      Map<String, Object> entry = new LinkedHashMap<>();
      entry.put("dtype", "F64");
      entry.put("shape", Arrays.stream(item.shape().toArray()).boxed().toList());
      entry.put("data_offsets", List.of(end, end + bytes));
      header.put(item.name(), entry);
      end += bytes;
    }
    byte[] json = Json.writeCompact(header).getBytes(StandardCharsets.UTF_8);
    ByteBuffer file =
        ByteBuffer.allocate(Math.toIntExact(8 + json.length + end)).order(ByteOrder.LITTLE_ENDIAN);
    file.putLong(json.length).put(json);
    for (Safetensors.Item item : items) {
      for (float x : item.data().get().toArray(ValueLayout.JAVA_FLOAT)) {
        file.putDouble(x);
      }
    }
    Files.write(dir.resolve("model.safetensors"), file.array());
  }

  @Test
  void numbersOfAnotherKindAreRefused() {
    try (var buffer = model(TINY, 1)) {
      var items = new ArrayList<>(HuggingFace.items(buffer, "", Parameter::value));
      items.removeLast();
      items.add(
          new Safetensors.Item(
              "model.norm.weight",
              DType.I64,
              Shape.of(16),
              () -> MemorySegment.ofArray(new byte[128])));
      Safetensors.write(dir.resolve("model.safetensors"), Map.of(), items);
      assertThatThrownBy(() -> HuggingFace.load(buffer, dir))
          .isInstanceOf(FileFormatException.class)
          .hasMessageContaining("model.norm.weight is I64; weights must be F32, BF16, F16 or F64");
    }
  }
}
