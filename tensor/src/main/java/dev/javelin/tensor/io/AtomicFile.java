package dev.javelin.tensor.io;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.channels.WritableByteChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
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
    void write(WritableByteChannel channel) throws IOException;
  }

  /**
   * Writes {@code target} anew.
   *
   * @throws UncheckedIOException if it cannot be written; the earlier file is then untouched
   */
  public static void write(Path target, Body body) {
    write(target, body, true);
  }

  private static void write(Path target, Body body, boolean durable) {
    FileCalls calls = FileCalls.current();
    Path partial = target.resolveSibling(target.getFileName() + ".partial");
    try {
      calls.delete(partial); // a leftover, or a link that leads elsewhere
      try (WritableByteChannel channel = calls.create(partial)) {
        body.write(new Through(calls, channel));
        if (durable) {
          calls.sync(channel);
        }
      }
      calls.rename(partial, target);
      if (durable) {
        calls.syncDirectory(Objects.requireNonNull(target.toAbsolutePath().getParent()));
      }
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
    write(target, text(text), true);
  }

  /**
   * As {@link #write(Path, String)}, but without waiting for the disk: whoever reads the file sees
   * it whole, and only a crash of the system may take it away. For what can be made again.
   */
  public static void writeUnsynced(Path target, String text) {
    write(target, text(text), false);
  }

  private static Body text(String text) {
    return channel -> writeAll(channel, ByteBuffer.wrap(text.getBytes(StandardCharsets.UTF_8)));
  }

  /** A channel whose writes are {@code calls}'. */
  private record Through(FileCalls calls, WritableByteChannel channel)
      implements WritableByteChannel {
    @Override
    public int write(ByteBuffer bytes) throws IOException {
      return calls.write(channel, bytes);
    }

    @Override
    public boolean isOpen() {
      return channel.isOpen();
    }

    @Override
    public void close() throws IOException {
      channel.close();
    }
  }

  static void writeAll(WritableByteChannel channel, ByteBuffer bytes) throws IOException {
    while (bytes.hasRemaining()) {
      channel.write(bytes);
    }
  }

  static void writeAll(WritableByteChannel channel, MemorySegment bytes) throws IOException {
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
  private static void copyAll(WritableByteChannel channel, MemorySegment bytes) throws IOException {
    byte[] part = new byte[(int) Math.min(COPY, bytes.byteSize())];
    for (long from = 0; from < bytes.byteSize(); from += part.length) {
      int count = (int) Math.min(part.length, bytes.byteSize() - from);
      MemorySegment.copy(bytes, ValueLayout.JAVA_BYTE, from, part, 0, count);
      writeAll(channel, ByteBuffer.wrap(part, 0, count));
    }
  }

  private static void discard(Path partial, Exception cause) {
    try {
      FileCalls.current().delete(partial);
    } catch (IOException e) {
      cause.addSuppressed(e);
    }
  }
}
