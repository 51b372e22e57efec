package dev.javelin.train.checkpoint;

import dev.javelin.tensor.io.Printable;
import java.io.IOException;
import java.nio.file.Path;

/** A checkpoint that lacks a part of what was written, or holds other bytes. */
public final class IncompleteCheckpointException extends RuntimeException {
  private static final long serialVersionUID = 1;

  private IncompleteCheckpointException(Path directory, String what) {
    super(
        Printable.line(
            directory + ": " + what + "; take an earlier checkpoint, or copy this one again"));
  }

  /**
   * @param found −1 where there is no such file
   */
  static IncompleteCheckpointException length(
      Path directory, String file, long written, long found) {
    return new IncompleteCheckpointException(
        directory,
        file
            + (found < 0
                ? " is missing"
                : " has " + found + " bytes, " + written + " were written"));
  }

  static IncompleteCheckpointException bytes(Path directory, String file) {
    return new IncompleteCheckpointException(
        directory, file + " differs from what was written (wrong checksum)");
  }

  static IncompleteCheckpointException unreadable(Path directory, String file, IOException e) {
    return new IncompleteCheckpointException(directory, file + " cannot be read (" + e + ")");
  }
}
