package dev.javelin.train.data;

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
import java.util.Objects;
import java.util.concurrent.atomic.AtomicInteger;
import org.jspecify.annotations.Nullable;

/**
 * A token file, mapped into memory: little-endian uint16 or uint32 ids, as {@code FILE.bin.json}
 * beside it says, or else what it shows itself, see {@link TokenFileHead}. May be read by several
 * threads.
 */
public final class TokenFile implements TokenSource {
  /** Up to so many ids are looked through at once (64 MiB of two bytes each), more behind. */
  private static final long AT_ONCE = 32 << 20;

  private static final String REMEDY = "write the file again with javelin prepare";
  private static final ValueLayout.OfShort SHORT =
      ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  private static final ValueLayout.OfInt INT =
      ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

  /** How many are mapped: a test's view of what a failed run left behind. */
  static final AtomicInteger OPEN = new AtomicInteger();

  private final Path path;
  private final TokenFileDescription description;
  private final boolean wide;
  private final long tokensSaid;
  private final @Nullable String note;
  private final long atOnce;
  private final Arena arena = Arena.ofShared();
  private final MemorySegment tokens;
  private int checked = Integer.MAX_VALUE;
  private @Nullable Thread check;
  private volatile boolean stop;
  private volatile @Nullable InputException wrong;

  private TokenFile(Path path, long atOnce) throws IOException {
    this.path = path;
    this.atOnce = atOnce;
    this.description = TokenFileDescription.of(path);
    MemorySegment bytes;
    try (FileChannel channel = FileChannel.open(path, StandardOpenOption.READ)) {
      bytes = channel.map(FileChannel.MapMode.READ_ONLY, 0, channel.size(), arena);
    }
    try {
      TokenFileHead head =
          description.isGiven()
              ? new TokenFileHead(0, description.wide(), description.tokens(), null)
              : TokenFileHead.of(path, bytes);
      wide = head.wide();
      tokensSaid = head.tokens();
      note = head.note();
      tokens = bytes.asSlice(head.offset());
    } catch (RuntimeException e) {
      arena.close();
      throw e;
    }
    OPEN.incrementAndGet();
  }

  /**
   * Maps a token file.
   *
   * @throws FileFormatException where the file is missing, empty, cut short, or at odds with what
   *     stands beside it
   */
  public static TokenFile open(Path path) {
    return open(path, AT_ONCE);
  }

  /** The same, for tests of what happens to larger files. */
  static TokenFile open(Path path, long atOnce) {
    if (Files.exists(path) && !Files.isRegularFile(path)) {
      throw new FileFormatException(path, "is no regular file", "name a token file");
    }
    TokenFile file;
    try {
      file = new TokenFile(path, atOnce);
    } catch (NoSuchFileException e) {
      throw new FileFormatException(path, "does not exist", "name an existing token file", e);
    } catch (IOException e) {
      throw new UncheckedIOException(path + ": cannot be read: " + e.getMessage(), e);
    }
    try {
      file.checkSize();
      return file;
    } catch (FileFormatException e) {
      file.close();
      throw e;
    }
  }

  private void checkSize() {
    long bytes = tokens.byteSize();
    if (bytes == 0) {
      throw new FileFormatException(path, "holds no tokens", REMEDY);
    }
    if (bytes % width() != 0) {
      throw new FileFormatException(
          path,
          bytes + " bytes are not a whole number of " + (wide ? "uint32" : "uint16") + " ids",
          REMEDY);
    }
    if (tokensSaid != 0 && tokensSaid != size()) {
      throw new FileFormatException(
          path,
          "holds "
              + size()
              + " tokens, "
              + TokenFileDescription.path(path).getFileName()
              + " says "
              + tokensSaid,
          REMEDY);
    }
  }

  private int width() {
    return wide ? 4 : 2;
  }

  @Override
  public String name() {
    return path.toString();
  }

  @Override
  public long size() {
    return tokens.byteSize() / width();
  }

  /**
   * {@inheritDoc}
   *
   * @throws InputException where the search behind has come upon an id outside the vocabulary, and
   *     where the file has become shorter
   */
  @Override
  public void read(long from, int[] into, int count) {
    InputException found = wrong;
    if (found != null) {
      throw new InputException(String.valueOf(found.getMessage()), found);
    }
    try {
      copy(from, into, count);
    } catch (InternalError e) {
      throw cut(e);
    }
  }

  /** What reading a mapping ends in whose file has become shorter. */
  private InputException cut(InternalError e) {
    return new InputException(path + " was cut while it was read: " + REMEDY, e);
  }

  private void copy(long from, int[] into, int count) {
    Objects.checkFromIndexSize(from, count, size());
    if (wide) {
      MemorySegment.copy(tokens, INT, 4 * from, into, 0, count);
      return;
    }
    for (int i = 0; i < count; i++) {
      into[i] = tokens.get(SHORT, 2 * (from + i)) & 0xFFFF;
    }
  }

  /**
   * {@inheritDoc} A file of more than 32 Mi ids is looked through by a thread of its own, in
   * blocks; what it finds, the next {@link #read} throws.
   */
  @Override
  public synchronized void requireBelow(int vocabSize) {
    if (vocabSize >= checked || (!wide && vocabSize > 0xFFFF)) {
      return;
    }
    stopCheck();
    checked = vocabSize;
    if (size() <= atOnce) {
      search(vocabSize);
      if (wrong != null) {
        throw wrong;
      }
      return;
    }
    check = Thread.ofPlatform().daemon().name("check " + path).start(() -> search(vocabSize));
  }

  private void search(int vocabSize) {
    try {
      Ids.requireBelow(name(), size(), this::copy, vocabSize, () -> stop);
    } catch (InputException e) {
      wrong = e;
    } catch (InternalError e) {
      wrong = cut(e);
    }
  }

  private void stopCheck() {
    Thread thread = check;
    if (thread == null) {
      return;
    }
    stop = true;
    boolean interrupted = false;
    while (thread.isAlive()) {
      try {
        thread.join();
      } catch (InterruptedException e) {
        interrupted = true; // it ends within a block
      }
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
    stop = false;
    check = null;
  }

  /** What the user should know about how the file is read; null for nothing. */
  @Nullable String note() {
    return note;
  }

  TokenFileDescription description() {
    return description;
  }

  @Override
  public synchronized void close() {
    stopCheck();
    if (arena.scope().isAlive()) {
      arena.close();
      OPEN.decrementAndGet();
    }
  }
}
