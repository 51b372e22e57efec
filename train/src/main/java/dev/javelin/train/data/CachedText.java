package dev.javelin.train.data;

import dev.javelin.tensor.io.AtomicFile;
import dev.javelin.train.tokenizer.Tokenizer;
import java.io.ByteArrayOutputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.BufferUnderflowException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.SequencedMap;
import java.util.stream.Stream;
import java.util.zip.CRC32C;
import org.jspecify.annotations.Nullable;

/**
 * A text whose byte-pair vocabulary and ids are kept in a file, since learning and encoding them
 * takes a good part of a start. What is read equals what would be computed: the file names the
 * checksum of the text and ends with its own, and is passed over where either differs. No file, a
 * damaged one, or a directory that cannot be written: all is computed, without a word.
 *
 * <p>The directory is the system property {@value #PROPERTY}; without it nothing is kept. It has to
 * belong to one version of the program, since the file does not tell which code learned.
 */
final class CachedText implements Texts {
  static final String PROPERTY = "javelin.cache";
  private static final String TOKENIZER = "bpe";
  private static final int NARROW = 1 << 16; // ids take two bytes

  private final String name;
  private final byte[] utf8;
  private final @Nullable Path file;
  private @Nullable Kept kept;

  /** A tokenizer and the ids it makes of the text; none where they are not known yet. */
  private record Kept(Tokenizer tokenizer, @Nullable TokenSource ids) {}

  /**
   * @param directory of the file; null to keep nothing
   */
  CachedText(String name, byte[] utf8, @Nullable Path directory) {
    this.name = name;
    this.utf8 = utf8;
    this.file = directory == null ? null : directory.resolve(TOKENIZER + ".bin");
  }

  /** What the property says. */
  static @Nullable Path directory() {
    String directory = System.getProperty(PROPERTY, "");
    return directory.isEmpty() ? null : Path.of(directory);
  }

  @Override
  public String name() {
    return name;
  }

  @Override
  public Stream<TextDocument> documents() {
    return Stream.of(new TextDocument(name, new String(utf8, StandardCharsets.UTF_8)));
  }

  @Override
  public boolean separated() {
    return false;
  }

  @Override
  public Tokenizer tokenizer(String wanted) {
    if (file == null || !wanted.equals(TOKENIZER)) {
      return Texts.super.tokenizer(wanted);
    }
    Kept found = read(file);
    kept = found == null ? new Kept(Texts.super.tokenizer(wanted), null) : found;
    return kept.tokenizer;
  }

  @Override
  public TokenSource encode(Tokenizer tokenizer, Separator separator) {
    Kept known = kept;
    if (known == null || !known.tokenizer.equals(tokenizer)) {
      return Texts.super.encode(tokenizer, separator);
    }
    if (known.ids != null) {
      return known.ids;
    }
    TokenSource ids = Texts.super.encode(tokenizer, separator);
    if (file != null && tokenizer.vocabSize() <= NARROW) {
      write(file, tokenizer, ids);
    }
    kept = new Kept(tokenizer, ids);
    return ids;
  }

  private int checksum() {
    return checksum(utf8, utf8.length);
  }

  private static int checksum(byte[] bytes, int count) {
    CRC32C sum = new CRC32C();
    sum.update(bytes, 0, count);
    return (int) sum.getValue();
  }

  private @Nullable Kept read(Path from) {
    try {
      byte[] bytes = Files.readAllBytes(from);
      int end = bytes.length - Integer.BYTES;
      ByteBuffer in = ByteBuffer.wrap(bytes);
      if (end < 0 || in.getInt(end) != checksum(bytes, end)) {
        return null;
      }
      if (in.getInt() != utf8.length || in.getInt() != checksum()) {
        return null;
      }
      SequencedMap<String, byte[]> files = new LinkedHashMap<>();
      for (int n = in.getInt(); n > 0; n--) {
        String named = new String(bytes(in), StandardCharsets.UTF_8);
        files.put(named, bytes(in));
      }
      int count = in.getInt();
      List<Object> blocks = new ArrayList<>();
      for (int left = count; left > 0; left -= TokenBuffer.BLOCK) {
        char[] block = new char[Math.min(left, TokenBuffer.BLOCK)];
        in.asCharBuffer().get(block);
        in.position(in.position() + Character.BYTES * block.length);
        blocks.add(block);
      }
      return new Kept(Tokenizer.restore(files), new TokenArray(name, List.copyOf(blocks), count));
    } catch (IOException | BufferUnderflowException e) {
      return null;
    }
  }

  private static byte[] bytes(ByteBuffer in) {
    byte[] bytes = new byte[in.getInt()];
    in.get(bytes);
    return bytes;
  }

  private void write(Path to, Tokenizer tokenizer, TokenSource ids) {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    try (DataOutputStream out = new DataOutputStream(bytes)) {
      out.writeInt(utf8.length);
      out.writeInt(checksum());
      out.writeInt(tokenizer.files().size());
      for (Map.Entry<String, byte[]> e : tokenizer.files().entrySet()) {
        byte[] named = e.getKey().getBytes(StandardCharsets.UTF_8);
        out.writeInt(named.length);
        out.write(named);
        out.writeInt(e.getValue().length);
        out.write(e.getValue());
      }
      int[] all = new int[Math.toIntExact(ids.size())];
      ids.read(0, all, all.length);
      out.writeInt(all.length);
      for (int id : all) {
        out.writeChar(id);
      }
      out.writeInt(checksum(bytes.toByteArray(), bytes.size()));
      ByteBuffer whole = ByteBuffer.wrap(bytes.toByteArray());
      Files.createDirectories(Objects.requireNonNull(to.toAbsolutePath().getParent()));
      AtomicFile.write(
          to,
          channel -> {
            while (whole.hasRemaining()) {
              channel.write(whole);
            }
          });
    } catch (IOException | UncheckedIOException e) {
      // the next start computes it again
    }
  }
}
