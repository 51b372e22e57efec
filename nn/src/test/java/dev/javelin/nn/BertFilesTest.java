package dev.javelin.nn;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.javelin.device.Cpu;
import dev.javelin.device.DType;
import dev.javelin.kernels.Activation;
import dev.javelin.nn.BertConfig.Head;
import dev.javelin.tensor.Parameter;
import dev.javelin.tensor.io.FileFormatException;
import dev.javelin.tensor.io.Json;
import dev.javelin.tensor.io.Safetensors;
import java.io.IOException;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.TreeMap;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

/** BERT's directories: what transformers writes is read, and what is written it reads. */
class BertFilesTest {
  private static final BertConfig TINY = BertConfig.of(Head.PRETRAINING, 11, 2, 2, 8, 12, 6);

  @TempDir Path dir;

  private final Cpu cpu = Cpu.open(1);

  @AfterEach
  void close() {
    cpu.close();
  }

  private ParameterBuffer<Bert> model(BertConfig config, long seed) {
    var buffer = Bert.allocate(cpu, config, Precision.FP32, Grouping.frozen());
    Init.normal(buffer, seed);
    return buffer;
  }

  private ParameterBuffer<Bert> load(Path from, BertConfig config) {
    BertConfig stored = BertConfig.read(from, note -> {});
    return BertFiles.load(cpu, from, stored, config, Precision.FP32, Grouping.frozen(), 7);
  }

  private static Map<String, byte[]> tensors(Path directory) {
    Map<String, byte[]> out = new TreeMap<>();
    try (Safetensors file = Safetensors.open(directory.resolve("model.safetensors"))) {
      for (Safetensors.Entry e : file.entries().values()) {
        out.put(e.name() + e.type() + e.shape(), e.data().toArray(ValueLayout.JAVA_BYTE));
      }
    }
    return out;
  }

  private static boolean same(ParameterBuffer<?> a, ParameterBuffer<?> b, String name) {
    return a.get(name).value().toHost().mismatch(b.get(name).value().toHost()) == -1;
  }

  /** Names, shapes, types and bits of what transformers wrote; its keys with their values. */
  @Test
  void whatTransformersWroteIsWrittenBack() {
    try (var buffer = BertFiles.load(cpu, BertTest.GOLDEN, Precision.FP32, Grouping.frozen())) {
      BertFiles.save(buffer, dir, HuggingFace.SHARD_BYTES);
    }
    assertThat(tensors(dir)).containsExactlyEntriesOf(tensors(BertTest.GOLDEN));
    Map<String, Object> written = Json.read(dir.resolve("config.json")).members();
    Map<String, Object> before =
        new LinkedHashMap<>(Json.read(BertTest.GOLDEN.resolve("config.json")).members());
    before.remove("transformers_version");
    before.values().removeIf(value -> value == null);
    assertThat(written).containsAllEntriesOf(before);
    assertThat(BertConfig.read(dir, note -> {}))
        .isEqualTo(BertConfig.read(BertTest.GOLDEN, note -> {}));
  }

  @ParameterizedTest
  @EnumSource(Head.class)
  void everyHeadIsReadAsItWasWritten(Head head) {
    BertConfig config =
        TINY.withHead(head)
            .withDropout(new BertConfig.Dropout(0.2, 0.1, 0.3))
            .withLabels(new Labels(List.of("bad", "good", "LABEL_2")));
    try (var written = model(config, 1)) {
      BertFiles.save(written, dir, 500);
      boolean classifies = head == Head.CLASSIFIER;
      BertConfig expected = classifies ? config : config.withLabels(Labels.numbered(2));
      assertThat(BertConfig.read(dir, note -> {})).isEqualTo(expected);
      try (var read = load(dir, expected)) {
        assertThat(read.named().keySet())
            .allSatisfy(name -> assertThat(same(read, written, name)).as(name).isTrue());
      }
    }
    assertThat(Json.read(dir.resolve("config.json")).array("architectures"))
        .containsExactly(head.className());
  }

  private void rewrite(ParameterBuffer<Bert> buffer, UnaryOperator<String> rename) {
    List<Safetensors.Item> items = new ArrayList<>();
    for (Safetensors.Item i : Weights.items(buffer, "", Parameter::value)) {
      items.add(new Safetensors.Item(rename.apply(i.name()), i.dtype(), i.shape(), i.data()));
    }
    Safetensors.write(dir.resolve("model.safetensors"), Map.of(), items);
  }

  @Test
  void publishedNamesAreRead() {
    try (var written = model(TINY, 1)) {
      BertFiles.save(written, dir, HuggingFace.SHARD_BYTES);
      List<UnaryOperator<String>> names =
          List.of(
              n -> n.replace("LayerNorm.weight", "LayerNorm.gamma"),
              n -> n.replace("LayerNorm.bias", "LayerNorm.beta"),
              n -> "module." + n,
              n -> n.replaceFirst("^bert\\.", ""));
      for (UnaryOperator<String> rename : names) {
        rewrite(written, rename);
        try (var read = load(dir, TINY)) {
          assertThat(read.named().keySet())
              .allSatisfy(name -> assertThat(same(read, written, name)).as(name).isTrue());
        }
      }
    }
    BertConfig bare = TINY.withHead(Head.NONE);
    try (var written = model(bare, 1)) {
      BertFiles.save(written, dir, HuggingFace.SHARD_BYTES);
      assertThat(tensors(dir).keySet()).noneMatch(name -> name.startsWith("bert."));
      rewrite(written, n -> "bert." + n);
      load(dir, bare).close();
    }
  }

  /** The published models of masked words hold the other heads, too. */
  @Test
  void tensorsOfOtherHeadsArePassedOverAndServeAnother() {
    try (var whole = model(TINY, 1)) {
      BertFiles.save(whole, dir, HuggingFace.SHARD_BYTES);
      TINY.withHead(Head.MASKED_WORDS).write(dir, DType.F32);
      try (var read = load(dir, TINY.withHead(Head.MASKED_WORDS))) {
        assertThat(read.named()).doesNotContainKey("pooler.weight");
        assertThat(same(read, whole, "masked.dense.weight")).isTrue();
      }
      BertConfig classes = TINY.withHead(Head.CLASSIFIER).withLabels(Labels.numbered(3));
      try (var read = load(dir, classes);
          var drawn = model(classes, 7)) {
        assertThat(same(read, whole, "pooler.weight")).isTrue();
        assertThat(same(read, whole, "blocks.1.mlp.down.weight")).isTrue();
        assertThat(same(read, drawn, "classes.weight")).isTrue();
        assertThat(same(read, drawn, "classes.bias")).isTrue();
      }
    }
  }

  @Test
  void otherClassesGetAHeadOfTheirOwnAndTheSameOnesKeepIt() {
    BertConfig two = TINY.withHead(Head.CLASSIFIER).withLabels(new Labels(List.of("a", "b")));
    BertConfig other = two.withLabels(new Labels(List.of("b", "a")));
    BertConfig three = two.withLabels(Labels.numbered(3));
    try (var written = model(two, 1)) {
      BertFiles.save(written, dir, HuggingFace.SHARD_BYTES);
      try (var read = load(dir, two)) {
        assertThat(same(read, written, "classes.weight")).isTrue();
      }
      for (BertConfig config : List.of(other, three)) {
        try (var read = load(dir, config);
            var drawn = model(config, 7)) {
          assertThat(same(read, drawn, "classes.weight")).isTrue();
          assertThat(same(read, written, "pooler.weight")).isTrue();
        }
      }
    }
  }

  @Test
  void whatIsReallyMissingIsRefused() {
    try (var written = model(TINY, 1)) {
      BertFiles.save(written, dir, HuggingFace.SHARD_BYTES);
      for (String gone :
          List.of(
              "bert.pooler.dense.bias",
              "cls.predictions.bias",
              "bert.encoder.layer.1.attention.self.key.weight")) {
        rewrite(written, n -> n.equals(gone) ? "bert.other" : n);
        assertThatThrownBy(() -> load(dir, TINY))
            .isInstanceOf(FileFormatException.class)
            .hasMessageContaining("tensor " + gone + " is missing");
      }
    }
  }

  private void config(String key, Object value) throws IOException {
    TINY.withHead(Head.CLASSIFIER).write(dir, DType.F32);
    Map<String, Object> json = new LinkedHashMap<>(Json.read(dir.resolve("config.json")).members());
    json.put(key, value);
    Files.writeString(dir.resolve("config.json"), Json.write(json));
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "position_embedding_type | relative_key | position_embedding_type must be absolute",
        "hidden_act | tanh | hidden_act must be gelu or",
        "model_type | bart | model_type must be bert",
        "problem_type | regression | problem_type must be single_label_classification",
        "odd_key | 3 | the key odd_key",
        "num_attention_heads | 3 | 8 cannot be split into 3 heads",
        "type_vocab_size | 0 | type_vocab_size",
        "layer_norm_eps | 2 | layer_norm_eps must be between 0 and 1",
        "hidden_dropout_prob | 1 | dropout must be in [0, 1)",
      })
  void keysThatChangeTheMathematicsAreRefused(String key, String value, String message)
      throws IOException {
    config(key, value.matches("\\d+") ? (Object) Long.valueOf(value) : value);
    assertThatThrownBy(() -> BertConfig.read(dir, note -> {}))
        .isInstanceOf(FileFormatException.class)
        .hasMessageContaining(message);
  }

  @Test
  void switchesAndClassesThatDoNotFitAreRefused() throws IOException {
    for (String key : List.of("is_decoder", "add_cross_attention")) {
      config(key, true);
      assertThatThrownBy(() -> BertConfig.read(dir, note -> {})).hasMessageContaining(key);
    }
    config("tie_word_embeddings", false);
    assertThatThrownBy(() -> BertConfig.read(dir, note -> {}))
        .hasMessageContaining("tie_word_embeddings is supported only as true");
    config("architectures", List.of("BertForTokenClassification"));
    assertThatThrownBy(() -> BertConfig.read(dir, note -> {}))
        .hasMessageContaining("architectures must name one of BertModel, BertForPreTraining");
    for (Map<String, Object> labels :
        List.of(
            Map.<String, Object>of(),
            Map.<String, Object>of("1", "a", "2", "b"),
            Map.<String, Object>of("0", "a", "1", "a"),
            Map.<String, Object>of("0", 3L))) {
      config("id2label", labels);
      assertThatThrownBy(() -> BertConfig.read(dir, note -> {}))
          .isInstanceOf(FileFormatException.class)
          .hasMessageContaining("id2label");
    }
  }

  @Test
  void activationsHaveTheirNamesInFiles() throws IOException {
    Map<String, Activation> names =
        Map.of(
            "gelu", Activation.GELU,
            "gelu_new", Activation.GELU_TANH,
            "relu", Activation.RELU,
            "silu", Activation.SILU);
    for (Map.Entry<String, Activation> name : names.entrySet()) {
      config("hidden_act", name.getKey());
      BertConfig read = BertConfig.read(dir, note -> {});
      assertThat(read.activation()).isEqualTo(name.getValue());
      read.write(dir, DType.F32);
      assertThat(Json.read(dir.resolve("config.json")).text("hidden_act")).isEqualTo(name.getKey());
    }
  }

  @Test
  void mutatedConfigurationsGiveTheDeclaredExceptionOnly() throws IOException {
    mutate(10_000);
  }

  @Test
  @Tag("long")
  void manyMutatedConfigurationsGiveTheDeclaredExceptionOnly() throws IOException {
    mutate(100_000);
  }

  private void mutate(int count) throws IOException {
    TINY.withHead(Head.CLASSIFIER)
        .withLabels(new Labels(List.of("bad", "good")))
        .write(dir, DType.F32);
    Path file = dir.resolve("config.json");
    byte[] whole = Files.readAllBytes(file);
    int refused = 0;
    for (int i = 0; i < count; i++) {
      byte[] bytes = Mutants.of(whole, new SplittableRandom(78_000_000L + i));
      Files.write(file, bytes);
      try {
        BertConfig.read(dir, note -> {});
      } catch (FileFormatException e) {
        refused++;
        assertThat(e.getMessage()).startsWith(dir.toString()).doesNotContain("\n");
      } catch (RuntimeException | Error e) {
        throw new AssertionError(
            "mutation " + i + ": " + new String(bytes, StandardCharsets.UTF_8), e);
      }
    }
    assertThat(refused).isBetween(count / 10, count - 1);
  }
}
