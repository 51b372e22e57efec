package dev.javelin.tensor.io;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.javelin.device.DType;
import dev.javelin.device.Mutations;
import dev.javelin.tensor.Shape;
import dev.javelin.tensor.io.JsonRules.Duplicates;
import dev.javelin.tensor.io.JsonRules.Numbers;
import dev.javelin.tensor.io.JsonRules.Surrogates;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.management.ManagementFactory;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Whatever the bytes are: the declared exception, on one line, and bounded memory. */
class HostileFilesTest {
  private static final Path FILE = Path.of("some.file");

  private static final String CONFIG =
      """
      {"model_type": "llama", "vocab_size": 32000, "rope_theta": 1e6, "eps": 1.0e-05, "tie": true,
       "name": "na\\u00efve \\ud83d\\ude00 \\"x\\" 語", "none": null, "big": 123456789012345678901,
       "rope_scaling": {"type": "yarn", "factor": [4, -2.5, [], {}]}, "files": {"a": "m-1.safetensors"}}
      """;

  @TempDir Path dir;

  @Test
  void damagedJsonGivesTheDeclaredExceptionOnly() {
    damagedJson(Mutations.SHORT);
  }

  @Test
  @Tag("long")
  void muchDamagedJson() {
    damagedJson(Mutations.LONG);
  }

  private static void damagedJson(int rounds) {
    JsonRules lax =
        JsonRules.LINE.with(Duplicates.LAST).with(Surrogates.REPLACE).with(Numbers.EXACT);
    for (JsonRules rules : List.of(JsonRules.CONFIG, lax)) {
      int refused =
          Mutations.count(
              CONFIG.getBytes(StandardCharsets.UTF_8),
              20260102,
              rounds / 2,
              bytes -> {
                try {
                  JsonObject json = Json.parse(FILE, ByteBuffer.wrap(bytes), rules);
                  assertThat(json.members()).isNotNull();
                  ask(json);
                  String written = Json.write(json);
                  JsonObject back =
                      Json.parse(
                          FILE, ByteBuffer.wrap(written.getBytes(StandardCharsets.UTF_8)), rules);
                  assertThat(back.members()).isEqualTo(json.members());
                  return false;
                } catch (FileFormatException e) {
                  return isOneLine(e);
                }
              });
      assertThat(refused).isGreaterThan(rounds / 8);
    }
  }

  /** The questions that readers of configurations ask. */
  private static void ask(JsonObject json) {
    for (String key : json.members().keySet()) {
      for (Runnable question :
          List.<Runnable>of(
              () -> json.text(key),
              () -> json.number(key),
              () -> json.integer(key, 0, 9),
              () -> json.flag(key, false),
              () -> json.array(key),
              () -> json.object(key),
              () -> json.sibling(key),
              () -> json.path(key))) {
        try {
          question.run();
        } catch (FileFormatException e) {
          isOneLine(e);
        }
      }
    }
  }

  private static boolean isOneLine(FileFormatException e) {
    assertThat(Objects.requireNonNull(e.getMessage()).chars()).noneMatch(Character::isISOControl);
    assertThat(e.getMessage()).hasSizeLessThan(700).startsWith(FILE + ": ");
    return true;
  }

  private byte[] safetensors() throws IOException {
    Path path = dir.resolve("seed.safetensors");
    Safetensors.write(
        path,
        Map.of("format", "pt"),
        List.of(
            item("model.embed.weight", DType.F32, 96, 4, 6),
            item("model.norm.weight", DType.BF16, 12, 6),
            item("mask", DType.U8, 5, 5, 1)));
    return Files.readAllBytes(path);
  }

  private static Safetensors.Item item(String name, DType dtype, int bytes, int... dims) {
    return new Safetensors.Item(
        name, dtype, Shape.of(dims), () -> MemorySegment.ofArray(new byte[bytes]));
  }

  @Test
  void damagedSafetensorsGiveTheDeclaredExceptionOnly() throws IOException {
    assertThat(damagedSafetensors(Mutations.SHORT)).isGreaterThan(Mutations.SHORT / 2);
  }

  @Test
  @Tag("long")
  void muchDamagedSafetensors() throws IOException {
    damagedSafetensors(Mutations.LONG);
  }

  private int damagedSafetensors(int rounds) throws IOException {
    return Mutations.count(
        safetensors(),
        20260101,
        rounds,
        bytes -> {
          try {
            var st = Safetensors.parse(FILE, Arena.global(), MemorySegment.ofArray(bytes));
            for (Safetensors.Entry e : st.entries().values()) {
              assertThat(e.data().byteSize()).isEqualTo(e.dtype().bytes(e.shape().elements()));
            }
            return false;
          } catch (FileFormatException e) {
            return isOneLine(e);
          }
        });
  }

  /** 95 MB of tensors took 2.6 GB of heap before they were counted. */
  @Test
  void aHeaderOfVeryManyTensorsIsRefusedInBoundedMemory() throws IOException {
    StringBuilder json = new StringBuilder(32 << 20).append('{');
    for (int i = 0; json.length() < 30 << 20; i++) {
      json.append('"')
          .append(i)
          .append("\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]},");
    }
    json.setCharAt(json.length() - 1, '}');
    byte[] header = json.toString().getBytes(StandardCharsets.UTF_8);
    Path path = dir.resolve("many.safetensors");
    ByteBuffer length = ByteBuffer.allocate(8).order(ByteOrder.LITTLE_ENDIAN);
    try (var out = Files.newOutputStream(path)) {
      out.write(length.putLong(header.length).array());
      out.write(header);
    }
    long allocated = allocated();
    try (Safetensors st = Safetensors.open(path)) {
      assertThat(st.entries()).hasSizeGreaterThan(100_000);
    } catch (FileFormatException e) {
      assertThat(e).hasMessageContaining("values, too much for a safetensors header");
    }
    assertThat(allocated() - allocated).isLessThan(1L << 30);
  }

  @Test
  void aConfigurationOf180MegabytesIsRefusedUnread() throws IOException {
    Path path = dir.resolve("config.json");
    try (var out = new java.io.RandomAccessFile(path.toFile(), "rw")) {
      out.setLength(180_000_000);
    }
    long allocated = allocated();
    assertThatThrownBy(() -> Json.read(path))
        .isInstanceOf(FileFormatException.class)
        .hasMessageContaining("is larger than 16777216 bytes, too much for a configuration");
    assertThat(allocated() - allocated).isLessThan(16 << 20);
  }

  /** Bytes that this thread has asked of the heap. */
  private static long allocated() {
    return ((com.sun.management.ThreadMXBean) ManagementFactory.getThreadMXBean())
        .getCurrentThreadAllocatedBytes();
  }
}
