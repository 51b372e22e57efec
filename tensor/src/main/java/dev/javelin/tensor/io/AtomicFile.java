package dev.javelin.tensor.io;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.Objects;

/**
 * Files that are there whole or not at all: written under a temporary name beside the target,
 * synced to the disk, and renamed over it. A process killed in between leaves the earlier file, and
 * at most a {@code .partial} one that nobody reads.
 */
public final class AtomicFile {
  private static final long CHUNK = 16L << 20;
  private static final int COPY = 1 << 20;

  private AtomicFile() {}

  /** What to write. */
  @FunctionalInterface
  public interface Body {
    void write(FileChannel channel) throws IOException;
  }

  /**
   * Writes {@code target} anew.
   *
   * @throws UncheckedIOException if it cannot be written; the earlier file is then untouched
   */
  public static void write(Path target, Body body) {
    Path partial = target.resolveSibling(target.getFileName() + ".partial");
    try {
      try (FileChannel channel =
          FileChannel.open(
              partial,
              StandardOpenOption.CREATE,
              StandardOpenOption.TRUNCATE_EXISTING,
              StandardOpenOption.WRITE)) {
        body.write(channel);
        channel.force(true);
      }
      Files.move(
          partial, target, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
      syncDirectory(Objects.requireNonNull(target.toAbsolutePath().getParent()));
    } catch (IOException e) {
      discard(partial, e);
      throw new UncheckedIOException(
          target
              + " could not be written ("
              + e.getMessage()
              + "); an earlier file of that name is untouched: free disk space or choose another directory",
          e);
    } catch (RuntimeException e) {
      discard(partial, e);
      throw e;
    }
  }

  /** Writes {@code text} as UTF-8. */
  public static void write(Path target, String text) {
    write(
        target,
        channel -> writeAll(channel, ByteBuffer.wrap(text.getBytes(StandardCharsets.UTF_8))));
  }

  static void writeAll(FileChannel channel, ByteBuffer bytes) throws IOException {
    while (bytes.hasRemaining()) {
      channel.write(bytes);
    }
  }

  static void writeAll(FileChannel channel, MemorySegment bytes) throws IOException {
    if (bytes.heapBase().isPresent() && !(bytes.heapBase().get() instanceof byte[])) {
      copyAll(channel, bytes);
      return;
    }
    for (long from = 0; from < bytes.byteSize(); from += CHUNK) {
      writeAll(
          channel, bytes.asSlice(from, Math.min(CHUNK, bytes.byteSize() - from)).asByteBuffer());
    }
  }

  /** An array of anything but bytes has no view as a buffer of bytes. */
  private static void copyAll(FileChannel channel, MemorySegment bytes) throws IOException {
    byte[] part = new byte[(int) Math.min(COPY, bytes.byteSize())];
    for (long from = 0; from < bytes.byteSize(); from += part.length) {
      int count = (int) Math.min(part.length, bytes.byteSize() - from);
      MemorySegment.copy(bytes, ValueLayout.JAVA_BYTE, from, part, 0, count);
      writeAll(channel, ByteBuffer.wrap(part, 0, count));
    }
  }

  /** Makes the names in a directory durable, where the system can open one (Windows cannot). */
  public static void syncDirectory(Path directory) throws IOException {
    if (System.getProperty("os.name", "").startsWith("Windows")) {
      return;
    }
    try (FileChannel channel = FileChannel.open(directory, StandardOpenOption.READ)) {
      channel.force(true);
    }
  }

  private static void discard(Path partial, Exception cause) {
    try {
      Files.deleteIfExists(partial);
    } catch (IOException e) {
      cause.addSuppressed(e);
    }
  }
}
