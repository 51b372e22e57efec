package dev.javelin.train.run;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.channels.OverlappingFileLockException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.BasicFileAttributes;
import java.util.HashSet;
import java.util.Objects;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * A directory held by one run: a lock of the operating system on the file {@value #FILE} in it,
 * which ends with the process however that dies, and a table of this process, for such a lock does
 * not tell threads apart.
 *
 * <p>POSIX drops the locks of a process on a file when it closes any descriptor of that file. So
 * nothing here opens the lock file of a directory that the table lists.
 */
final class DirectoryLock implements AutoCloseable {
  static final String FILE = ".lock";

  /** Beyond the text, so that others may read it where locks are mandatory. */
  private static final long LOCKED_BYTE = 1L << 30;

  private static final Pattern OWNER = Pattern.compile("(?s)process (\\d{1,18})\\n.*");
  private static final int LONGEST_OWNER = 64;
  private static final int OWNER_TRIES = 10;
  private static final int OWNER_PAUSE_MILLIS = 10;

  /** What this process holds; also the monitor of all that opens or closes a lock file. */
  private static final Set<Object> HELD = new HashSet<>();

  private final Path file;
  private final Object key;
  private final FileChannel channel;
  private final boolean locked;
  private final @Nullable Object fileKey;

  private DirectoryLock(
      Path file, Object key, FileChannel channel, boolean locked, @Nullable Object fileKey) {
    this.file = file;
    this.fileKey = fileKey;
    this.key = key;
    this.channel = channel;
    this.locked = locked;
  }

  /** What came of an attempt: the lock, or who holds the directory. */
  record Attempt(@Nullable DirectoryLock lock, String owner) {}

  /**
   * Takes the lock of an existing directory, or says who has it. Never waits for it.
   *
   * @throws IOException where the lock file cannot be made or opened
   */
  static Attempt attempt(Path directory) throws IOException {
    Path file = directory.resolve(FILE);
    synchronized (HELD) {
      Object key = key(directory);
      if (HELD.contains(key)) {
        return new Attempt(null, "another run of this process (" + pid() + ")");
      }
      while (true) {
        Object before = fileKey(file);
        FileChannel channel =
            FileChannel.open(
                file,
                StandardOpenOption.CREATE,
                StandardOpenOption.WRITE,
                LinkOption.NOFOLLOW_LINKS);
        DirectoryLock taken = null;
        try {
          boolean locked = lock(channel);
          // A run that left nothing takes its lock file away; what was opened may be that one.
          if (!Objects.equals(fileKey(file), before)) {
            continue;
          }
          taken = new DirectoryLock(file, key, channel, locked, before);
          taken.sign();
          HELD.add(key);
          return new Attempt(taken, "");
        } catch (Held held) {
          return new Attempt(null, owner(file));
        } finally {
          if (taken == null) {
            channel.close();
          }
        }
      }
    }
  }

  /** Whether the file system has locks at all; without, only runs of this process are kept out. */
  boolean isLocked() {
    return locked;
  }

  private static final class Held extends Exception {
    private static final long serialVersionUID = 1;
  }

  private static boolean lock(FileChannel channel) throws Held {
    try {
      FileLock lock = channel.tryLock(LOCKED_BYTE, 1, false);
      if (lock == null) {
        throw new Held();
      }
      return true;
    } catch (OverlappingFileLockException e) {
      throw new Held();
    } catch (IOException noLocksHere) {
      return false;
    }
  }

  private void sign() throws IOException {
    channel.truncate(0);
    byte[] owner = ("process " + pid() + "\n").getBytes(StandardCharsets.UTF_8);
    channel.write(ByteBuffer.wrap(owner), 0);
  }

  /**
   * Who holds it: as the file says, once that is a living process. Between taking the lock and
   * signing it lie microseconds, in which the name of an owner that was killed may still stand.
   */
  private static String owner(Path file) throws IOException {
    for (int i = 0; i < OWNER_TRIES; i++) {
      String text = signature(file);
      Matcher m = OWNER.matcher(text);
      if (m.matches()
          && ProcessHandle.of(Long.parseLong(m.group(1)))
              .map(ProcessHandle::isAlive)
              .orElse(false)) {
        return "process " + m.group(1);
      }
      try {
        Thread.sleep(OWNER_PAUSE_MILLIS);
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
        break;
      }
    }
    return "another process";
  }

  /** Whether a living process says that it holds the directory; nothing is touched. */
  static boolean isSigned(Path directory) throws IOException {
    Matcher m = OWNER.matcher(signature(directory.resolve(FILE)));
    return m.matches()
        && ProcessHandle.of(Long.parseLong(m.group(1))).map(ProcessHandle::isAlive).orElse(false);
  }

  private static String signature(Path file) throws IOException {
    try (FileChannel channel =
        FileChannel.open(file, StandardOpenOption.READ, LinkOption.NOFOLLOW_LINKS)) {
      ByteBuffer bytes = ByteBuffer.allocate(LONGEST_OWNER);
      channel.read(bytes, 0);
      return new String(bytes.array(), 0, bytes.position(), StandardCharsets.US_ASCII);
    } catch (NoSuchFileException gone) {
      return "";
    }
  }

  private static long pid() {
    return ProcessHandle.current().pid();
  }

  /**
   * The same for all names of a directory: the system's number of it, or its path without links.
   */
  private static Object key(Path directory) throws IOException {
    Object key = Files.readAttributes(directory, BasicFileAttributes.class).fileKey();
    return key == null ? directory.toRealPath() : key;
  }

  private static @Nullable Object fileKey(Path file) throws IOException {
    try {
      return Files.readAttributes(file, BasicFileAttributes.class, LinkOption.NOFOLLOW_LINKS)
          .fileKey();
    } catch (NoSuchFileException e) {
      return null;
    }
  }

  /** Whether the lock file is still the one that was locked, where the system can tell. */
  boolean isInPlace() {
    try {
      return Objects.equals(fileKey(file), fileKey);
    } catch (IOException gone) {
      return false;
    }
  }

  /** Gives the directory free; the lock file stays, empty. */
  @Override
  public void close() {
    release(false);
  }

  /** Gives the directory free and takes the lock file away: the run has left nothing. */
  void closeAndDelete() {
    release(true);
  }

  private void release(boolean delete) {
    synchronized (HELD) {
      try (channel) {
        channel.truncate(0);
        if (delete) {
          Files.deleteIfExists(file);
        }
      } catch (IOException e) {
        // Closing the channel ends the lock all the same; what stands in the file is no owner then.
      } finally {
        HELD.remove(key);
      }
    }
  }
}
