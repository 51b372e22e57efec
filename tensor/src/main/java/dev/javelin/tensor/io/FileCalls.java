package dev.javelin.tensor.io;

import java.io.IOException;
import java.io.OutputStream;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.channels.WritableByteChannel;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;

/**
 * The calls by which files of a run come, change and go, one method for each call of the operating
 * system. {@link AtomicFile} and the checkpoints make no others, so that a rehearsal can stop or
 * fail at every one of them: it binds {@link #SCOPE} to calls of its own.
 *
 * <p>The methods here are the system's; they hold nothing and are safe for any thread.
 */
public interface FileCalls {
  /** The calls of the thread that runs in the scope; without one, the system's. */
  ScopedValue<FileCalls> SCOPE = ScopedValue.newInstance();

  FileCalls SYSTEM = new FileCalls() {};

  /** Those in force on this thread. */
  static FileCalls current() {
    return SCOPE.orElse(SYSTEM);
  }

  /** A new file, opened to be written; fails where the name is taken, by a link too. */
  default WritableByteChannel create(Path file) throws IOException {
    return FileChannel.open(file, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE);
  }

  /**
   * A file, made where it is not there, opened to be written at its end; fails for a link. What is
   * written goes to the system at once, whether or not the thread is interrupted.
   */
  default OutputStream append(Path file) throws IOException {
    return Files.newOutputStream(
        file, StandardOpenOption.CREATE, StandardOpenOption.APPEND, LinkOption.NOFOLLOW_LINKS);
  }

  /** Writes some of {@code bytes} and returns how many. */
  default int write(WritableByteChannel channel, ByteBuffer bytes) throws IOException {
    return channel.write(bytes);
  }

  /** Makes content and size of a file that {@link #create} opened durable. */
  default void sync(WritableByteChannel channel) throws IOException {
    ((FileChannel) channel).force(true);
  }

  /** Makes the names in a directory durable, where the system can open one (Windows cannot). */
  default void syncDirectory(Path directory) throws IOException {
    if (System.getProperty("os.name", "").startsWith("Windows")) {
      return;
    }
    try (FileChannel channel = FileChannel.open(directory, StandardOpenOption.READ)) {
      channel.force(true);
    }
  }

  /** Gives a file another name, in the place of what bears it, in one step. */
  default void rename(Path from, Path to) throws IOException {
    Files.move(from, to, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
  }

  /**
   * A symbolic link.
   *
   * @throws UnsupportedOperationException where the file system has none
   */
  default void link(Path link, Path target) throws IOException {
    Files.createSymbolicLink(link, target);
  }

  /** Removes a file, a link or an empty directory, where it is there. */
  default void delete(Path path) throws IOException {
    Files.deleteIfExists(path);
  }

  /** Makes a directory in one that exists. */
  default void createDirectory(Path directory) throws IOException {
    Files.createDirectory(directory);
  }
}
