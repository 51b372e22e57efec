package dev.javelin.train.checkpoint;

import dev.javelin.tensor.io.AtomicFile;
import dev.javelin.tensor.io.FileCalls;
import java.io.IOException;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;

/**
 * The names that lead to a checkpoint of a run: symbolic links where the file system has them,
 * files with its name in them otherwise.
 */
record Pointers(Path run) {
  private static final int LONGEST = 64;

  /** The checkpoint that one points to. */
  Optional<Path> get(String pointer) {
    Path path = run.resolve(pointer);
    try {
      String name =
          Files.isSymbolicLink(path)
              ? Files.readSymbolicLink(path).toString()
              : Files.isRegularFile(path) && Files.size(path) <= LONGEST
                  ? Files.readString(path).strip()
                  : "";
      return Checkpoints.isName(name) ? Optional.of(run.resolve(name)) : Optional.empty();
    } catch (IOException e) {
      return Optional.empty();
    }
  }

  void set(String pointer, String name) throws IOException {
    FileCalls calls = FileCalls.current();
    Path fresh = run.resolve("." + pointer + ".new");
    calls.delete(fresh);
    try {
      calls.link(fresh, Path.of(name));
    } catch (UnsupportedOperationException | FileSystemException e) {
      AtomicFile.write(fresh, name + "\n");
    }
    calls.rename(fresh, run.resolve(pointer));
    calls.syncDirectory(run);
  }
}
