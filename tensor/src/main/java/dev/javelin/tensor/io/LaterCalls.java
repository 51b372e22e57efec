package dev.javelin.tensor.io;

import java.io.IOException;
import java.io.OutputStream;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.channels.ClosedChannelException;
import java.nio.channels.WritableByteChannel;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Calls that are kept, with the bytes to be written, until {@link #make} makes them all in their
 * order: who writes files under them is done as soon as memory has taken them up, and another
 * thread waits for the disk. Nothing is on the disk before, so what is written must not be looked
 * for meanwhile.
 *
 * <p>Kept by one thread, then made by one, then closed.
 */
public final class LaterCalls implements FileCalls, AutoCloseable {
  private final Arena arena = Arena.ofShared();
  private final List<Call> calls = new ArrayList<>();
  private long bytes;

  private interface Call {
    void make(FileCalls by) throws IOException;
  }

  /** A file that will be created. */
  private static final class Later implements WritableByteChannel {
    private final LaterCalls all;
    private @Nullable WritableByteChannel file;
    private boolean open = true;

    Later(LaterCalls all) {
      this.all = all;
    }

    WritableByteChannel made() throws IOException {
      if (file == null) {
        throw new ClosedChannelException();
      }
      return file;
    }

    /** What is written past the calls, as a stream would do. */
    @Override
    public int write(ByteBuffer content) throws IOException {
      return all.write(this, content);
    }

    @Override
    public boolean isOpen() {
      return open;
    }

    @Override
    public void close() {
      if (open) {
        open = false;
        all.calls.add(by -> made().close());
      }
    }
  }

  /** Bytes of memory that it holds outside the heap. */
  public long bytes() {
    return bytes;
  }

  /**
   * Makes the calls that were kept, by {@code by}'s; once.
   *
   * @throws IOException of the first that fails; no later one is made then, and what is open is
   *     closed
   */
  public void make(FileCalls by) throws IOException {
    List<Later> files = new ArrayList<>();
    try {
      for (Call call : calls) {
        if (call instanceof Create create) {
          files.add(create.later);
        }
        call.make(by);
      }
    } finally {
      for (Later later : files) {
        if (later.file != null) {
          later.file.close();
        }
      }
    }
  }

  private record Create(Path file, Later later) implements Call {
    @Override
    public void make(FileCalls by) throws IOException {
      later.file = by.create(file);
    }
  }

  @Override
  public WritableByteChannel create(Path file) {
    Later later = new Later(this);
    calls.add(new Create(file, later));
    return later;
  }

  /**
   * Takes all bytes up.
   *
   * @throws OutOfMemoryError where there is no memory for them
   */
  @Override
  public int write(WritableByteChannel channel, ByteBuffer content) throws IOException {
    Later later = (Later) channel;
    if (!later.open) {
      throw new ClosedChannelException();
    }
    int count = content.remaining();
    // Unlike allocate, this does not write zeros first.
    MemorySegment kept =
        arena.allocateFrom(
            ValueLayout.JAVA_BYTE,
            MemorySegment.ofBuffer(content),
            ValueLayout.JAVA_BYTE,
            0,
            count);
    content.position(content.limit());
    bytes += count;
    calls.add(by -> writeAll(by, later.made(), kept.asByteBuffer()));
    return count;
  }

  private static void writeAll(FileCalls by, WritableByteChannel file, ByteBuffer content)
      throws IOException {
    while (content.hasRemaining()) {
      by.write(file, content);
    }
  }

  @Override
  public void sync(WritableByteChannel channel) {
    Later later = (Later) channel;
    calls.add(by -> by.sync(later.made()));
  }

  @Override
  public OutputStream append(Path file) {
    throw new UnsupportedOperationException(file + " is appended to: that cannot wait");
  }

  @Override
  public void syncDirectory(Path directory) {
    calls.add(by -> by.syncDirectory(directory));
  }

  @Override
  public void rename(Path from, Path to) {
    calls.add(by -> by.rename(from, to));
  }

  @Override
  public void link(Path link, Path target) {
    calls.add(by -> by.link(link, target));
  }

  @Override
  public void delete(Path path) {
    calls.add(by -> by.delete(path));
  }

  @Override
  public void createDirectory(Path directory) {
    calls.add(by -> by.createDirectory(directory));
  }

  /** Frees the memory. */
  @Override
  public void close() {
    arena.close();
  }
}
