package dev.javelin.nn;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.javelin.device.Cpu;
import dev.javelin.nn.family.Llama;
import dev.javelin.tensor.io.FileCalls;
import dev.javelin.tensor.io.FileFormatException;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.channels.WritableByteChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.SplittableRandom;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** A model's directory says more than its weights: what looks like weights is read or refused. */
class WeightFilesTest {
  private static final TransformerConfig TINY = Llama.config(11, 1, 2, 1, 8, 12, 8);

  @TempDir Path dir;

  private final Cpu cpu = Cpu.open(1);

  @AfterEach
  void close() {
    cpu.close();
  }

  private void write(String name, String content) throws IOException {
    Files.writeString(dir.resolve(name), content);
  }

  /** Reads what is there; the errors of a directory name it. */
  private void load(TransformerConfig config) {
    HuggingFace.load(cpu, config, Precision.FP32, Grouping.frozen(), dir).close();
  }

  private void saveInShards() {
    try (var buffer = Transformer.allocate(cpu, TINY, Precision.FP32, Grouping.frozen())) {
      Init.normal(buffer, 1);
      HuggingFace.save(buffer, dir, 600);
    }
  }

  private List<String> written(long shardBytes) throws IOException {
    try (var buffer = Transformer.allocate(cpu, TINY, Precision.FP32, Grouping.frozen())) {
      Init.normal(buffer, shardBytes);
      HuggingFace.save(buffer, dir, shardBytes);
      try (var read = Transformer.allocate(cpu, TINY, Precision.FP32, Grouping.frozen())) {
        HuggingFace.load(read, dir);
        buffer
            .named()
            .forEach(
                (name, p) ->
                    assertThat(read.get(name).value().segment().mismatch(p.value().segment()))
                        .as(name)
                        .isEqualTo(-1));
      }
    }
    try (Stream<Path> files = Files.list(dir)) {
      return files.map(f -> f.getFileName().toString()).sorted().toList();
    }
  }

  /** Every size leaves its own files alone, whatever another has left. */
  @Test
  void noFileOfAnEarlierWriteStaysBesideTheNewOnes() throws IOException {
    Files.writeString(dir.resolve("notes.txt"), "mine");
    List<String> single = List.of("config.json", "model.safetensors", "notes.txt");
    assertThat(written(1 << 20)).isEqualTo(single);
    List<String> many = written(600);
    assertThat(many)
        .contains("model.safetensors.index.json", "notes.txt")
        .doesNotContain("model.safetensors")
        .hasSizeGreaterThan(5);
    assertThat(written(1200))
        .hasSizeLessThan(many.size())
        .doesNotContainAnyElementsOf(shards(many));
    assertThat(written(1 << 20)).isEqualTo(single);
    assertThat(written(600)).isEqualTo(many);
    assertThat(written(601)).isEqualTo(many);
  }

  private static List<String> shards(List<String> names) {
    return names.stream().filter(n -> n.matches("model-.*")).toList();
  }

  /** A full disk at any moment before the new shards stand leaves the earlier model. */
  @Test
  void shardsThatCannotBeWrittenLeaveTheEarlierOnes() throws IOException {
    List<String> before = written(600);
    byte[] first = Files.readAllBytes(dir.resolve(shards(before).getFirst()));
    FileCalls full =
        new FileCalls() {
          private int files;

          @Override
          public WritableByteChannel create(Path file) throws IOException {
            if (++files == 3) {
              throw new IOException("No space left on device");
            }
            return FileCalls.super.create(file);
          }
        };
    try (var buffer = Transformer.allocate(cpu, TINY, Precision.FP32, Grouping.frozen())) {
      assertThatThrownBy(
              () ->
                  ScopedValue.where(FileCalls.SCOPE, full)
                      .run(() -> HuggingFace.save(buffer, dir, 600)))
          .isInstanceOf(UncheckedIOException.class)
          .hasMessageContaining("No space left on device");
    }
    try (Stream<Path> files = Files.list(dir)) {
      assertThat(files.map(f -> f.getFileName().toString()).sorted().toList()).isEqualTo(before);
    }
    assertThat(Files.readAllBytes(dir.resolve(shards(before).getFirst()))).isEqualTo(first);
    load(TINY);
  }

  @Test
  void aDirectoryOfAConfigurationAloneHasNoWeights() throws IOException {
    TINY.write(dir, dev.javelin.device.DType.F32);
    write("tokenizer.json", "{}");
    write("train.bin", "tokens");
    write("README.md", "");
    assertThat(HuggingFace.hasWeights(dir)).isFalse();
    assertThatThrownBy(() -> load(TINY))
        .isInstanceOf(FileFormatException.class)
        .hasMessageContaining("has no model.safetensors; name a directory with weights");
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "pytorch_model.bin",
        "pytorch_model-00001-of-00002.bin",
        "pytorch_model.bin.index.json",
        "consolidated.00.pth",
        "model.pt",
        "tf_model.h5",
        "flax_model.msgpack",
        "llama-Q4_K_M.GGUF",
        "model-00001-of-00002.safetensors",
        "consolidated.safetensors",
        "adapter_model.safetensors",
        "optimizer.safetensors",
      })
  void weightsInAnotherFormAreRefusedByName(String name) throws IOException {
    write(name, "");
    assertThatThrownBy(() -> HuggingFace.hasWeights(dir))
        .isInstanceOf(FileFormatException.class)
        .hasMessageStartingWith(dir.toString())
        .hasMessageContaining(name);
  }

  @ParameterizedTest
  @ValueSource(strings = {"model.safetensors", "model.safetensors.index.json"})
  void aLinkThatLeadsNowhereIsRefused(String name) throws IOException {
    Files.createSymbolicLink(dir.resolve(name), Path.of("../blobs/gone"));
    assertThatThrownBy(() -> HuggingFace.hasWeights(dir))
        .isInstanceOf(FileFormatException.class)
        .hasMessageContaining("holds a link " + name + " that points nowhere");
    Files.delete(dir.resolve(name));
    Files.createDirectory(dir.resolve(name));
    assertThatThrownBy(() -> HuggingFace.hasWeights(dir))
        .isInstanceOf(FileFormatException.class)
        .hasMessageContaining("holds " + name + ", which is no file");
  }

  @Test
  void anAdapterIsRecognisedEvenBesideAModel() throws IOException {
    write("adapter_config.json", "{\"base_model_name_or_path\": \"meta/base\", \"r\": 8}");
    saveInShards();
    assertThatThrownBy(() -> HuggingFace.hasWeights(dir))
        .isInstanceOf(FileFormatException.class)
        .hasMessageContaining("holds a PEFT adapter (adapter_config.json), not a whole model")
        .hasMessageContaining("name meta/base as the model and this directory as its --adapter");
    assertThatThrownBy(() -> HuggingFace.requireModel(dir)).isInstanceOf(FileFormatException.class);
    write("adapter_config.json", "{\"base_model_name_or_path\": 7}");
    assertThatThrownBy(() -> HuggingFace.requireModel(dir))
        .isInstanceOf(FileFormatException.class)
        .hasMessageContaining("base_model_name_or_path must be text");
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "{} | its weight_map names no tensors",
        "{\"a\": \"../model.safetensors\"} | a must name a file in this directory",
        "{\"a\": \"/etc/passwd\"} | a must name a file in this directory",
        "{\"a\": \"sub\\\\\\\\x.safetensors\"} | a must name a file in this directory",
        "{\"a\": \".hidden\"} | a must name a file in this directory",
        "{\"a\": \"\"} | a must name a file in this directory",
        "{\"a\": \"x\\u0000.safetensors\"} | a must name a file in this directory",
        "{\"a\": 7} | a must be text",
        "[] | weight_map must be an object",
        "{\"a\": \"gone.safetensors\"} | there is no such file",
      })
  void anIndexNamesFilesBesideIt(String map, String message) throws IOException {
    write("model.safetensors.index.json", "{\"weight_map\": " + map + "}");
    assertThatThrownBy(() -> load(TINY))
        .isInstanceOf(FileFormatException.class)
        .hasMessageContaining(message);
  }

  /** 2^41 numbers would be allocated if shapes were compared afterwards. */
  @Test
  void sizesAreComparedWithTheFileBeforeAnythingIsAllocated() {
    saveInShards();
    TransformerConfig huge = TINY.with(b -> b.vocab(1 << 24).hidden(1 << 17));
    assertThatThrownBy(() -> load(huge))
        .isInstanceOf(FileFormatException.class)
        .hasMessageContaining("must be [16777216, 131072], got [11, 8]");
    TransformerConfig deep = TINY.withLayers(1 << 12);
    assertThatThrownBy(() -> load(deep))
        .isInstanceOf(FileFormatException.class)
        .hasMessageContaining("is missing");
  }

  @Test
  void mutatedIndexesGiveTheDeclaredExceptionOnly() throws IOException {
    mutate(10_000);
  }

  @Test
  @Tag("long")
  void manyMutatedIndexesGiveTheDeclaredExceptionOnly() throws IOException {
    mutate(100_000);
  }

  private void mutate(int count) throws IOException {
    saveInShards();
    Path index = dir.resolve("model.safetensors.index.json");
    byte[] whole = Files.readAllBytes(index);
    byte[] adapter =
        "{\"base_model_name_or_path\": \"meta/base\", \"peft_type\": \"LORA\", \"r\": 8}"
            .getBytes(StandardCharsets.UTF_8);
    int refused = 0;
    for (int i = 0; i < count; i++) {
      SplittableRandom random = new SplittableRandom(77_000_000L + i);
      boolean peft = i % 10 == 0;
      byte[] bytes = Mutants.of(peft ? adapter : whole, random);
      Files.write(peft ? dir.resolve("adapter_config.json") : index, bytes);
      try {
        load(TINY);
        assertThat(peft).isFalse();
      } catch (FileFormatException e) {
        refused++;
        assertThat(e.getMessage()).startsWith(dir.toString()).doesNotContain("\n");
      } catch (RuntimeException | Error e) {
        throw new AssertionError(
            "mutation " + i + ": " + new String(bytes, StandardCharsets.UTF_8), e);
      }
      Files.deleteIfExists(dir.resolve("adapter_config.json"));
    }
    assertThat(refused).isBetween(count / 10, count - 1);
  }
}
