package dev.javelin.tensor.io;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.javelin.device.DType;
import dev.javelin.tensor.Shape;
import dev.javelin.tensor.Tensor;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class SafetensorsTest {
  @TempDir Path dir;

  private static Safetensors.Item item(String name, DType dtype, byte[] bytes, int... dims) {
    return new Safetensors.Item(name, dtype, Shape.of(dims), () -> MemorySegment.ofArray(bytes));
  }

  private static byte[] file(String header, int dataBytes) {
    byte[] json = header.getBytes(StandardCharsets.UTF_8);
    return ByteBuffer.allocate(8 + json.length + dataBytes)
        .order(ByteOrder.LITTLE_ENDIAN)
        .putLong(json.length)
        .put(json)
        .array();
  }

  private void refuses(byte[] bytes, String... parts) throws IOException {
    Path path = Files.write(dir.resolve("bad.safetensors"), bytes);
    assertThatThrownBy(() -> Safetensors.open(path).close())
        .isInstanceOf(FileFormatException.class)
        .hasMessageContainingAll(parts)
        .hasMessageContaining("bad.safetensors: ");
  }

  private static String tensor(String name, String dtype, String shape, String offsets) {
    return "\"%s\":{\"dtype\":\"%s\",\"shape\":%s,\"data_offsets\":%s}"
        .formatted(name, dtype, shape, offsets);
  }

  /** What {@link Tensor#toHost} gives of a GPU's memory. */
  @Test
  void memoryOfAnArrayOfLongsIsWrittenLikeAnyOther() {
    long[] words = new SplittableRandom(3).longs(300_001).toArray();
    MemorySegment data = MemorySegment.ofArray(words).asSlice(8, 8 * 300_000);
    Path file = dir.resolve("longs.safetensors");
    Safetensors.write(
        file,
        Map.of(),
        List.of(new Safetensors.Item("x", DType.I64, Shape.of(300_000), () -> data)));
    try (Safetensors read = Safetensors.open(file)) {
      assertThat(read.get("x").data().mismatch(data)).isEqualTo(-1);
    }
  }

  @Test
  void writesAndReadsBackEveryDtypeAlignedAndInOrder() throws IOException {
    Path path = dir.resolve("all.safetensors");
    Safetensors.write(
        path,
        Map.of("format", "pt"),
        List.of(
            item("bytes", DType.U8, new byte[] {1, 2, 3}, 3),
            item("half", DType.BF16, new byte[] {4, 5, 6, 7, 8, 9}, 3, 1),
            item("one", DType.F32, new byte[] {0, 0, -128, 63}),
            item("none", DType.F16, new byte[0], 0, 7),
            item("ids", DType.I64, new byte[16], 2)));
    try (Safetensors st = Safetensors.open(path)) {
      assertThat(st.entries().keySet()).containsExactly("ids", "one", "half", "none", "bytes");
      assertThat(st.metadata()).isEqualTo(Map.of("format", "pt"));
      assertThat(st.get("one").dtype()).isEqualTo(DType.F32);
      assertThat(st.get("one").shape()).isEqualTo(Shape.of());
      assertThat(st.get("one").data().get(ValueLayout.JAVA_FLOAT_UNALIGNED, 0)).isEqualTo(1f);
      assertThat(st.get("half").shape()).isEqualTo(Shape.of(3, 1));
      assertThat(st.get("half").data().toArray(ValueLayout.JAVA_BYTE))
          .containsExactly(4, 5, 6, 7, 8, 9);
      assertThat(st.get("none").data().byteSize()).isZero();
      assertThat(st.get("bytes").data().toArray(ValueLayout.JAVA_BYTE)).containsExactly(1, 2, 3);
    }
    long header =
        ByteBuffer.wrap(Files.readAllBytes(path)).order(ByteOrder.LITTLE_ENDIAN).getLong();
    assertThat(header % 8).isZero();
    try (Stream<Path> files = Files.list(dir)) {
      assertThat(files).containsExactly(path);
    }
  }

  @Test
  void readsFilesOfTheReferenceImplementation() {
    Path models = Path.of("../nn/src/test/resources/golden/models");
    try (Safetensors st = Safetensors.open(models.resolve("gpt2-tiny/model.safetensors"))) {
      assertThat(st.metadata()).isEqualTo(Map.of("format", "pt"));
      assertThat(st.entries()).hasSize(28);
      assertThat(st.get("transformer.wte.weight").shape()).isEqualTo(Shape.of(256, 48));
    }
    Path shard = models.resolve("llama-sharded-bf16-tiny/model-00001-of-00003.safetensors");
    try (Safetensors st = Safetensors.open(shard)) {
      assertThat(st.get("model.embed_tokens.weight").dtype()).isEqualTo(DType.BF16);
    }
  }

  @Test
  void namesATensorThatIsNotThere() {
    Path path = dir.resolve("a.safetensors");
    Safetensors.write(path, Map.of(), List.of(item("wte", DType.U8, new byte[1], 1)));
    try (Safetensors st = Safetensors.open(path)) {
      assertThatThrownBy(() -> st.get("wpe"))
          .isInstanceOf(FileFormatException.class)
          .hasMessageContaining("has no tensor wpe; it holds 1 tensors, such as wte");
    }
  }

  @Test
  void refusesAMissingFileAndADirectory() {
    assertThatThrownBy(() -> Safetensors.open(dir.resolve("gone.safetensors")))
        .isInstanceOf(FileFormatException.class)
        .hasMessageContaining("no such file");
    assertThatThrownBy(() -> Safetensors.open(dir)).isInstanceOf(FileFormatException.class);
  }

  @Test
  void refusesHeaderLengthsThatDoNotFit() throws IOException {
    refuses(new byte[0], "0 bytes");
    refuses(new byte[7], "7 bytes");
    byte[] long2 = file("{\"a\":1}", 0);
    long2[0] = 100;
    refuses(long2, "header length 100 does not fit a file of 15 bytes");
    long2[7] = -1;
    refuses(long2, "header length 18374686479671623780");
    long2[7] = 0;
    long2[0] = 1;
    refuses(long2, "header length 1");
  }

  @Test
  void refusesOffsetsThatOverlapLeaveHolesOrReachOutside() throws IOException {
    String a = tensor("a", "F32", "[2]", "[0,8]");
    refuses(file("{" + a + "," + tensor("b", "F32", "[1]", "[4,8]") + "}", 8), "b overlaps");
    refuses(
        file("{" + a + "," + tensor("b", "F32", "[1]", "[12,16]") + "}", 16), "hole of 4 bytes");
    refuses(file("{" + a + "}", 12), "12 bytes of data", "take 8");
    refuses(file("{" + a + "}", 4), "tensor a", "outside the 4 bytes");
    refuses(file("{" + tensor("a", "F32", "[2]", "[8,0]") + "}", 8), "data_offsets [8,0]");
    refuses(file("{" + tensor("a", "F32", "[2]", "[-8,0]") + "}", 8), "data_offsets");
    refuses(file("{" + tensor("a", "F32", "[2]", "[0]") + "}", 8), "data_offsets");
    refuses(file("{" + tensor("a", "F32", "[2]", "[0,8.0]") + "}", 8), "data_offsets");
  }

  @Test
  void refusesShapesThatDoNotMatchOrOverflow() throws IOException {
    refuses(
        file("{" + tensor("a", "F32", "[3]", "[0,8]") + "}", 8),
        "F32 [3] takes 12 bytes",
        "give 8");
    refuses(file("{" + tensor("a", "F32", "[-1]", "[0,8]") + "}", 8), "bad shape");
    refuses(file("{" + tensor("a", "F32", "[\"x\"]", "[0,8]") + "}", 8), "bad shape");
    refuses(
        file("{" + tensor("a", "U8", "[2147483647,2147483647,2147483647]", "[0,8]") + "}", 8),
        "has an impossible shape");
    refuses(
        file("{" + tensor("a", "U8", "[4294967296,4294967296]", "[0,0]") + "}", 0), "bad shape");
    String many = "[" + "1,".repeat(40) + "1]";
    refuses(file("{" + tensor("a", "U8", many, "[0,1]") + "}", 1), "41 dimensions");
  }

  @Test
  void refusesDuplicateNamesUnknownKeysAndUnknownTypes() throws IOException {
    String a = tensor("a", "U8", "[1]", "[0,1]");
    refuses(file("{" + a + "," + a + "}", 1), "the key \"a\" occurs twice");
    refuses(file("{" + a.replace("]}", "],\"x\":1}") + "}", 1), "unknown key x");
    refuses(file("{" + tensor("a", "F7", "[1]", "[0,1]") + "}", 1), "unknown dtype F7");
    refuses(file("{\"a\":[]}", 0), "a must be an object");
    refuses(file("{\"__metadata__\":{\"x\":1}}", 0), "__metadata__.x must be text");
  }

  @Test
  void namesDtypesThatTensorsCannotHaveOnlyWhenAsked() throws IOException {
    String both = tensor("d", "F64", "[1]", "[0,8]") + "," + tensor("m", "BOOL", "[3]", "[8,11]");
    Path path = Files.write(dir.resolve("odd.safetensors"), file("{" + both + "}", 11));
    try (Safetensors st = Safetensors.open(path)) {
      assertThat(st.get("m").type()).isEqualTo("BOOL");
      for (String name : List.of("d", "m")) {
        assertThatThrownBy(() -> st.get(name).dtype())
            .isInstanceOf(FileFormatException.class)
            .hasMessageContainingAll("tensor " + name, "unsupported dtype", "F32, BF16, F16");
      }
    }
  }

  @Test
  void aFailedWriteLeavesTheEarlierFileAndNoDebris() throws IOException {
    Path path = dir.resolve("model.safetensors");
    Safetensors.write(path, Map.of(), List.of(item("a", DType.U8, new byte[] {7}, 1)));
    byte[] before = Files.readAllBytes(path);
    assertThatThrownBy(
            () ->
                AtomicFile.write(
                    path,
                    channel -> {
                      channel.write(ByteBuffer.wrap(new byte[100]));
                      throw new IOException("No space left on device");
                    }))
        .isInstanceOf(UncheckedIOException.class)
        .hasMessageContainingAll(
            "model.safetensors could not be written", "No space left", "untouched");
    assertThatThrownBy(
            () -> Safetensors.write(path, Map.of(), List.of(item("a", DType.U8, new byte[2], 1))))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("a must have 1 bytes, got 2");
    assertThat(Files.readAllBytes(path)).isEqualTo(before);
    try (Stream<Path> files = Files.list(dir)) {
      assertThat(files).containsExactly(path);
    }
  }

  @Test
  void refusesTwoTensorsOfOneName() {
    var a = item("a", DType.U8, new byte[1], 1);
    assertThatThrownBy(() -> Safetensors.write(dir.resolve("x"), Map.of(), List.of(a, a)))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("two tensors are named a");
  }
}
