package dev.javelin.train.checkpoint;

import dev.javelin.tensor.io.FileCalls;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;

/** Folders with all that is in them, and why a call on them has failed. */
final class Folders {
  private Folders() {}

  static List<Path> children(Path directory) {
    if (!Files.isDirectory(directory)) {
      return List.of();
    }
    try (Stream<Path> paths = Files.list(directory)) {
      return paths.toList();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  static void delete(Path path) throws IOException {
    if (Files.isDirectory(path, LinkOption.NOFOLLOW_LINKS)) {
      for (Path child : children(path)) {
        delete(child);
      }
    }
    FileCalls.current().delete(path);
  }

  static void deleteQuietly(Path path) {
    try {
      delete(path);
    } catch (IOException | UncheckedIOException stillThere) {
      // It has a hidden name: the next run sweeps it away.
    }
  }

  static Throwable cause(Exception e) {
    return e instanceof UncheckedIOException u && u.getCause() != null ? u.getCause() : e;
  }

  static String reason(Exception e) {
    Throwable cause = cause(e);
    String text =
        cause instanceof FileSystemException f && f.getReason() != null
            ? f.getReason()
            : cause.getMessage() == null ? cause.toString() : cause.getMessage();
    return text.lines().findFirst().orElse(cause.getClass().getSimpleName());
  }
}
