package dev.javelin.train.data;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.function.IntConsumer;
import org.jspecify.annotations.Nullable;

/**
 * Writes a token file under a temporary name; {@link #finish} syncs it, writes {@code
 * FILE.bin.json} and gives both their names. Closed before that, it leaves nothing behind.
 */
public final class TokenFileWriter implements IntConsumer, AutoCloseable {
  private final Path path;
  private final Path temporary;
  private final int vocabSize;
  private final @Nullable String tokenizer;
  private final boolean wide;
  private final FileChannel channel;
  private final ByteBuffer buffer = ByteBuffer.allocate(1 << 20).order(ByteOrder.LITTLE_ENDIAN);
  private long size;

  /**
   * @param vocabSize ids are below it; up to 65536 they take two bytes each, else four
   * @param tokenizer {@code byte}, {@code char} or the path of a directory as seen from the file's
   */
  public TokenFileWriter(Path path, int vocabSize, @Nullable String tokenizer) {
    this.path = path;
    this.temporary = path.resolveSibling(path.getFileName() + ".tmp");
    this.vocabSize = vocabSize;
    this.tokenizer = tokenizer;
    this.wide = vocabSize > 1 << 16;
    try {
      channel =
          FileChannel.open(
              temporary,
              StandardOpenOption.CREATE,
              StandardOpenOption.TRUNCATE_EXISTING,
              StandardOpenOption.READ,
              StandardOpenOption.WRITE);
    } catch (IOException e) {
      throw failed(e);
    }
  }

  /** The number of tokens so far. */
  public long size() {
    return size;
  }

  /** Appends one id. */
  @Override
  public void accept(int id) {
    if (id < 0 || id >= vocabSize) {
      throw new IllegalArgumentException(
          path + ": token id " + id + " is outside the vocabulary [0, " + vocabSize + ")");
    }
    if (buffer.remaining() < 4) {
      flush();
    }
    if (wide) {
      buffer.putInt(id);
    } else {
      buffer.putShort((short) id);
    }
    size++;
  }

  private void flush() {
    try {
      buffer.flip();
      while (buffer.hasRemaining()) {
        channel.write(buffer);
      }
      buffer.clear();
    } catch (IOException e) {
      throw failed(e);
    }
  }

  /** Takes the tokens from {@code from} on out of this file and appends them to {@code tail}. */
  void moveTail(long from, TokenFileWriter tail) {
    flush();
    int width = wide ? 4 : 2;
    ByteBuffer chunk = ByteBuffer.allocate(1 << 20).order(ByteOrder.LITTLE_ENDIAN);
    try {
      channel.position(from * width);
      while (channel.read(chunk) >= 0) {
        chunk.flip();
        while (chunk.remaining() >= width) {
          tail.accept(wide ? chunk.getInt() : chunk.getShort() & 0xFFFF);
        }
        chunk.compact();
      }
      channel.truncate(from * width);
      channel.position(from * width);
      size = from;
    } catch (IOException e) {
      throw failed(e);
    }
  }

  /** Makes the file whole: after this, and only after this, it exists under its name. */
  public void finish() {
    flush();
    try {
      channel.force(true);
      channel.close();
      String dtype = wide ? "uint32" : "uint16";
      replace(
          TokenFile.Description.path(path),
          new TokenFile.Description(dtype, vocabSize, size, tokenizer).json());
      Files.move(
          temporary, path, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
    } catch (IOException e) {
      throw failed(e);
    }
  }

  /** Writes a small file under a temporary name, syncs it and renames it. */
  static void replace(Path path, byte[] content) throws IOException {
    Path temporary = path.resolveSibling(path.getFileName() + ".tmp");
    try (FileChannel out =
        FileChannel.open(
            temporary,
            StandardOpenOption.CREATE,
            StandardOpenOption.TRUNCATE_EXISTING,
            StandardOpenOption.WRITE)) {
      ByteBuffer bytes = ByteBuffer.wrap(content);
      while (bytes.hasRemaining()) {
        out.write(bytes);
      }
      out.force(true);
    } catch (IOException e) {
      Files.deleteIfExists(temporary);
      throw e;
    }
    Files.move(
        temporary, path, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
  }

  /** Removes a token file and what stands beside it. */
  static void delete(Path path) {
    try {
      Files.deleteIfExists(path);
      Files.deleteIfExists(TokenFile.Description.path(path));
    } catch (IOException e) {
      throw new UncheckedIOException(path + ": cannot be deleted: " + e.getMessage(), e);
    }
  }

  private UncheckedIOException failed(IOException e) {
    return new UncheckedIOException(path + ": cannot be written: " + e.getMessage(), e);
  }

  @Override
  public void close() {
    try {
      channel.close();
      Files.deleteIfExists(temporary);
    } catch (IOException e) {
      throw failed(e);
    }
  }
}
