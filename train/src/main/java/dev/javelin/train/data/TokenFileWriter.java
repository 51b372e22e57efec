package dev.javelin.train.data;

import dev.javelin.tensor.io.FileCalls;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.channels.OverlappingFileLockException;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Objects;
import java.util.function.IntConsumer;
import org.jspecify.annotations.Nullable;

/**
 * Writes a token file under a temporary name; {@link #finish} gives it its own. Closed before that,
 * it leaves nothing behind, and an earlier file of that name as it was.
 *
 * <p>While {@link #finish} is at work there is no file of that name: a file and the {@code
 * FILE.bin.json} beside it always belong together. Two writers of one file exclude each other.
 */
public final class TokenFileWriter implements IntConsumer, AutoCloseable {
  private final Path path;
  private final Path temporary;
  private final int vocabSize;
  private final @Nullable String tokenizer;
  private final @Nullable Separator separator;
  private final boolean wide;
  private final FileChannel channel;
  private final ByteBuffer buffer = ByteBuffer.allocate(1 << 20).order(ByteOrder.LITTLE_ENDIAN);
  private long size;
  private boolean described;

  /**
   * @param vocabSize ids are below it; up to 65536 they take two bytes each, else four
   * @param tokenizer {@code byte}, {@code char} or the path of a directory as seen from the file's
   * @param separator what ends a document, null where nobody need know
   * @throws InputException where another writer is at work on the file
   */
  public TokenFileWriter(
      Path path, int vocabSize, @Nullable String tokenizer, @Nullable Separator separator) {
    this.path = path;
    this.temporary = path.resolveSibling(path.getFileName() + ".tmp");
    this.vocabSize = vocabSize;
    this.tokenizer = tokenizer;
    this.separator = separator;
    this.wide = vocabSize > 1 << 16;
    try {
      channel =
          FileChannel.open(
              temporary,
              StandardOpenOption.CREATE,
              StandardOpenOption.READ,
              StandardOpenOption.WRITE,
              LinkOption.NOFOLLOW_LINKS);
    } catch (IOException e) {
      throw failed(e);
    }
    try {
      claim();
    } catch (IOException e) {
      closeAfter(e);
      throw failed(e);
    } catch (InputException e) {
      closeAfter(e);
      throw e;
    }
  }

  /** Locks the temporary file, which a writer that was killed may have left, and empties it. */
  private void claim() throws IOException {
    boolean locked;
    try {
      locked = channel.tryLock() != null;
    } catch (OverlappingFileLockException e) {
      locked = false; // by another thread
    }
    if (!locked) {
      throw new InputException(
          path + " is being written by another process: wait for it to finish");
    }
    channel.truncate(0);
  }

  private void closeAfter(Exception e) {
    try {
      channel.close();
    } catch (IOException again) {
      e.addSuppressed(again);
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
        FileCalls.current().write(channel, buffer);
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
    describe();
    try {
      FileCalls.current().rename(temporary, path);
      channel.close(); // which ends the lock
      FileCalls.current().syncDirectory(Objects.requireNonNull(path.toAbsolutePath().getParent()));
    } catch (IOException e) {
      throw failed(e);
    }
  }

  /**
   * Syncs the tokens, removes an earlier file of that name, and writes what stands beside it: the
   * point from which other files that belong to this one may be replaced.
   */
  void describe() {
    if (described) {
      return;
    }
    flush();
    try {
      FileCalls.current().sync(channel);
      FileCalls.current().delete(path);
    } catch (IOException e) {
      throw failed(e);
    }
    new TokenFileDescription(wide, vocabSize, size, tokenizer, separator).write(path);
    described = true;
  }

  /** Removes a token file and what stands beside it. */
  static void delete(Path path) {
    try {
      FileCalls.current().delete(path);
      FileCalls.current().delete(TokenFileDescription.path(path));
    } catch (IOException e) {
      throw new UncheckedIOException(path + ": cannot be deleted: " + e.getMessage(), e);
    }
  }

  private UncheckedIOException failed(IOException e) {
    return new UncheckedIOException(path + ": cannot be written: " + e.getMessage(), e);
  }

  @Override
  public void close() {
    if (!channel.isOpen()) {
      return; // finished
    }
    try (channel) {
      FileCalls.current().delete(temporary); // while it is locked: it is ours
    } catch (IOException e) {
      throw failed(e);
    }
  }
}
