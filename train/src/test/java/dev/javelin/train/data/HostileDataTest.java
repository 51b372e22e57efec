package dev.javelin.train.data;

import static org.assertj.core.api.Assertions.assertThat;

import com.github.luben.zstd.ZstdOutputStreamNoFinalizer;
import com.sun.management.ThreadMXBean;
import dev.javelin.tensor.io.FileFormatException;
import dev.javelin.tensor.io.Printable;
import dev.javelin.train.tokenizer.ByteTokenizer;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.lang.management.ManagementFactory;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.random.RandomGenerator;
import java.util.random.RandomGeneratorFactory;
import java.util.stream.Stream;
import java.util.zip.GZIPOutputStream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Files with bytes changed, cut, doubled and put in, from a seed: every reader gives what stands
 * there or an exception that it declares, in one printable line, within bounds of memory.
 */
@Timeout(600) // a reader that hangs, not one that is slow
class HostileDataTest {
  private static final int SOME = 2_000;
  private static final int MANY = 100_000;
  private static final long SEED = 20260729;

  /** What readers trip over, one of which is put in. */
  private static final List<String> PIECES =
      List.of(
          "\"",
          "\"\"",
          "\\",
          "\\u",
          "\\ud83d",
          "\\u0000",
          "{",
          "}",
          "[",
          "]",
          ",",
          ":",
          "\n",
          "\r",
          "\r\n",
          "\t",
          "\u0000",
          "\uFEFF",
          "\u2028",
          "\u001b[31m",
          "null",
          "NaN",
          "1e999",
          "-",
          "{\"text\": \"x\"}",
          "\"text\"",
          "\uD83D\uDE00",
          "[[[[[[[[[[[[[[[[",
          "uint16",
          "uint32");

  @TempDir private Path directory;

  private final ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();

  private static byte[] valid(String kind) {
    String content =
        switch (kind) {
          case "txt" -> "One line.\r\nÄnother — with 漢字 \uD83D\uDE00.\n\n\tThe end";
          case "jsonl" ->
              "{\"id\": 1, \"text\": \"one \\\"quoted\\\" \\ud83d\\ude00\"}\n\n{\"meta\": {\"a\": [1, 2.5e3,"
                  + " null, true]}, \"text\": \"zwei ä\"}\r\n{\"text\": \"\"}\n";
          case "csv" ->
              "id,text\r\n1,one\r\n2,\"two, \"\"quoted\"\"\r\nlines\"\r\n\r\n3,drei ä\r\n";
          case "tsv" -> "id\ttext\n1\tone\n2\t\"two\t\"\"quoted\"\"\nlines\"\n3\t\n";
          case "json" ->
              "[{\"id\": 1, \"text\": \"one \\\"quoted\\\" \\ud83d\\ude00\"},\n {\"meta\": {\"a\": [1, null]},"
                  + " \"text\": \"zwei ä\"}]";
          case "txt.gz", "jsonl.gz", "jsonl.zst", "csv.zst" ->
              new String(valid(kind.substring(0, kind.indexOf('.'))), StandardCharsets.UTF_8);
          default -> throw new IllegalArgumentException(kind);
        };
    byte[] bytes = content.getBytes(StandardCharsets.UTF_8);
    return kind.contains(".") ? packed(kind, bytes) : bytes;
  }

  private static byte[] packed(String kind, byte[] bytes) {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    try (OutputStream packer =
        kind.endsWith("gz") ? new GZIPOutputStream(out) : new ZstdOutputStreamNoFinalizer(out)) {
      packer.write(bytes);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    return out.toByteArray();
  }

  private static byte[] mutated(byte[] bytes, RandomGenerator random) {
    byte[] now = bytes;
    for (int n = 1 + random.nextInt(3); n > 0; n--) {
      int at = random.nextInt(now.length + 1);
      int end = Math.min(now.length, at + 1 + random.nextInt(8));
      now =
          switch (random.nextInt(6)) {
            case 0 ->
                join(now, at, new byte[] {(byte) random.nextInt(256)}, end == at ? at : at + 1);
            case 1 -> join(now, at, new byte[] {(byte) random.nextInt(256)}, at);
            case 2 -> join(now, at, new byte[0], end);
            case 3 -> join(now, at, Arrays.copyOfRange(now, at, end), at);
            case 4 ->
                join(
                    now,
                    at,
                    PIECES.get(random.nextInt(PIECES.size())).getBytes(StandardCharsets.UTF_8),
                    at);
            default -> Arrays.copyOf(now, at);
          };
    }
    return now;
  }

  /** {@code bytes} with what stands at [from, to) replaced. */
  private static byte[] join(byte[] bytes, int from, byte[] piece, int to) {
    ByteArrayOutputStream out = new ByteArrayOutputStream(bytes.length + piece.length);
    out.write(bytes, 0, from);
    out.writeBytes(piece);
    out.write(bytes, Math.min(to, bytes.length), bytes.length - Math.min(to, bytes.length));
    return out.toByteArray();
  }

  private interface Reading {
    void read(byte[] content);
  }

  /** Hands mutations of {@code valid} to a reader; at least some must be read, others refused. */
  private void mutate(int count, byte[] valid, Path path, Reading reading) throws IOException {
    RandomGenerator random = RandomGeneratorFactory.of("L64X128MixRandom").create(SEED);
    reading.read(valid);
    int refused = 0;
    for (int i = 0; i < count; i++) {
      byte[] content = mutated(valid, random);
      Files.write(path, content);
      long before = threads.getCurrentThreadAllocatedBytes();
      try {
        reading.read(content);
      } catch (InputException | FileFormatException e) {
        refused++;
        String message = Objects.requireNonNull(e.getMessage());
        assertThat(message).isEqualTo(Printable.line(message)).hasSizeLessThan(1000);
      } catch (RuntimeException | Error e) {
        throw new AssertionError(
            "seed %d, input %d: %s".formatted(SEED, i, Arrays.toString(content)), e);
      }
      assertThat(threads.getCurrentThreadAllocatedBytes() - before)
          .as("bytes of memory for input %d", i)
          .isLessThan(2 << 20);
    }
    assertThat(refused).isBetween(1, count - 1);
  }

  private void readTexts(int count, String kind) throws IOException {
    Path path = directory.resolve("a." + kind);
    byte[] valid = valid(kind);
    Files.write(path, valid);
    mutate(
        count,
        valid,
        path,
        content -> {
          TextFiles files = TextFiles.of(List.of(path), TextFiles.TEXT);
          List<String> texts;
          try (Stream<TextDocument> documents = files.documents()) {
            texts = documents.map(TextDocument::text).toList();
          }
          String whole = new String(content, StandardCharsets.UTF_8);
          String text = whole.startsWith("\uFEFF") ? whole.substring(1) : whole;
          switch (kind) {
            case "txt" -> assertThat(texts).containsExactly(text);
            case "jsonl" -> // an object on every line that is not blank
                assertThat(texts)
                    .hasSize(
                        (int)
                            Stream.of(text.split("\r\n|\r|\n"))
                                .filter(line -> !line.replaceFirst("^\uFEFF", "").isBlank())
                                .count());
            case "json", "txt.gz", "jsonl.gz", "jsonl.zst", "csv.zst" -> {} // read, or refused
            default -> // every text stands there, quotes aside
                assertThat(texts)
                    .allMatch(t -> text.replace("\"", "").contains(t.replace("\"", "")));
          }
          if (!texts.isEmpty()) {
            files.encode(new ByteTokenizer(), Separator.NEWLINE).close();
          }
        });
  }

  private void readTokens(int count, String name) throws IOException {
    boolean llmC = name.equals("llmc.bin");
    Path path = directory.resolve(llmC ? name : "train.bin");
    if (llmC) {
      ByteBuffer bytes = ByteBuffer.allocate(1024 + 2 * 20).order(ByteOrder.LITTLE_ENDIAN);
      bytes.putInt(0, 20240520).putInt(4, 1).putInt(8, 20);
      for (int i = 0; i < 20; i++) {
        bytes.putShort(1024 + 2 * i, (short) (7 * i));
      }
      Files.write(path, bytes.array());
    }
    try (TokenFileWriter writer =
        new TokenFileWriter(directory.resolve("train.bin"), 256, "byte", Separator.NEWLINE)) {
      "some tokens of a text".chars().forEach(writer::accept);
      writer.finish();
    }
    Path changed = directory.resolve(name);
    mutate(
        count,
        Files.readAllBytes(changed),
        changed,
        content -> {
          try (Dataset data = Dataset.open(List.of(path), List.of(), 0.3, null, TextFiles.TEXT)) {
            new Windows(data.train(), 2, 256).count();
            int[] ids = new int[(int) data.train().size()];
            data.train().read(0, ids, ids.length);
            assertThat(Arrays.stream(ids)).allMatch(id -> id >= 0 && id < 256);
            assertThat(data.identity().tokens()).isEqualTo(ids.length);
          }
        });
    assertThat(TokenFile.OPEN).hasValue(0);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "txt",
        "jsonl",
        "csv",
        "tsv",
        "json",
        "txt.gz",
        "jsonl.gz",
        "jsonl.zst",
        "csv.zst"
      })
  void texts(String kind) throws IOException {
    readTexts(SOME, kind);
  }

  @Tag("long")
  @ParameterizedTest
  @ValueSource(
      strings = {
        "txt",
        "jsonl",
        "csv",
        "tsv",
        "json",
        "txt.gz",
        "jsonl.gz",
        "jsonl.zst",
        "csv.zst"
      })
  void manyTexts(String kind) throws IOException {
    readTexts(MANY, kind);
  }

  @ParameterizedTest
  @ValueSource(strings = {"train.bin", "train.bin.json", "llmc.bin"})
  void tokenFiles(String changed) throws IOException {
    readTokens(SOME, changed);
  }

  @Tag("long")
  @ParameterizedTest
  @ValueSource(strings = {"train.bin", "train.bin.json", "llmc.bin"})
  void manyTokenFiles(String changed) throws IOException {
    readTokens(MANY, changed);
  }
}
