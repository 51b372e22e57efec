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
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.function.UnaryOperator;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class HuggingFaceTest {
  private static final TransformerConfig TINY = Llama.config(11, 2, 4, 2, 16, 12, 8);

  @TempDir Path dir;

  private static ParameterBuffer<Transformer> model(
      Cpu cpu, TransformerConfig config, Precision p) {
    return ParameterBuffer.allocate(
        cpu, p, Grouping.decayMatrices(0.1f), d -> Transformer.declare(config, d));
  }

  private static ParameterBuffer<Transformer> initialised(Cpu cpu, TransformerConfig config) {
    ParameterBuffer<Transformer> buffer = model(cpu, config, Precision.FP32);
    Init.normal(buffer, 3);
    return buffer;
  }

  /** Every tensor of a directory's files by canonical name. */
  private static Map<String, byte[]> tensors(TransformerConfig config, Path directory)
      throws IOException {
    Map<String, byte[]> out = new HashMap<>();
    try (Stream<Path> files = Files.list(directory)) {
      for (Path file :
          files.filter(f -> f.toString().matches(".*/model[-0-9of]*\\.safetensors")).toList()) {
        try (Safetensors st = Safetensors.open(file)) {
          for (Safetensors.Entry e : st.entries().values()) {
            if (!config.family().names(config).isBuffer(e.name())) {
              byte[] bytes = e.data().toArray(ValueLayout.JAVA_BYTE);
              out.put(
                  config.family().names(config).canonical(e.name()) + " " + e.type() + e.shape(),
                  bytes);
            }
          }
        }
      }
    }
    return out;
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "llama-tiny",
        "gpt2-tiny",
        "gpt2-hubnames-tiny",
        "qwen2-tiny",
        "qwen3-tiny",
        "mistral-window-tiny",
        "llama-sharded-bf16-tiny"
      })
  void savesTheBitsItLoaded(String name) throws IOException {
    Path golden = Path.of("src/test/resources/golden/models", name);
    TransformerConfig config = TransformerConfig.read(golden);
    Precision stored = name.contains("bf16") ? Precision.BF16 : Precision.FP32;
    Path copy = Files.createDirectory(dir.resolve("copy"));
    try (Cpu cpu = Cpu.open(1);
        var first = model(cpu, config, stored);
        var second = model(cpu, config, stored)) {
      HuggingFace.load(first, golden);
      HuggingFace.save(first, copy);
      HuggingFace.load(second, copy);
      assertThat(first.weights().segment().mismatch(second.weights().segment())).isEqualTo(-1);
      assertThat(TransformerConfig.read(copy)).isEqualTo(config);
      assertThat(tensors(config, copy)).containsExactlyInAnyOrderEntriesOf(tensors(config, golden));
    }
  }

  @Test
  void shardsHoldWhatOneFileHolds() throws IOException {
    Path single = Files.createDirectory(dir.resolve("single"));
    Path sharded = Files.createDirectory(dir.resolve("sharded"));
    try (Cpu cpu = Cpu.open(1);
        var a = initialised(cpu, TINY);
        var b = model(cpu, TINY, Precision.FP32)) {
      HuggingFace.save(a, single);
      HuggingFace.save(a, sharded, 2000);
      HuggingFace.load(b, sharded);
      assertThat(a.weights().segment().mismatch(b.weights().segment())).isEqualTo(-1);
      assertThat(tensors(TINY, sharded)).containsExactlyInAnyOrderEntriesOf(tensors(TINY, single));
      String second =
          Json.read(sharded.resolve("model.safetensors.index.json"))
              .object("weight_map")
              .text("model.layers.1.mlp.down_proj.weight");
      Files.delete(sharded.resolve(second));
      assertThatThrownBy(() -> HuggingFace.load(b, sharded))
          .isInstanceOf(FileFormatException.class)
          .hasMessageContaining(second + ": there is no such file");
    }
  }

  @Test
  void halfPrecisionIsRoundedOnceAndMastersAreExact() {
    try (Cpu cpu = Cpu.open(1);
        var full = initialised(cpu, TINY);
        var half = model(cpu, TINY, Precision.FP16)) {
      HuggingFace.save(full, dir);
      HuggingFace.load(half, dir);
      var master = Objects.requireNonNull(half.master());
      assertThat(master.segment().mismatch(full.weights().segment())).isEqualTo(-1);
      Parameter p = half.model().tokens();
      Parameter q = full.model().tokens();
      for (int i = 0; i < 100; i++) {
        assertThat(FloatBits.get(p.value().segment(), DType.F16, i))
            .isEqualTo(
                FloatBits.round(FloatBits.get(q.value().segment(), DType.F32, i), DType.F16));
      }
    }
  }

  @Test
  void optimizerStateGoesByHuggingFaceNamesAndBack() {
    TransformerConfig gpt2 = Gpt2.config(11, 1, 2, 8, 6);
    Path file = dir.resolve("optimizer.safetensors");
    try (Cpu cpu = Cpu.open(1);
        var a = initialised(cpu, gpt2);
        var b = model(cpu, gpt2, Precision.FP32)) {
      a.gradients().segment().copyFrom(a.weights().segment()); // any numbers
      var items = HuggingFace.items(a, "exp_avg.", p -> a.part(a.gradients(), p));
      Safetensors.write(file, Map.of(), items);
      try (Safetensors st = Safetensors.open(file)) {
        assertThat(st.get("exp_avg.transformer.h.0.attn.c_attn.weight").shape())
            .isEqualTo(Shape.of(8, 24));
        HuggingFace.read(b, st, "exp_avg.", p -> b.part(b.gradients(), p));
      }
      assertThat(b.gradients().segment().mismatch(a.gradients().segment())).isEqualTo(-1);
      assertThat(HuggingFace.namesOf(gpt2, a.get("blocks.0.mlp.up.weight")))
          .containsExactly("transformer.h.0.mlp.c_fc.weight");
    }
  }

  /** Saves a model, changes the list of its tensors, and expects loading to fail. */
  private void refuses(
      TransformerConfig config, UnaryOperator<List<Safetensors.Item>> change, String... parts) {
    try (Cpu cpu = Cpu.open(1);
        var buffer = initialised(cpu, config)) {
      var items = change.apply(new ArrayList<>(HuggingFace.items(buffer, "", Parameter::value)));
      Safetensors.write(dir.resolve("model.safetensors"), Map.of(), items);
      assertThatThrownBy(() -> HuggingFace.load(buffer, dir))
          .isInstanceOf(FileFormatException.class)
          .hasMessageContainingAll(parts);
    }
  }

  private static Safetensors.Item item(String name, DType type, int... dims) {
    Shape shape = Shape.of(dims);
    byte[] zeros = new byte[(int) type.bytes(shape.elements())];
    return new Safetensors.Item(name, type, shape, () -> MemorySegment.ofArray(zeros));
  }

  private static UnaryOperator<List<Safetensors.Item>> replace(Safetensors.Item... items) {
    return list -> {
      for (Safetensors.Item item : items) {
        list.removeIf(i -> i.name().equals(item.name()));
        list.add(item);
      }
      return list;
    };
  }

  @Test
  void refusesMissingUnexpectedMisshapenAndMistypedTensors() {
    String up = "model.layers.1.mlp.up_proj.weight";
    refuses(
        TINY,
        list -> {
          list.removeIf(i -> i.name().equals(up));
          return list;
        },
        "model.safetensors: tensor " + up + " is missing");
    refuses(
        TINY,
        replace(item("model.layers.2.mlp.up_proj.weight", DType.F32, 12, 16)),
        "tensor model.layers.2.mlp.up_proj.weight is unexpected");
    refuses(TINY, replace(item(up, DType.F32, 16, 12)), up + " must be [12, 16], got [16, 12]");
    refuses(TINY, replace(item(up, DType.I32, 12, 16)), up + " is I32", "F32, BF16, F16 or F64");
  }

  @Test
  void refusesNumbersThatAreNotFinite() {
    Safetensors.Item nan =
        new Safetensors.Item(
            "model.norm.weight",
            DType.F32,
            Shape.of(16),
            () -> {
              MemorySegment values = MemorySegment.ofArray(new byte[64]);
              FloatBits.put(values, DType.F32, 5, Float.NaN);
              return values;
            });
    refuses(TINY, replace(nan), "model.norm.weight holds NaN at element 5", "earlier checkpoint");
  }

  @Test
  void aTiedHeadMayStandInTheFileIfItIsTheEmbedding() {
    try (Cpu cpu = Cpu.open(1);
        var buffer = initialised(cpu, TINY)) {
      var items = new ArrayList<>(HuggingFace.items(buffer, "", Parameter::value));
      Safetensors.Item tokens = items.getFirst();
      items.add(new Safetensors.Item("lm_head.weight", DType.F32, tokens.shape(), tokens.data()));
      Safetensors.write(dir.resolve("model.safetensors"), Map.of(), items);
      HuggingFace.load(buffer, dir);
    }
    refuses(TINY, replace(item("lm_head.weight", DType.F32, 11, 16)), "lm_head.weight differs");
  }

  @Test
  void anUntiedHeadMustBeThere() {
    TransformerConfig untied = TINY.with(b -> b.tied(false).layers(1));
    refuses(
        untied,
        list -> {
          list.removeIf(i -> i.name().equals("lm_head.weight"));
          return list;
        },
        "tensor lm_head.weight is missing",
        "tie_word_embeddings");
  }

  @Test
  void refusesAnIndexThatReachesOutsideItsDirectory() throws IOException {
    Files.writeString(
        dir.resolve("model.safetensors.index.json"),
        "{\"weight_map\": {\"model.norm.weight\": \"../secret.safetensors\"}}");
    try (Cpu cpu = Cpu.open(1);
        var buffer = initialised(cpu, TINY)) {
      assertThatThrownBy(() -> HuggingFace.load(buffer, dir))
          .isInstanceOf(FileFormatException.class)
          .hasMessageContaining("weight_map.model.norm.weight must name a file in this directory");
    }
  }

  @Test
  void namesADirectoryWithoutWeights() {
    assertThat(HuggingFace.hasWeights(dir)).isFalse();
    try (Cpu cpu = Cpu.open(1);
        var buffer = initialised(cpu, TINY)) {
      assertThatThrownBy(() -> HuggingFace.load(buffer, dir))
          .isInstanceOf(FileFormatException.class)
          .hasMessageContaining("has no model.safetensors");
    }
  }
}
