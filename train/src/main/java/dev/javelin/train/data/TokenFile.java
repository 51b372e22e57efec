package dev.javelin.train.data;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.javelin.tensor.io.FileFormatException;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import org.jspecify.annotations.Nullable;

/**
 * nanoGPT's token file, mapped into memory: headerless little-endian uint16, or uint32 where {@code
 * FILE.bin.json} beside it says so.
 */
public final class TokenFile implements TokenSource {
  static final ObjectMapper MAPPER = new ObjectMapper();
  private static final String REMEDY = "write the file again with javelin prepare";
  private static final ValueLayout.OfShort SHORT =
      ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  private static final ValueLayout.OfInt INT =
      ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

  /**
   * What stands beside a token file.
   *
   * @param dtype {@code uint16} or {@code uint32}
   * @param vocabSize ids are below it; 0 where unknown
   * @param tokens their number, by which a file cut short is known; 0 where unknown
   * @param tokenizer {@code byte}, {@code char} or the path of a directory, seen from the file's
   */
  record Description(String dtype, int vocabSize, long tokens, @Nullable String tokenizer) {
    private static final Description NANO_GPT = new Description("uint16", 0, 0, null);

    static Path path(Path file) {
      return file.resolveSibling(file.getFileName() + ".json");
    }

    static Description of(Path file) {
      Path path = path(file);
      if (!Files.exists(path)) {
        return NANO_GPT;
      }
      try {
        JsonNode json = MAPPER.readTree(path.toFile());
        String dtype = json.path("dtype").asText("");
        if (!dtype.equals("uint16") && !dtype.equals("uint32")) {
          throw new FileFormatException(
              path, "dtype must be uint16 or uint32, got \"" + dtype + "\"", REMEDY);
        }
        return new Description(
            dtype,
            json.path("vocab_size").asInt(0),
            json.path("tokens").asLong(0),
            json.path("tokenizer").textValue());
      } catch (JsonProcessingException e) {
        throw new FileFormatException(path, "is not JSON: " + e.getOriginalMessage(), REMEDY, e);
      } catch (IOException e) {
        throw new UncheckedIOException(path + ": cannot be read: " + e.getMessage(), e);
      }
    }

    byte[] json() {
      var json = MAPPER.createObjectNode().put("dtype", dtype);
      json.put("vocab_size", vocabSize).put("tokens", tokens).put("tokenizer", tokenizer);
      return json.toPrettyString().getBytes(java.nio.charset.StandardCharsets.UTF_8);
    }
  }

  private final Path path;
  private final Description description;
  private final boolean wide;
  private final Arena arena = Arena.ofShared();
  private final MemorySegment tokens;

  private TokenFile(Path path) throws IOException {
    this.path = path;
    this.description = Description.of(path);
    this.wide = description.dtype().equals("uint32");
    try (FileChannel channel = FileChannel.open(path, StandardOpenOption.READ)) {
      tokens = channel.map(FileChannel.MapMode.READ_ONLY, 0, channel.size(), arena);
    }
  }

  /**
   * Maps a token file.
   *
   * @throws FileFormatException where the file is empty, cut short, or at odds with what stands
   *     beside it
   */
  public static TokenFile open(Path path) {
    TokenFile file;
    try {
      file = new TokenFile(path);
    } catch (NoSuchFileException e) {
      throw new FileFormatException(path, "does not exist", "name an existing token file", e);
    } catch (IOException e) {
      throw new UncheckedIOException(path + ": cannot be read: " + e.getMessage(), e);
    }
    try {
      file.check();
      return file;
    } catch (FileFormatException e) {
      file.close();
      throw e;
    }
  }

  private void check() {
    long bytes = tokens.byteSize();
    if (bytes == 0) {
      throw new FileFormatException(path, "holds no tokens", REMEDY);
    }
    int width = wide ? 4 : 2;
    if (bytes % width != 0) {
      throw new FileFormatException(
          path, bytes + " bytes are no whole number of " + description.dtype() + " ids", REMEDY);
    }
    if (description.tokens() != 0 && description.tokens() != size()) {
      throw new FileFormatException(
          path,
          "holds "
              + size()
              + " tokens, "
              + Description.path(path).getFileName()
              + " says "
              + description.tokens(),
          REMEDY);
    }
  }

  @Override
  public String name() {
    return path.toString();
  }

  @Override
  public long size() {
    return tokens.byteSize() / (wide ? 4 : 2);
  }

  @Override
  public void read(long from, int[] into, int count) {
    if (wide) {
      MemorySegment.copy(tokens, INT, 4 * from, into, 0, count);
      return;
    }
    for (int i = 0; i < count; i++) {
      into[i] = tokens.get(SHORT, 2 * (from + i)) & 0xFFFF;
    }
  }

  Description description() {
    return description;
  }

  @Override
  public void close() {
    if (arena.scope().isAlive()) {
      arena.close();
    }
  }
}
